/**
 * The timer RETRANSMIT of the sender: RTO (RFC 6298, 5), PTO (RFC 8985, 7.2) or RACK's reordering timer (RFC 8985, 6.2),
 * one at a time (RFC 8985, 8). It never fires early: delays are counted in µs, and rounded up to the tick of the wheel.
 */

import type { Clock } from '../../clock.js';
import {
  FLAG_PERSIST,
  FLAGS,
  PTO_FROM_US,
  RACK_DUE_US,
  RECOVERY_BITS,
  ROW_SHIFT,
  type Rows,
  RTO_FROM_US,
} from '../state/rows.js';
import { RACK_WAITS, TIMER_MASK, TIMER_NONE, TIMER_PTO, TIMER_RACK, TIMER_RTO } from './bits.js';
import { rtoUs } from './rtt.js';
import type { SentRing } from './sent-ring.js';
import { canProbe, probeTimeoutUs } from './tlp.js';

const US_PER_MS = 1000;
/** Timers per row, and which of them is this one. */
const KINDS_SHIFT = 2;
const KIND_RETRANSMIT = 0;

/** The part of the timer wheel that recovery uses. */
export interface TimerSetter {
  set(id: number, deadlineMs: number): void;
  clear(id: number): void;
}

export class RetransmitTimer {
  private readonly i32: Int32Array;
  private readonly f64: Float64Array;

  constructor(
    rows: Rows,
    private readonly ring: SentRing,
    private readonly clock: Clock,
    private readonly wheel: TimerSetter,
  ) {
    this.i32 = rows.i32;
    this.f64 = rows.f64;
  }

  /** The RTO counts from now on. */
  restart(r: number): void {
    this.i32[r + RTO_FROM_US] = this.clock.us;
  }

  /** The PTO counts from now on. */
  restartProbe(r: number): void {
    this.i32[r + PTO_FROM_US] = this.clock.us;
  }

  /** Which of the three the timer waits for: a TIMER_ number. */
  kind(r: number): number {
    return this.i32[r + RECOVERY_BITS] & TIMER_MASK;
  }

  /**
   * Sets the timer to what comes first. With nothing in flight it is cleared, unless it is the persist timer.
   */
  rearm(r: number): void {
    const i32 = this.i32;
    const id = ((r >> ROW_SHIFT) << KINDS_SHIFT) | KIND_RETRANSMIT;
    const count = this.ring.count(r);
    if (count === 0) {
      this.setKind(r, TIMER_NONE);
      if ((i32[r + FLAGS] & FLAG_PERSIST) === 0) this.wheel.clear(id);
      return;
    }
    const now = this.clock.us;
    let kind = TIMER_RTO;
    let rest = (i32[r + RTO_FROM_US] + rtoUs(i32, r) - now) | 0;
    if ((i32[r + RECOVERY_BITS] & RACK_WAITS) !== 0) {
      const rack = (i32[r + RACK_DUE_US] - now) | 0;
      if (rack < rest) {
        kind = TIMER_RACK;
        rest = rack;
      }
    } else if (canProbe(i32, r)) {
      // A probe that is due with the RTO goes out instead of it (RFC 8985, 7.2).
      kind = TIMER_PTO;
      const probe = (i32[r + PTO_FROM_US] + probeTimeoutUs(this.f64, r, count === 1) - now) | 0;
      if (probe < rest) rest = probe;
    }
    this.setKind(r, kind);
    // The microseconds of the present millisecond that have passed.
    const passed = (now - Math.imul(this.clock.ms, US_PER_MS)) | 0;
    const wait = ((rest > 0 ? rest : 0) + passed + US_PER_MS - 1) | 0;
    this.wheel.set(id, (this.clock.ms + ((wait / US_PER_MS) | 0)) | 0);
  }

  private setKind(r: number, kind: number): void {
    this.i32[r + RECOVERY_BITS] = (this.i32[r + RECOVERY_BITS] & ~TIMER_MASK) | kind;
  }
}
