/**
 * Congestion control: cwnd and ssthresh of each connection. Slow start (RFC 5681, 3.1) with HyStart++ (RFC 9406), then
 * CUBIC (RFC 9438) or, with FLAG_RENO, Reno (RFC 5681). Loss recovery says when a loss, a timeout or ECE asks for a
 * reduction, and sets cwnd itself during fast recovery.
 */

import type { Clock } from '../../clock.js';
import {
  CONGESTION_BITS,
  CUBIC_EPOCH_MS,
  CUBIC_K,
  CUBIC_MAX,
  CUBIC_RENO,
  CWND,
  CWND_PART,
  ECN_END,
  FLAG_CWR,
  FLAG_RENO,
  FLAGS,
  LAST_SENT_MS,
  MSS,
  PRIOR_CWND,
  PRIOR_SSTHRESH,
  ROUND_END,
  type Rows,
  SND_NXT,
  SND_UNA,
  SRTT,
  SSTHRESH,
} from '../state/rows.js';
import { ECN_REDUCED } from './bits.js';
import { CUBIC_BETA, growCubic, pauseCubic, reduceCubic, restoreCubic } from './cubic.js';
import { beginHyStartRound, openHyStart, sampleHyStart, slowStartGrowth } from './hystart.js';
import { beginRound, isWindowUsed, restartAfterIdle, usedWindow } from './idle.js';
import { initialWindow } from './initial.js';
import { growReno, RENO_BETA } from './reno.js';

/** Most bytes of cwnd: the largest window (RFC 7323, 2.3). */
export const MAX_CWND = 1 << 30;
const US_PER_MS = 1000;
/** ssthresh before the first reduction. */
export const NO_SSTHRESH = MAX_CWND;

export class CongestionControl {
  private readonly i32: Int32Array;
  private readonly f64: Float64Array;

  constructor(
    rows: Rows,
    private readonly clock: Clock,
  ) {
    this.i32 = rows.i32;
    this.f64 = rows.f64;
  }

  /** Prepares a row. If the SYN was lost, cwnd begins with one segment (RFC 5681, 3.1). */
  open(r: number, synLost: boolean): void {
    const i32 = this.i32;
    i32[r + CONGESTION_BITS] = 0;
    i32[r + CWND] = synLost ? i32[r + MSS] : initialWindow(i32, r);
    i32[r + SSTHRESH] = NO_SSTHRESH;
    i32[r + PRIOR_CWND] = 0;
    i32[r + PRIOR_SSTHRESH] = NO_SSTHRESH;
    i32[r + LAST_SENT_MS] = this.clock.ms;
    i32[r + CUBIC_MAX] = 0;
    i32[r + CUBIC_K] = 0;
    i32[r + CUBIC_EPOCH_MS] = 0;
    this.f64[(r >> 1) + CUBIC_RENO] = 0;
    this.f64[(r >> 1) + CWND_PART] = 0;
    beginRound(i32, r, 0);
    openHyStart(i32, r);
  }

  /**
   * An ACK came, of whatever kind: ends the round, and takes the RTT sample.
   * @param pipe bytes in the network before the ACK
   * @param rttUs of a segment that was sent once; -1: none
   */
  observe(r: number, ack: number, pipe: number, rttUs: number): void {
    const i32 = this.i32;
    const slowStart = i32[r + SSTHRESH] === NO_SSTHRESH;
    if (((ack - i32[r + ROUND_END]) | 0) >= 0) {
      beginRound(i32, r, pipe);
      if (slowStart) beginHyStartRound(i32, r);
    }
    if (slowStart && rttUs >= 0) sampleHyStart(i32, r, rttUs);
    if (!this.isReducing(r, ack)) i32[r + CONGESTION_BITS] &= ~ECN_REDUCED;
  }

  /**
   * Whether cwnd was reduced because of ECE, and nothing that was sent since is acknowledged: once per window is
   * enough, and CWR is in the segment after ECN_END.
   */
  isReducing(r: number, una: number): boolean {
    const i32 = this.i32;
    return (i32[r + CONGESTION_BITS] & ECN_REDUCED) !== 0 && ((una - i32[r + ECN_END]) | 0) <= 0;
  }

  /**
   * Grows cwnd, unless the application does not use it.
   * @param acked bytes that the ACK number acknowledges newly
   * @param afterTimeout in slow start after a timeout, an ACK may cover much that had arrived before: it counts as one
   *   segment (RFC 3465, 2.3)
   */
  grow(r: number, acked: number, afterTimeout: boolean): void {
    const i32 = this.i32;
    if (!isWindowUsed(i32, r)) {
      pauseCubic(i32, r);
      return;
    }
    const cwnd = i32[r + CWND];
    const ssthresh = i32[r + SSTHRESH];
    let rest = acked;
    if (cwnd < ssthresh) {
      const counted = afterTimeout ? Math.min(acked, i32[r + MSS]) : acked;
      const growth = Math.floor(slowStartGrowth(i32, r, counted));
      i32[r + CWND] = Math.min(ssthresh, cwnd + growth);
      if (cwnd + growth < ssthresh) return;
      rest = cwnd + growth - ssthresh;
    }
    if ((i32[r + FLAGS] & FLAG_RENO) !== 0) growReno(i32, this.f64, r, rest);
    else growCubic(i32, this.f64, r, rest, this.f64[(r >> 1) + SRTT], this.clock.ms);
    if (i32[r + CWND] > MAX_CWND) i32[r + CWND] = MAX_CWND;
  }

  /**
   * Sets ssthresh after a loss, and keeps what it was before for {@link undo}. cwnd stays.
   * @param flight bytes in flight
   */
  reduce(r: number, flight: number, isTimeout: boolean): void {
    const i32 = this.i32;
    const used = usedWindow(i32, r, flight);
    i32[r + PRIOR_CWND] = i32[r + CWND];
    i32[r + PRIOR_SSTHRESH] = i32[r + SSTHRESH];
    let factor = RENO_BETA;
    if ((i32[r + FLAGS] & FLAG_RENO) === 0) {
      reduceCubic(i32, this.f64, r, used, isTimeout);
      factor = CUBIC_BETA;
    }
    i32[r + SSTHRESH] = Math.max(Math.floor(used * factor), 2 * i32[r + MSS]);
  }

  /** The last reduction was wrong. `cwnd` in bytes is what cwnd becomes, unless it is more now. */
  undo(r: number, cwnd: number): void {
    const i32 = this.i32;
    if (i32[r + CWND] < cwnd) i32[r + CWND] = cwnd;
    if (i32[r + SSTHRESH] < i32[r + PRIOR_SSTHRESH]) i32[r + SSTHRESH] = i32[r + PRIOR_SSTHRESH];
    if ((i32[r + FLAGS] & FLAG_RENO) === 0) restoreCubic(i32, this.f64, r);
    if (i32[r + SSTHRESH] === NO_SSTHRESH) openHyStart(i32, r);
  }

  /** Nothing is in flight, and something is to be sent: cwnd falls if that has lasted longer than an RTO. */
  checkIdle(r: number, rtoUs: number): void {
    const i32 = this.i32;
    const idleMs = (this.clock.ms - i32[r + LAST_SENT_MS]) | 0;
    // As `idleMs <= Math.ceil(rtoUs / US_PER_MS)`, without the division.
    if (idleMs >= 0 && idleMs * US_PER_MS < rtoUs + US_PER_MS) return;
    restartAfterIdle(i32, r, idleMs < 0 ? 0x7fffffff : idleMs, Math.ceil(rtoUs / US_PER_MS));
    i32[r + LAST_SENT_MS] = this.clock.ms;
  }

  /**
   * ECE came: reduces once per window, and asks for CWR (RFC 3168, 6.1.2).
   * @returns whether it reduced
   */
  ecnEcho(r: number, flight: number): boolean {
    const i32 = this.i32;
    if (this.isReducing(r, i32[r + SND_UNA])) return false;
    this.reduce(r, flight, false);
    i32[r + CWND] = Math.min(i32[r + CWND], i32[r + SSTHRESH]);
    i32[r + CONGESTION_BITS] |= ECN_REDUCED;
    i32[r + ECN_END] = i32[r + SND_NXT];
    i32[r + FLAGS] |= FLAG_CWR;
    return true;
  }
}
