/**
 * Collects frames for the device and hands them over a burst at a time, because a doorbell and a look at the ring cost
 * more than a frame does.
 */

import { L2, type L2Counters } from '../../counters.js';
import { type CapturePoint, NO_CAPTURE } from '../capture-point.js';
import type { FrameSink } from '../lower-layer.js';

/** Frames in a burst, as in DPDK and BESS. */
export const BURST = 32;

// V8 folds local constants: docs/v8.md, "Local constants".
const FULL = BURST;

export class TxBurst {
  private readonly handles = new Uint32Array(BURST);
  private readonly lengths = new Uint32Array(BURST);
  private readonly values: Float64Array;
  private waiting = 0;
  private isFlushing = false;
  /** How many of the waiting frames captures have seen already. */
  private seen = 0;

  /** @param capture sees the frames that the sink gets */
  constructor(
    private readonly sink: FrameSink,
    counters: L2Counters,
    private readonly capture: CapturePoint = NO_CAPTURE,
  ) {
    this.values = counters.values;
  }

  /** Frames that the sink has not taken yet. */
  get pending(): number {
    return this.waiting;
  }

  /** Buffers that these frames lie in. */
  get buffers(): number {
    return this.sink.table.partsOf(this.handles, 0, this.waiting);
  }

  /**
   * Appends a frame of `length` bytes. Hands the burst over when it is full.
   * @returns false when there is no room because the device takes no more frames: the caller keeps the buffer.
   */
  push(handle: number, length: number): boolean {
    if (this.waiting === FULL) {
      this.flush();
      if (this.waiting === FULL) return false;
    }
    this.handles[this.waiting] = handle;
    this.lengths[this.waiting] = length;
    if (++this.waiting === FULL) this.flush();
    return true;
  }

  /** Drops and counts the frames that still wait. */
  discard(): void {
    const { pool, table } = this.sink;
    const { handles, lengths, waiting, capture } = this;
    const reason = L2.tx_lost_link_down;
    if (capture.wantsDrops) for (let i = 0; i < waiting; i++) capture.droppedOut(handles[i], lengths[i], reason);
    for (let i = 0; i < waiting; i++) table.free(handles[i], pool);
    this.values[reason] += waiting;
    this.waiting = this.seen = 0;
  }

  /**
   * Hands over the frames that wait. Frames that the device has no room for stay; when the link is down, they are
   * dropped and counted.
   */
  flush(): void {
    // A device that finds an error calls its listener inside txBurst, and the listener may flush.
    if (this.waiting === 0 || this.isFlushing) return;
    this.isFlushing = true;
    // Before the sink has them, because it may give their buffers back at once.
    if (this.capture.isOn) this.show();
    const taken = this.sink.txBurst(this.handles, this.lengths, this.waiting);
    this.isFlushing = false;
    const left = this.waiting - taken;
    if (left > 0 && !this.sink.isUp) {
      // Otherwise they would be sent when the link comes back, perhaps minutes late.
      this.handles.copyWithin(0, taken, this.waiting);
      this.lengths.copyWithin(0, taken, this.waiting);
      this.waiting = left;
      this.discard();
      return;
    }
    if (taken > 0 && left > 0) {
      this.handles.copyWithin(0, taken, this.waiting);
      this.lengths.copyWithin(0, taken, this.waiting);
    }
    this.waiting = left;
    if (this.seen > 0) this.seen = left;
  }

  /** Shows captures the frames that they have not seen. Frames that are dropped with the link were never sent. */
  private show(): void {
    if (!this.sink.isUp) return;
    this.capture.sent(this.handles, this.lengths, this.seen, this.waiting);
    this.seen = this.waiting;
  }
}
