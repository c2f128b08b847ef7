/**
 * Beginning, end and undoing of a recovery. A connection is in one of the states OPEN, RECOVERY (fast recovery) and
 * LOSS (after a timeout); the reduction of cwnd at the beginning can be undone when nothing was lost.
 */

import type { CongestionControl } from '../congestion/control.js';
import { initialWindow } from '../congestion/initial.js';
import { beginPrr, updatePrr } from '../congestion/prr.js';
import { TCP } from '../counters.js';
import {
  CWND,
  FLAG_CWR,
  FLAG_SACK,
  FLAGS,
  HIGHEST_SACKED,
  LOST_BYTES,
  MSS,
  PRIOR_CWND,
  RECOVERY_BITS,
  RECOVERY_POINT,
  RING_HEAD,
  type Rows,
  SACKED_SEGMENTS,
  SND_NXT,
  SND_UNA,
  SSTHRESH,
} from '../state/rows.js';
import type { AckEvent } from './ack-event.js';
import {
  CAN_UNDO,
  FRTO,
  FRTO_NEW_DATA,
  LOSS,
  OPEN,
  POINT_SET,
  RECOVERY,
  RECOVERY_STATE,
  REORDERING_SEEN,
} from './bits.js';
import type { NewReno } from './newreno.js';
import type { Rack } from './rack.js';
import { countTimeout, raiseRtt, timeoutsInRow } from './rtt.js';
import type { Scoreboard } from './scoreboard.js';
import { BITS, SEGMENT_SACKED, type SentRing } from './sent-ring.js';
import { forgetProbe } from './tlp.js';
import { beginFrto, beginUndo, isSpurious } from './undo.js';

export class Episode {
  private readonly i32: Int32Array;
  private readonly f64: Float64Array;

  constructor(
    rows: Rows,
    private readonly ring: SentRing,
    private readonly scoreboard: Scoreboard,
    private readonly rack: Rack,
    private readonly newReno: NewReno,
    private readonly congestion: CongestionControl,
    private readonly counters: Float64Array,
  ) {
    this.i32 = rows.i32;
    this.f64 = rows.f64;
  }

  state(r: number): number {
    return this.i32[r + RECOVERY_BITS] & RECOVERY_STATE;
  }

  /** What an ACK does to the state, the marks of loss, and cwnd. The scoreboard is up to date. */
  step(r: number, event: AckEvent): void {
    const i32 = this.i32;
    if (isSpurious(i32, r, event)) {
      this.undo(r, event);
      return;
    }
    let lost = i32[r + LOST_BYTES];
    const beyond = (event.ack - i32[r + RECOVERY_POINT]) | 0;
    if (this.state(r) === OPEN) {
      // A window later, nothing comes any more that is about the last recovery.
      if (beyond > i32[r + CWND]) i32[r + RECOVERY_BITS] &= ~(POINT_SET | CAN_UNDO);
    } else if (beyond >= 0) {
      this.leave(r);
      // What was sent during the recovery and is lost begins another one.
      lost = 0;
    }
    if ((i32[r + FLAGS] & FLAG_SACK) !== 0) this.rack.detect(r);
    else this.newReno.detect(r, event);
    const foundLoss = i32[r + LOST_BYTES] > lost;
    if (foundLoss && this.state(r) === OPEN) this.enter(r, event);
    const state = this.state(r);
    if (state === RECOVERY) {
      updatePrr(i32, r, this.scoreboard.pipe(r), event.delivered, event.acked > 0 && !foundLoss);
    } else if (event.acked > 0) {
      this.congestion.grow(r, event.acked, state === LOSS);
    }
  }

  /**
   * RACK's timer has expired: segments that did not come in time are lost (RFC 8985, 6.2, step 5).
   * @returns whether there are any
   */
  reorderingExpired(r: number, event: AckEvent): boolean {
    const i32 = this.i32;
    const lost = i32[r + LOST_BYTES];
    event.begin(i32[r + SND_UNA], i32[r + SND_UNA], i32[r + HIGHEST_SACKED], this.scoreboard.pipe(r));
    this.rack.detect(r);
    if (i32[r + LOST_BYTES] === lost) return false;
    if (this.state(r) === OPEN) this.enter(r, event);
    // As an ACK that delivers one segment, so that what is lost can be sent again.
    if (this.state(r) === RECOVERY) updatePrr(i32, r, this.scoreboard.pipe(r), i32[r + MSS], false);
    return true;
  }

  /** Fast recovery begins: losses were found. */
  private enter(r: number, event: AckEvent): void {
    const i32 = this.i32;
    this.counters[TCP.tcp_fast_recoveries]++;
    const reduced = this.congestion.isReducing(r, event.ack);
    if (!reduced) this.congestion.reduce(r, (i32[r + SND_NXT] - event.una) | 0, false);
    this.begin(r, RECOVERY, event.ack);
    // The reduction was that of ECN, which is no mistake whatever becomes of the losses.
    if (reduced) i32[r + RECOVERY_BITS] &= ~CAN_UNDO;
    beginPrr(i32, r, event.una, event.sacked);
  }

  /**
   * A timeout: what is lost is marked, and cwnd is one segment more than what is still in the network (RFC 5681, 3.1).
   * ssthresh falls unless the same data has timed out before.
   */
  timeout(r: number): void {
    const i32 = this.i32;
    const state = this.state(r);
    const isRepeated = state === LOSS && timeoutsInRow(i32, r) > 0;
    this.counters[TCP.tcp_rto_timeouts]++;
    countTimeout(i32, r);
    if ((this.ring.words[this.ring.at(i32[r + RING_HEAD]) + BITS] & SEGMENT_SACKED) !== 0) {
      this.counters[TCP.tcp_sack_reneging]++;
      this.scoreboard.forgetSacks(r);
    }
    if (!isRepeated) {
      // During fast recovery PRR holds cwnd, which is on its way to ssthresh.
      if (state === RECOVERY) i32[r + CWND] = i32[r + SSTHRESH];
      this.congestion.reduce(r, (i32[r + SND_NXT] - i32[r + SND_UNA]) | 0, true);
      this.begin(r, LOSS, i32[r + SND_UNA]);
    }
    beginFrto(i32, r, state);
    if ((i32[r + FLAGS] & FLAG_SACK) === 0) i32[r + SACKED_SEGMENTS] = 0;
    this.rack.markOnTimeout(r);
    i32[r + CWND] = this.scoreboard.pipe(r) + i32[r + MSS];
  }

  /** Everything that was in flight when recovery began is acknowledged. */
  private leave(r: number): void {
    const i32 = this.i32;
    if (this.state(r) === RECOVERY) i32[r + CWND] = i32[r + SSTHRESH];
    if ((i32[r + FLAGS] & FLAG_SACK) === 0) i32[r + SACKED_SEGMENTS] = 0;
    i32[r + RECOVERY_BITS] &= ~(RECOVERY_STATE | FRTO | FRTO_NEW_DATA);
    this.rack.recoveryEnded(r);
  }

  /**
   * The recovery was unnecessary: nothing is lost, and cwnd is as before. After a spurious timeout, cwnd does not allow
   * a burst, and the RTO becomes longer (RFC 4015, 3.2 and 3.3).
   */
  private undo(r: number, event: AckEvent): void {
    const i32 = this.i32;
    const state = this.state(r);
    let cwnd = i32[r + PRIOR_CWND];
    if (state === LOSS) {
      this.counters[TCP.tcp_spurious_timeouts]++;
      const flight = (i32[r + SND_NXT] - event.ack) | 0;
      cwnd = Math.min(cwnd, flight + Math.min(event.acked, initialWindow(i32, r)));
      if (event.rtt > 0) raiseRtt(i32, this.f64, r, event.rtt);
    } else {
      this.counters[TCP.tcp_undone_recoveries]++;
    }
    if (state !== OPEN) {
      this.scoreboard.unmarkLost(r);
      if ((i32[r + FLAGS] & FLAG_SACK) === 0) i32[r + SACKED_SEGMENTS] = 0;
      this.rack.recoveryEnded(r);
    }
    this.congestion.undo(r, cwnd);
    // RACK waits for late segments from now on.
    i32[r + RECOVERY_BITS] =
      (i32[r + RECOVERY_BITS] & ~(RECOVERY_STATE | CAN_UNDO | FRTO | FRTO_NEW_DATA)) | REORDERING_SEEN;
  }

  /** A tail loss probe has repaired a loss: the reaction is that of a fast recovery (RFC 8985, 7.4.2). */
  repairedByProbe(r: number, event: AckEvent): void {
    const i32 = this.i32;
    this.counters[TCP.tcp_tlp_repairs]++;
    if (this.state(r) !== OPEN || this.congestion.isReducing(r, event.ack)) return;
    this.congestion.reduce(r, (i32[r + SND_NXT] - event.una) | 0, false);
    i32[r + CWND] = Math.min(i32[r + CWND], i32[r + SSTHRESH]);
    i32[r + RECOVERY_BITS] &= ~CAN_UNDO;
  }

  /** An ACK had ECE: reduces once per window (RFC 3168, 6.1.2). During recovery, cwnd is reduced already. */
  ecnEcho(r: number): void {
    const i32 = this.i32;
    if (this.state(r) !== OPEN) {
      i32[r + FLAGS] |= FLAG_CWR;
    } else if (this.congestion.ecnEcho(r, (i32[r + SND_NXT] - i32[r + SND_UNA]) | 0)) {
      i32[r + RECOVERY_BITS] &= ~CAN_UNDO;
      this.counters[TCP.tcp_ecn_reductions]++;
    }
  }

  private begin(r: number, state: number, una: number): void {
    const i32 = this.i32;
    forgetProbe(i32, r);
    beginUndo(i32, r, this.ring, una);
    i32[r + RECOVERY_POINT] = i32[r + SND_NXT];
    i32[r + RECOVERY_BITS] = (i32[r + RECOVERY_BITS] & ~RECOVERY_STATE) | POINT_SET | state;
  }
}
