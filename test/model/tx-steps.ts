/** A transmit queue: what its two ends do, and what the model says about it. */
import fc from 'fast-check';
import { frameOf } from '../support/virtio/driver-under-test.js';
import { type Config, type RingFixture, rulesOf, zeroedWish } from './ring-fixture.js';
import { Alone, type Explanation, type Holder, notified, Race, type State, type Step } from './steps.js';
import {
  liesInTwo,
  OurTxDevice,
  OurTxDriver,
  PlainTxDevice,
  PlainTxDriver,
  type Sent,
  type TxDevice,
  type TxDriver,
} from './tx-ends.js';
import { demand, Virtqueue } from './virtqueue.js';

/** What our driver sends: only the frame, with no VLAN tag, to a device with an MTU of 1500. */
const SHORTEST = 14;
const LONGEST = 1518;

type InQueue = Sent & { readonly number: number };

export interface TxReal {
  driver: TxDriver;
  device: TxDevice;
  /** Of the next frame. */
  seed: number;
  /** 2.4: all is as at the beginning. */
  reset(): void;
  close(): void;
}

export class TxState implements State<TxReal> {
  constructor(
    readonly config: Config,
    public queue = new Virtqueue<InQueue>(rulesOf(config), zeroedWish(config), TxState.driverWish(config)),
    private count = 0,
  ) {}

  /**
   * Our driver wants no signal about sent buffers: in a split ring with EVENT_IDX it names the index that comes last.
   */
  private static driverWish(config: Config): 'never' | 'always' | { at: number } {
    if (config.driver === 'plain') return zeroedWish(config);
    return config.eventIdx && !config.packed ? { at: -1 } : 'never';
  }

  clone(): TxState {
    return new TxState(this.config, this.queue.clone(), this.count);
  }

  reset(): void {
    this.queue = new TxState(this.config).queue;
    this.count = 0;
  }

  check(real: TxReal): void {
    const expected = this.queue.inRing.map(({ key }) => key).sort((a, b) => a - b);
    const held = [...real.driver.held()].sort((a, b) => a - b);
    demand(`${held}` === `${expected}`, `the driver has the buffers ${held} in the ring, the model ${expected}`);
  }

  /** The device has asked for doorbells. Our device says whether it may sleep: when nothing waits. */
  armed(answer: boolean | null): void {
    const { queue } = this;
    const empty = queue.available.length === 0;
    demand(
      answer === null || answer === empty,
      `arming said ${answer}, with ${queue.available.length} buffers available`,
    );
    queue.armDevice();
    if (answer === false) this.disarmed();
  }

  /**
   * It wants no doorbell. With EVENT_IDX in a split ring our device leaves its index where it is; the plain one names
   * the last.
   */
  disarmed(): void {
    const { queue, config } = this;
    if (!config.eventIdx || config.packed) queue.deviceWish = 'never';
    else if (config.device === 'plain') queue.deviceWish = { at: queue.takenTo - 1 };
  }

  /** The first of the used buffers come back. */
  collected(keys: readonly number[]): void {
    const back = this.queue.collect(keys.length).map(({ buffer }) => buffer.key);
    // Our driver has its own table, in which the order is not seen.
    const ordered = this.config.driver === 'plain';
    const [a, b] = [back, [...keys]].map((list) => (ordered ? list : list.sort((x, y) => x - y)).join());
    demand(a === b, `the driver took back the buffers ${b}, used were ${a}`);
  }

  sent(buffers: readonly Sent[]): boolean {
    return this.queue.offer(buffers.map((buffer) => ({ ...buffer, number: this.count++ })));
  }

  /**
   * How many of the frames our driver sends. A packet waits only for the return of the one that was sent a ring's
   * length before it. The driver looks for used buffers before a burst that might need them, so that some of it always
   * goes.
   */
  expectedSent(frames: readonly Uint8Array[]): { sent: number; dropped: number } {
    const busy = new Set(this.queue.inRing.map(({ number }) => number));
    let [sent, dropped] = [0, 0];
    for (const frame of frames) {
      const { length } = frame;
      const isBad = length < SHORTEST || length > LONGEST;
      if (busy.has(this.count + sent - this.config.size) || sent === this.config.size) {
        // A packet in two buffers is looked at before its place.
        if (!isBad || !liesInTwo(frame, this.config)) break;
      }
      if (isBad) dropped++;
      else sent++;
    }
    return { sent, dropped };
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

class Send implements Step<TxState, TxReal> {
  readonly side = 'driver';
  readonly name: string;

  constructor(private readonly lengths: readonly number[]) {
    this.name = `send ${lengths}`;
  }

  ready = (): boolean => true;

  run(real: TxReal): Explanation<TxState> {
    const frames = this.lengths.map((length) => frameOf(real.seed++, length));
    const { sent, returned, dropped, kicked } = real.driver.send(frames);
    return (state, notice) => {
      const { queue, config } = state;
      const free = config.size + config.spare - queue.inRing.length;
      state.collected(returned);
      // Descriptors of a chain: how many packets find room depends on which of them are busy.
      if (config.driver === 'ours' && config.parts === 'chains') {
        const most = Math.min(frames.length, free);
        demand(sent.length + dropped <= most, `${sent.length} sent and ${dropped} dropped of ${most} frames`);
        const stuck = sent.length + dropped === 0 && most > 0 && queue.inRing.length === 0;
        demand(!stuck, 'nothing was sent into an empty ring');
      } else if (config.driver === 'ours') {
        const expected = state.expectedSent(frames.slice(0, free));
        const [what, wanted] = [`${sent.length} frames, dropped ${dropped}`, `${expected.sent}, ${expected.dropped}`];
        demand(sent.length === expected.sent && dropped === expected.dropped, `sent ${what}; expected ${wanted}`);
        const stuck = sent.length + dropped === 0 && free > 0 && queue.used.length > 0;
        demand(!stuck, 'nothing was sent, and what was used not looked for');
      }
      notified(state.sent(sent), kicked, notice, 'the device', 'doorbell');
    };
  }
}

class Reclaim implements Step<TxState, TxReal> {
  readonly side = 'driver';
  readonly name = 'reclaim';

  ready = (): boolean => true;

  run(real: TxReal): Explanation<TxState> {
    const returned = real.driver.reclaim();
    return (state) => {
      demand(
        returned.length === state.queue.used.length,
        `${returned.length} back, ${state.queue.used.length} were used`,
      );
      state.collected(returned);
    };
  }
}

class Take implements Step<TxState, TxReal> {
  readonly side = 'device';
  readonly name: string;

  constructor(private readonly max: number) {
    this.name = `take ${max}`;
  }

  /** Our device gives back what it took before it takes more. */
  ready = ({ queue, config }: TxState): boolean => config.device === 'plain' || queue.taken.length === 0;

  run(real: TxReal): Explanation<TxState> {
    const frames = real.device.take(this.max);
    return ({ queue }) => {
      const expected = Math.min(this.max, queue.available.length);
      demand(frames.length === expected, `the device found ${frames.length} frames, expected ${expected}`);
      queue.take(expected).forEach(({ frame }, i) => {
        demand(same(frame, frames[i]!), `frame ${i} of the burst is another, or altered`);
      });
    };
  }
}

class Use implements Step<TxState, TxReal> {
  readonly side = 'device';
  readonly name: string;

  /** @param random which of those that were taken, where the device may choose; 0: the oldest */
  constructor(
    private readonly count: number,
    private readonly random: number,
  ) {
    this.name = `use ${count}, chosen by ${random}`;
  }

  ready = ({ queue }: TxState): boolean => queue.taken.length > 0;

  run(real: TxReal): Explanation<TxState> {
    const { order, signalled } = real.device.use(this.count, this.random);
    return ({ queue }, notice) => {
      const { taken } = queue;
      const used = order.map((i) => ({ key: taken[i]!.key, bytes: new Uint8Array(0) }));
      notified(queue.use(used), signalled, notice, 'the driver', 'signal');
    };
  }
}

class ArmDevice implements Step<TxState, TxReal> {
  readonly side = 'device';
  readonly name = 'ask for doorbells';
  readonly isWish = true;

  ready = (): boolean => true;

  run(real: TxReal): Explanation<TxState> {
    const armed = real.device.arm();
    return (state) => state.armed(armed);
  }
}

class DisarmDevice implements Step<TxState, TxReal> {
  readonly side = 'device';
  readonly name = 'no doorbells';
  readonly isWish = true;

  ready = (): boolean => true;

  run(real: TxReal): Explanation<TxState> {
    real.device.disarm();
    return (state) => state.disarmed();
  }
}

class Restart implements Step<TxState, TxReal> {
  readonly side = 'device';
  readonly name = 'stop the ring and begin again there';

  ready = ({ queue, config }: TxState): boolean => config.device === 'ours' && queue.taken.length === 0;

  run(real: TxReal): Explanation<TxState> {
    real.device.restart();
    return () => {};
  }
}

class Reset implements Step<TxState, TxReal> {
  readonly side = 'driver';
  readonly name = 'reset';

  ready = (): boolean => true;

  run(real: TxReal): Explanation<TxState> {
    real.reset();
    return (state) => state.reset();
  }
}

/** Both ends of a transmit queue, as they begin. */
export function txReal(fixture: RingFixture, config: Config): TxReal {
  const makeDriver = (): TxDriver =>
    config.driver === 'ours' ? new OurTxDriver(fixture, config) : new PlainTxDriver(config);
  const makeDevice = (driver: TxDriver): TxDevice =>
    config.device === 'ours' ? new OurTxDevice(driver.at) : new PlainTxDevice(fixture, config);
  const driver = makeDriver();
  return {
    driver,
    device: makeDevice(driver),
    seed: 0,
    reset() {
      if (!this.driver.reset()) this.driver = makeDriver();
      this.device = makeDevice(this.driver);
    },
    close() {
      this.driver.close();
    },
  };
}

/** Frames that fill rings, and some of a length that no frame has. */
const lengths = (most: number): fc.Arbitrary<number[]> =>
  fc.array(
    fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 14, max: 1518 }) },
      { weight: 1, arbitrary: fc.constantFrom(4, 13, 14, 1518, 1519, 3000) },
    ),
    { minLength: 1, maxLength: most },
  );

export function txSteps(config: Config): fc.Arbitrary<Alone<TxState, TxReal> | Race<TxState, TxReal>>[] {
  const ours = config.driver === 'ours';
  const some = fc.integer({ min: 1, max: 32 });
  const frames = ours ? lengths(12) : fc.array(fc.integer({ min: 14, max: 1518 }), { minLength: 1, maxLength: 6 });
  const burst = ours ? fc.oneof(frames, frames, fc.constant(Array<number>(config.size + 1).fill(60))) : frames;
  const sends = burst.map((each) => new Send(each));
  const reclaims = fc.constant(new Reclaim());
  const takes = some.map((max) => new Take(max));
  const uses = fc.tuple(some, fc.oneof(fc.constant(0), fc.nat())).map(([count, random]) => new Use(count, random));
  const arms = fc.constantFrom(new ArmDevice(), new DisarmDevice());
  const driverSteps = fc.oneof(sends, sends, sends, reclaims);
  const deviceSteps = fc.oneof(takes, takes, uses, uses, arms);
  const at = fc.nat(4);
  const alone = (steps: fc.Arbitrary<Step<TxState, TxReal>>) => steps.map((step) => new Alone(step));
  const race = (outer: fc.Arbitrary<Step<TxState, TxReal>>, inner: fc.Arbitrary<Step<TxState, TxReal>>) =>
    fc.tuple(outer, inner, at).map((parts) => new Race(...parts));
  return [
    alone(driverSteps),
    alone(driverSteps),
    alone(deviceSteps),
    alone(deviceSteps),
    race(driverSteps, deviceSteps),
    race(deviceSteps, driverSteps),
    race(sends, arms),
    race(arms, sends),
    alone(
      fc.oneof(
        { weight: 3, arbitrary: fc.constant(new Restart()) },
        { weight: 1, arbitrary: fc.constant(new Reset()) },
      ),
    ),
  ];
}

/** At the end the device uses all that it has, and the driver has every buffer back. */
export function finishTx(holder: Holder<TxState>, real: TxReal): void {
  for (let round = 0; holder.state.queue.inRing.length > 0; round++) {
    demand(round < 600, 'buffers stay in the ring though the device uses all');
    const steps = [new Use(600, 0), new Take(32), new Use(600, 0), new Reclaim()];
    for (const step of steps) if (step.ready(holder.state)) new Alone<TxState, TxReal>(step).run(holder, real);
  }
}

/** Sends `count` frames through an empty queue, and gets them all back. */
export function passTx(holder: Holder<TxState>, real: TxReal, frames: number): void {
  for (let left = frames; left > 0; ) {
    const count = Math.min(left, holder.state.config.size);
    new Alone<TxState, TxReal>(new Send(Array<number>(count).fill(60))).run(holder, real);
    demand(holder.state.queue.available.length > 0, 'an empty queue takes no frame');
    left -= holder.state.queue.available.length;
    finishTx(holder, real);
  }
}
