/** A receive queue: what the model knows about it, and the steps of the device's side. */
import { frameOf } from '../support/virtio/driver-under-test.js';
import { type Config, rulesOf, zeroedWish } from './ring-fixture.js';
import {
  OurRxDevice,
  type OurRxDriver,
  PlainRxDevice,
  type PlainRxDriver,
  type Posted,
  type Received,
} from './rx-ends.js';
import { type Explanation, notified, type State, type Step } from './steps.js';
import { demand, Virtqueue } from './virtqueue.js';

export const HEADER = 12;
export const NUM_BUFFERS = 10;

export interface RxReal {
  driver: OurRxDriver | PlainRxDriver;
  device: OurRxDevice | PlainRxDevice;
  /** Frames that our driver has delivered. */
  hand: Received[];
  /** Of the next frame. */
  seed: number;
  /** 2.4: all is as at the beginning. Returns what is in the ring then. */
  reset(): readonly Posted[];
  close(): void;
}

export class RxState implements State<RxReal> {
  /** Keys of the buffers that the caller holds. */
  hand: number[] = [];
  /** Buffers still to come of a packet in several buffers, which our driver drops. */
  skipping = 0;
  /** Our driver has asked for signals. */
  wantsSignals = false;

  constructor(
    readonly config: Config,
    public queue = RxState.emptyQueue(config),
  ) {}

  private static emptyQueue(config: Config): Virtqueue<Posted> {
    const suppressed = config.eventIdx && !config.packed ? { at: -1 } : 'never';
    const driverWish = config.driver === 'plain' ? zeroedWish(config) : suppressed;
    return new Virtqueue<Posted>(rulesOf(config), zeroedWish(config), driverWish);
  }

  clone(): RxState {
    const copy = new RxState(this.config, this.queue.clone());
    copy.hand = [...this.hand];
    copy.skipping = this.skipping;
    copy.wantsSignals = this.wantsSignals;
    return copy;
  }

  /** A ring that begins with these buffers. The caller keeps those that it holds. */
  begin(posted: readonly Posted[]): this {
    this.queue = RxState.emptyQueue(this.config);
    this.queue.offer(posted);
    this.skipping = 0;
    this.wantsSignals = false;
    return this;
  }

  check(real: RxReal): void {
    const sorted = (keys: readonly number[]): string => [...keys].sort((a, b) => a - b).join();
    const hand = real.hand.map(({ key }) => key);
    demand(sorted(hand) === sorted(this.hand), `in hand are ${sorted(hand)}, in the model ${sorted(this.hand)}`);
    const held = sorted(real.driver.held(hand));
    const expected = sorted(this.queue.inRing.map(({ key }) => key));
    demand(held === expected, `the driver has the buffers ${held} in the ring, the model ${expected}`);
  }

  /** The same as for a transmit queue. */
  armed(answer: boolean | null): void {
    const { available } = this.queue;
    demand(
      answer === null || answer === (available.length === 0),
      `arming said ${answer}, ${available.length} available`,
    );
    this.queue.armDevice();
    if (answer === false) this.disarmed();
  }

  disarmed(): void {
    const { queue, config } = this;
    if (!config.eventIdx || config.packed) queue.deviceWish = 'never';
    else if (config.device === 'plain') queue.deviceWish = { at: queue.takenTo - 1 };
  }

  /**
   * What 5.1.6.4 makes of frames and the posted buffers: one buffer per frame, or with MRG_RXBUF as many as the frame
   * needs, all but the last of them full. A frame that does not fit leaves the buffers to the next one.
   */
  put(frames: readonly Uint8Array[]): { used: { key: number; bytes: Uint8Array }[]; delivered: number } {
    const used: { key: number; bytes: Uint8Array }[] = [];
    let [next, delivered] = [0, 0];
    for (const frame of frames) {
      const chains: Posted[] = [];
      const needed = HEADER + frame.length;
      const most = this.config.mergeable ? this.config.size : 1;
      const room = (): number => chains.reduce((sum, { capacity }) => sum + capacity, 0);
      while (room() < needed && chains.length < most && next + chains.length < this.queue.available.length) {
        chains.push(this.queue.available[next + chains.length]!);
      }
      if (room() < needed) continue;
      const bytes = Buffer.concat([new Uint8Array(HEADER), frame]);
      bytes.writeUInt16LE(chains.length, NUM_BUFFERS);
      let from = 0;
      for (const { key, capacity } of chains) {
        used.push({ key, bytes: bytes.subarray(from, from + capacity) });
        from += capacity;
      }
      next += chains.length;
      delivered++;
    }
    return { used, delivered };
  }
}

type RxStep = Step<RxState, RxReal>;

/** Gives our device frames to deliver. */
export class Put implements RxStep {
  readonly side = 'device';
  readonly name: string;

  constructor(private readonly lengths: readonly number[]) {
    this.name = `put ${lengths}`;
  }

  ready = (): boolean => true;

  run(real: RxReal): Explanation<RxState> {
    if (!(real.device instanceof OurRxDevice)) throw new Error('this is not our device');
    const frames = this.lengths.map((length) => frameOf(real.seed++, length));
    const { delivered, dropped, signalled } = real.device.put(frames);
    return (state, notice, racing) => {
      const { queue } = state;
      demand(delivered + dropped === frames.length, `${delivered} delivered, ${dropped} dropped of ${frames.length}`);
      // Not while the other side acts: a frame between the two halves of our driver's burst may find the ring not
      // filled again yet.
      const early = racing && frames.length === 1 && delivered === 0;
      const expected = state.put(early ? [] : frames);
      demand(delivered === expected.delivered, `delivered ${delivered} frames, expected ${expected.delivered}`);
      queue.take(expected.used.length);
      notified(queue.use(expected.used), signalled, notice, 'the driver', 'signal');
    };
  }
}

/** A plain device takes buffers, and uses them later. */
export class TakeBuffers implements RxStep {
  readonly side = 'device';
  readonly name: string;

  constructor(private readonly max: number) {
    this.name = `take ${max} buffers`;
  }

  ready = ({ config }: RxState): boolean => config.device === 'plain';

  run(real: RxReal): Explanation<RxState> {
    if (!(real.device instanceof PlainRxDevice)) throw new Error('this is not a plain device');
    const keys = real.device.take(this.max);
    return ({ queue }) => {
      const expected = Math.min(this.max, queue.available.length);
      demand(keys.length === expected, `the device found ${keys.length} buffers, expected ${expected}`);
      const taken = queue.take(expected).map(({ key }) => key);
      demand(`${taken}` === `${keys}`, `the device found the buffers ${keys}, expected ${taken}`);
    };
  }
}

/** What a plain device writes: frames, fewer bytes than any frame has, or one packet over all those buffers. */
export type Writing = 'frames' | 'too little' | 'one packet';

export class Fill implements RxStep {
  readonly side = 'device';
  readonly name: string;

  constructor(
    private readonly count: number,
    private readonly random: number,
    private readonly what: Writing,
  ) {
    this.name = `fill ${count} with ${what}, chosen by ${random}`;
  }

  ready = ({ queue, config }: RxState): boolean =>
    config.device === 'plain' && queue.taken.length > 0 && (config.mergeable || this.what !== 'one packet');

  run(real: RxReal): Explanation<RxState> {
    if (!(real.device instanceof PlainRxDevice)) throw new Error('this is not a plain device');
    const { order, writings, signalled } = real.device.use(this.count, this.random, (n) => this.write(real, n));
    return ({ queue }, notice) => {
      const used = order.map((i, k) => ({ key: queue.taken[i]!.key, bytes: writings[k]! }));
      notified(queue.use(used), signalled, notice, 'the driver', 'signal');
    };
  }

  private write(real: RxReal, count: number): Uint8Array[] {
    return Array.from({ length: count }, (_, i) => {
      const seed = real.seed++;
      const length = 14 + ((this.random + i * 331) % 1580);
      if (this.what === 'too little') return frameOf(seed, 4 + (length % 22));
      const bytes = Buffer.concat([new Uint8Array(HEADER), frameOf(seed, length)]);
      // One buffer; num_buffers of 0 can only mean the same.
      bytes.writeUInt16LE(this.what === 'one packet' ? count : seed % 2, NUM_BUFFERS);
      return bytes;
    });
  }
}

export class ArmDevice implements RxStep {
  readonly side = 'device';
  readonly name = 'ask for doorbells';
  readonly isWish = true;

  ready = (): boolean => true;

  run(real: RxReal): Explanation<RxState> {
    const armed = real.device.arm();
    return (state) => state.armed(armed);
  }
}

export class DisarmDevice implements RxStep {
  readonly side = 'device';
  readonly name = 'no doorbells';
  readonly isWish = true;

  ready = (): boolean => true;

  run(real: RxReal): Explanation<RxState> {
    real.device.disarm();
    return (state) => state.disarmed();
  }
}

export class Restart implements RxStep {
  readonly side = 'device';
  readonly name = 'stop the ring and begin again there';

  ready = ({ config }: RxState): boolean => config.device === 'ours';

  run(real: RxReal): Explanation<RxState> {
    if (real.device instanceof OurRxDevice) real.device.restart();
    return () => {};
  }
}
