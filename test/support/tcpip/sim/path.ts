/**
 * One direction of a link: a queue, a transmitter of a certain rate, and a wire of a certain length on which frames get
 * lost, overtaken, doubled and damaged.
 */

import { ETH_HEADER_BYTES } from '../../../../src/wire/ethernet.js';
import type { Random } from '../../../fuzz/random.js';
import type { EventQueue, EventTarget } from './event-queue.js';
import type { FramePool } from './frame-pool.js';
import { type ImpairmentOptions, Impairments } from './impairments.js';
import { answerTooBig, markCongestion, mayFragment, writeFragments } from './router.js';

/** Where frames arrive. */
export interface Endpoint {
  /** Takes the frame in `slot`, which the endpoint owns from now on. */
  arrive(slot: number): void;
}

export interface PathOptions extends ImpairmentOptions {
  /** Bits of frames per second. Default: no limit. */
  readonly bitsPerSecond?: number;
  /** From the end of the transmission until the frame arrives. Default 0. */
  readonly delayMs?: number;
  /** Room of the queue in bytes. Default: no limit. */
  readonly queueBytes?: number;
  /**
   * What happens when the queue is full: the new frame is dropped, as in a router (`drop`, the default), or the device
   * keeps it, as a transmit ring does (`hold`).
   */
  readonly whenFull?: 'drop' | 'hold';
  /** Bytes in the queue from which on packets that allow it are marked "congestion experienced" (RFC 3168, 5). */
  readonly markFrom?: number;
  /** Longest IP packet in bytes. Default: no limit. */
  readonly mtu?: number;
  /**
   * What happens to a longer packet: a router answers that it must be fragmented, or fragments it (`router`, the default);
   * or it is dropped in silence (`black-hole`).
   */
  readonly tooLong?: 'router' | 'black-hole';
  /** Returns true to lose a frame, which is `length` bytes long. `number` counts the frames of the path from 0. */
  readonly lose?: (frame: Uint8Array, length: number, number: number) => boolean;
}

/** What a path has counted. */
export interface PathCounters {
  sent: number;
  sentBytes: number;
  arrived: number;
  lost: number;
  overflowed: number;
  reordered: number;
  duplicated: number;
  corrupted: number;
  tooLong: number;
  marked: number;
}

/** What paths share. */
export interface Wires {
  readonly events: EventQueue;
  readonly frames: FramePool;
  readonly random: Random;
  readonly now: number;
  /** Gets each frame at the moment when it enters a path. */
  watch: ((path: Path, frame: Uint8Array, length: number, fate: string) => void) | null;
}

/** Events of a path have the slot of a frame, or this number for the first frame of the wire. */
const FIRST_OF_WIRE = -1;
/** Slack in ms for sums of fractions. */
const EPSILON = 1e-9;

export class Path implements EventTarget {
  readonly counters: PathCounters = {
    ...{ sent: 0, sentBytes: 0, arrived: 0, lost: 0, overflowed: 0 },
    ...{ reordered: 0, duplicated: 0, corrupted: 0, tooLong: 0, marked: 0 },
  };
  /** The other direction of the link: routers answer there. */
  reverse: Path | null = null;
  private options: PathOptions = {};
  private impairments: Impairments;
  private bytesPerMs = Number.POSITIVE_INFINITY;
  /** When the transmitter has sent all frames that are in the queue. */
  private idleAt = 0;
  private readonly number: number;
  /** Frames on the wire that keep their order: a ring. */
  private wireSlots = new Int32Array(64);
  private wireTimes = new Float64Array(64);
  private wireHead = 0;
  private wireCount = 0;
  private lastArrival = 0;

  constructor(
    readonly name: string,
    private readonly wires: Wires,
    private readonly to: Endpoint,
    options: PathOptions,
  ) {
    this.number = wires.events.register(this);
    this.impairments = new Impairments(options, wires.random);
    this.set(options);
  }

  /** Replaces all options, for the frames that are sent from now on. */
  set(options: PathOptions): void {
    this.options = options;
    this.impairments = new Impairments(options, this.wires.random);
    this.bytesPerMs = options.bitsPerSecond === undefined ? Number.POSITIVE_INFINITY : options.bitsPerSecond / 8000;
  }

  /** Bytes that wait in the queue. */
  get queued(): number {
    const waitMs = this.idleAt - this.wires.now;
    return waitMs > 0 ? waitMs * this.bytesPerMs : 0;
  }

  /** When a frame of `length` bytes that the path has refused fits into the queue, in ms. */
  roomAt(length: number): number {
    const { queueBytes = Number.POSITIVE_INFINITY } = this.options;
    return this.idleAt - Math.max(queueBytes - length, 0) / this.bytesPerMs;
  }

  /** Whether a device must keep a frame of `length` bytes, because it may not be dropped and the queue is full. */
  mustHold(length: number): boolean {
    return this.options.whenFull === 'hold' && this.isFull(length);
  }

  /** Sends the frame in `slot`, which the path owns from now on. */
  send(slot: number): void {
    const { wires, counters, options, impairments } = this;
    const { frames } = wires;
    const frame = frames.views[slot]!;
    const length = frames.lengths[slot]!;
    if (options.mtu !== undefined && length > options.mtu + ETH_HEADER_BYTES) {
      this.refuseTooLong(slot, options.mtu);
      return;
    }
    const number = counters.sent++;
    if (this.isFull(length)) {
      counters.overflowed++;
      this.drop(slot, 'overflowed');
      return;
    }
    counters.sentBytes += length;
    if (options.markFrom !== undefined && this.queued >= options.markFrom && markCongestion(frame)) counters.marked++;
    this.idleAt = Math.max(this.idleAt, wires.now) + length / this.bytesPerMs;
    if (options.lose?.(frame, length, number) === true || impairments.isLost()) {
      counters.lost++;
      this.drop(slot, 'lost');
      return;
    }
    const arrival = this.idleAt + (options.delayMs ?? 0);
    // Before the damage, so that each of the two has its own.
    if (impairments.isDuplicated()) {
      counters.duplicated++;
      const copy = frames.copy(slot);
      this.damage(copy);
      this.carry(copy, arrival, 'duplicate');
    }
    const isDamaged = this.damage(slot);
    this.carry(slot, arrival, isDamaged ? 'corrupted' : '');
  }

  happen(data: number): void {
    this.counters.arrived++;
    if (data !== FIRST_OF_WIRE) {
      this.to.arrive(data);
      return;
    }
    const slot = this.wireSlots[this.wireHead]!;
    this.wireHead = (this.wireHead + 1) & (this.wireSlots.length - 1);
    if (--this.wireCount > 0) this.wires.events.add(this.wireTimes[this.wireHead]!, this.number, FIRST_OF_WIRE);
    this.to.arrive(slot);
  }

  private isFull(length: number): boolean {
    const { queueBytes } = this.options;
    // A frame always fits into an empty queue.
    return queueBytes !== undefined && this.queued > EPSILON && this.queued + length > queueBytes + EPSILON;
  }

  private damage(slot: number): boolean {
    const { frames } = this.wires;
    const isDamaged = this.impairments.corrupt(frames.views[slot]!, frames.lengths[slot]!);
    if (isDamaged) this.counters.corrupted++;
    return isDamaged;
  }

  private carry(slot: number, arrival: number, fate: string): void {
    const { events, frames, watch } = this.wires;
    watch?.(this, frames.views[slot]!, frames.lengths[slot]!, fate);
    const extra = this.impairments.extraMs();
    if (extra > 0) {
      this.counters.reordered++;
      events.add(arrival + extra, this.number, slot);
      return;
    }
    // When the options change, a frame must not overtake those that are on the wire already.
    this.lastArrival = Math.max(this.lastArrival, arrival);
    if (this.wireCount === this.wireSlots.length) this.growWire();
    const at = (this.wireHead + this.wireCount) & (this.wireSlots.length - 1);
    this.wireSlots[at] = slot;
    this.wireTimes[at] = this.lastArrival;
    if (this.wireCount++ === 0) events.add(this.lastArrival, this.number, FIRST_OF_WIRE);
  }

  private refuseTooLong(slot: number, mtu: number): void {
    const { frames } = this.wires;
    const frame = frames.views[slot]!;
    this.counters.tooLong++;
    if (this.options.tooLong === 'black-hole') {
      this.drop(slot, 'too long');
    } else if (mayFragment(frame)) {
      for (const fragment of writeFragments(frames, slot, mtu)) this.send(fragment);
      frames.release(slot);
    } else {
      const answer = answerTooBig(frames, slot, mtu);
      this.drop(slot, 'too long');
      if (answer !== null) this.reverse?.send(answer);
    }
  }

  private drop(slot: number, fate: string): void {
    const { frames, watch } = this.wires;
    watch?.(this, frames.views[slot]!, frames.lengths[slot]!, fate);
    frames.release(slot);
  }

  private growWire(): void {
    const size = this.wireSlots.length;
    const slots = new Int32Array(2 * size);
    const times = new Float64Array(2 * size);
    for (let i = 0; i < size; i++) {
      const at = (this.wireHead + i) & (size - 1);
      slots[i] = this.wireSlots[at]!;
      times[i] = this.wireTimes[at]!;
    }
    this.wireSlots = slots;
    this.wireTimes = times;
    this.wireHead = 0;
  }
}
