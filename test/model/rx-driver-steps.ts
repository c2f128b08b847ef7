/** Steps of the driver's side of a receive queue, and runs of both sides. */
import fc from 'fast-check';
import { frameCapacity } from '../../rings/buffer-pool.js';
import type { Config, RingFixture } from './ring-fixture.js';
import {
  ArmDevice,
  DisarmDevice,
  Fill,
  HEADER,
  NUM_BUFFERS,
  Put,
  Restart,
  type RxReal,
  type RxState,
  TakeBuffers,
} from './rx-device-steps.js';
import { OurRxDevice, OurRxDriver, PlainRxDevice, PlainRxDriver, type Posted, type Received } from './rx-ends.js';
import { Alone, type Explanation, type Holder, notified, Race, type Step } from './steps.js';
import { demand } from './virtqueue.js';

/** The shortest frame, with its header. */
const SHORTEST = HEADER + 14;

/** The longest frame that our buffers hold, and one byte more. */
const EDGES = [frameCapacity(11), frameCapacity(11) + 1];

type RxStep = Step<RxState, RxReal>;

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

function ours({ driver }: RxReal): OurRxDriver {
  if (!(driver instanceof OurRxDriver)) throw new Error('this is not our driver');
  return driver;
}

function plain({ driver }: RxReal): PlainRxDriver {
  if (!(driver instanceof PlainRxDriver)) throw new Error('this is not a plain driver');
  return driver;
}

/**
 * A burst of our driver: each used buffer is delivered and another is posted in its place, or it is dropped and posted
 * again.
 */
class Receive implements RxStep {
  readonly side = 'driver';
  readonly name: string;

  constructor(private readonly max: number) {
    this.name = `receive ${max}`;
  }

  ready = (): boolean => true;

  run(real: RxReal): Explanation<RxState> {
    const burst = ours(real).receive(this.max);
    real.hand.push(...burst.received);
    return (state, notice) => {
      const { queue, config } = state;
      const free = [...burst.free];
      const received: Received[] = [];
      const again: Posted[] = [];
      const dropped = { noBuffer: 0, tooLong: 0, badLength: 0 };
      // A burst ends after this number of buffers, delivered or dropped, so that its cost is bounded.
      while (again.length < queue.used.length && again.length < this.max) {
        const { buffer, bytes } = queue.used[again.length]!;
        let next = buffer.key;
        const parts = config.mergeable && bytes.length >= HEADER ? bytes[NUM_BUFFERS]! : 1;
        if (state.skipping > 0) {
          state.skipping--;
        } else if (bytes.length < SHORTEST) {
          dropped.badLength++;
        } else if (parts > 1) {
          dropped.tooLong++;
          state.skipping = parts - 1;
        } else if (free.length === 0) {
          dropped.noBuffer++;
        } else {
          received.push({ key: buffer.key, frame: bytes.subarray(HEADER) });
          next = free.shift()!;
        }
        again.push({ ...buffer, key: next });
      }
      const { noBuffer, tooLong, badLength } = burst;
      const [seen, wanted] = [{ noBuffer, tooLong, badLength }, dropped].map((drops) => JSON.stringify(drops));
      demand(seen === wanted, `dropped ${seen}, expected ${wanted}`);
      const [got, keys] = [burst.received, received].map((list) => list.map(({ key }) => key).join());
      demand(got === keys, `received the buffers ${got}, expected ${keys}`);
      received.forEach(({ frame, key }, i) => {
        demand(same(frame, burst.received[i]!.frame), `the frame in buffer ${key} is another, or altered`);
      });
      queue.collect(again.length);
      state.hand.push(...received.map(({ key }) => key));
      notified(queue.offer(again), burst.kicked, notice, 'the device', 'doorbell');
    };
  }
}

/** The caller gives buffers back. Nobody else has written to them while the caller held them. */
class GiveBack implements RxStep {
  readonly side = 'driver';
  readonly name: string;

  constructor(
    private readonly count: number,
    private readonly random: number,
  ) {
    this.name = `give back ${count}, chosen by ${random}`;
  }

  ready = ({ hand }: RxState): boolean => hand.length > 0;

  run(real: RxReal): Explanation<RxState> {
    const driver = ours(real);
    const back: Received[] = [];
    for (let i = 0; i < this.count && real.hand.length > 0; i++) {
      back.push(...real.hand.splice((this.random + i) % real.hand.length, 1));
    }
    const altered = back.filter(({ key, frame }) => !same(frame, driver.frame(key, frame.length)));
    for (const { key } of back) driver.giveBack(key);
    return (state) => {
      demand(altered.length === 0, `buffers ${altered.map(({ key }) => key)} were altered in the caller's hand`);
      state.hand = state.hand.filter((key) => !back.some((other) => other.key === key));
    };
  }
}

class ArmDriver implements RxStep {
  readonly side = 'driver';
  readonly name = 'ask for signals';
  readonly isWish = true;

  ready = (): boolean => true;

  run(real: RxReal): Explanation<RxState> {
    if (real.driver instanceof PlainRxDriver) {
      real.driver.setWish(true);
      return ({ queue }) => queue.armDriver();
    }
    const armed = real.driver.arm();
    return (state) => {
      const { queue } = state;
      demand(armed === (queue.used.length === 0), `arming said ${armed}, with ${queue.used.length} buffers used`);
      state.wantsSignals = armed;
      if (armed) queue.armDriver();
      else suppress(state);
    };
  }
}

class DisarmDriver implements RxStep {
  readonly side = 'driver';
  readonly name = 'no signals';
  readonly isWish = true;

  ready = (): boolean => true;

  run(real: RxReal): Explanation<RxState> {
    if (real.driver instanceof PlainRxDriver) {
      real.driver.setWish(false);
      return suppress;
    }
    real.driver.disarm();
    return (state) => {
      if (state.wantsSignals) suppress(state);
      state.wantsSignals = false;
    };
  }
}

/** In a split ring with EVENT_IDX the driver does so by naming the index that comes last again. */
function suppress({ queue, config }: RxState): void {
  if (!config.eventIdx || config.packed) queue.driverWish = 'never';
  else queue.driverWish = { at: queue.collectedTo - 1 };
}

class Post implements RxStep {
  readonly side = 'driver';
  readonly name: string;

  constructor(private readonly capacities: readonly number[]) {
    this.name = `post ${capacities}`;
  }

  ready = (): boolean => true;

  run(real: RxReal): Explanation<RxState> {
    const { posted, kicked } = plain(real).post(this.capacities);
    return ({ queue }, notice) => notified(queue.offer(posted), kicked, notice, 'the device', 'doorbell');
  }
}

class Collect implements RxStep {
  readonly side = 'driver';
  readonly name = 'collect';

  ready = (): boolean => true;

  run(real: RxReal): Explanation<RxState> {
    const collected = plain(real).collect();
    return ({ queue }) => {
      demand(collected.length === queue.used.length, `${collected.length} came back, ${queue.used.length} were used`);
      queue.collect(collected.length).forEach(({ buffer, bytes }, i) => {
        const { key, bytes: found } = collected[i]!;
        demand(key === buffer.key, `buffer ${key} came back, expected ${buffer.key}`);
        demand(same(bytes, found), `buffer ${key} has ${found.length} other bytes than the ${bytes.length} expected`);
      });
    };
  }
}

class Reset implements RxStep {
  readonly side = 'driver';
  readonly name = 'reset';

  ready = (): boolean => true;

  run(real: RxReal): Explanation<RxState> {
    const posted = real.reset();
    return (state) => {
      state.begin(posted);
    };
  }
}

/** Both ends of a receive queue, as they begin. */
export function rxReal(fixture: RingFixture, config: Config): { real: RxReal; posted: readonly Posted[] } {
  const makeDriver = () => (config.driver === 'ours' ? new OurRxDriver(fixture, config) : new PlainRxDriver(config));
  const makeDevice = (driver: OurRxDriver | PlainRxDriver) =>
    config.device === 'ours' ? new OurRxDevice(driver.at) : new PlainRxDevice(fixture, config);
  const driver = makeDriver();
  const real: RxReal = {
    driver,
    device: makeDevice(driver),
    hand: [],
    seed: 0,
    reset() {
      let posted: readonly Posted[] = [];
      if (this.driver instanceof OurRxDriver) {
        posted = this.driver.reset();
      } else {
        this.driver.close();
        this.driver = makeDriver();
      }
      this.device = makeDevice(this.driver);
      if (this.driver instanceof OurRxDriver) this.driver.open();
      return posted;
    },
    close() {
      this.driver.close();
    },
  };
  return { real, posted: real.reset() };
}

export function rxSteps(config: Config): fc.Arbitrary<Alone<RxState, RxReal> | Race<RxState, RxReal>>[] {
  const some = fc.integer({ min: 1, max: 32 });
  const wishes = fc.constantFrom<RxStep>(new ArmDriver(), new DisarmDriver());
  const capacities = fc.array(fc.integer({ min: 200, max: 2048 }), { minLength: 1, maxLength: 8 });
  const driverSteps: fc.Arbitrary<RxStep> =
    config.driver === 'ours'
      ? fc.oneof(
          some.map((max) => new Receive(max)),
          some.map((max) => new Receive(max)),
          fc.tuple(some, fc.nat()).map((parts) => new GiveBack(...parts)),
          wishes,
        )
      : fc.oneof(
          capacities.map((each) => new Post(each)),
          capacities.map((each) => new Post(each)),
          fc.constant(new Collect()),
          wishes,
        );
  const length = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 14, max: 1518 }) },
    { weight: 1, arbitrary: fc.constantFrom(14, ...EDGES, 3000, 3990) },
  );
  const writing = fc.constantFrom('frames', 'frames', 'frames', 'too little', 'one packet');
  const deviceWishes = fc.constantFrom<RxStep>(new ArmDevice(), new DisarmDevice());
  const one = length.map((bytes) => new Put([bytes]));
  const fills = fc.tuple(some, fc.oneof(fc.constant(0), fc.nat()), writing).map((parts) => new Fill(...parts));
  const takes = some.map((max) => new TakeBuffers(max));
  const bursts = fc.array(length, { minLength: 1, maxLength: 32 }).map((lengths) => new Put(lengths));
  const isOurs = config.device === 'ours';
  const deviceSteps = isOurs
    ? fc.oneof(bursts, bursts, one, deviceWishes)
    : fc.oneof(takes, fills, fills, deviceWishes);
  const racing = isOurs ? fc.oneof(one, one, deviceWishes) : deviceSteps;
  const alone = (steps: fc.Arbitrary<RxStep>) => steps.map((step) => new Alone(step));
  const race = (outer: fc.Arbitrary<RxStep>, inner: fc.Arbitrary<RxStep>) =>
    fc.tuple(outer, inner, fc.nat(4)).map((parts) => new Race(...parts));
  const restarts = fc.constantFrom<RxStep>(new Restart(), new Restart(), new Restart(), new Reset());
  return [
    alone(driverSteps),
    alone(driverSteps),
    alone(deviceSteps),
    alone(deviceSteps),
    race(driverSteps, racing),
    race(racing, driverSteps),
    race(driverSteps, deviceWishes),
    race(deviceWishes, driverSteps),
    race(wishes, racing),
    race(racing, wishes),
    alone(restarts.filter((step) => config.driver === 'plain' || config.spare < 100 || step instanceof Restart)),
  ];
}

/** At the end all received buffers are given back, and every frame that the device has written was received. */
export function finishRx(holder: Holder<RxState>, real: RxReal): void {
  const steps = holder.state.config.driver === 'ours' ? [new GiveBack(600, 0), new Receive(600)] : [new Collect()];
  for (let round = 0; holder.state.queue.used.length > 0; round++) {
    demand(round < 600, 'buffers that were used are not taken out of the ring');
    for (const step of steps) if (step.ready(holder.state)) new Alone<RxState, RxReal>(step).run(holder, real);
  }
}

/** Receives `count` frames, one per buffer, and gives their buffers back. */
export function passRx(holder: Holder<RxState>, real: RxReal, frames: number): void {
  const { driver, device } = holder.state.config;
  for (let left = frames; left > 0; ) {
    const count = Math.min(left, 32, driver === 'ours' ? holder.state.config.size : 32);
    const steps: RxStep[] = [
      ...(driver === 'ours' ? [] : [new Post(Array<number>(count).fill(300))]),
      ...(device === 'ours'
        ? [new Put(Array<number>(count).fill(60))]
        : [new TakeBuffers(count), new Fill(count, 0, 'frames')]),
    ];
    for (const step of steps) new Alone<RxState, RxReal>(step).run(holder, real);
    demand(holder.state.queue.used.length > 0, 'a queue full of buffers takes no frame');
    left -= holder.state.queue.used.length;
    finishRx(holder, real);
  }
}
