/** Loss detection without SACK: three duplicate ACKs, then one segment per partial ACK (RFC 5681, 3.2; RFC 6582). */

import { MSS, RECOVERY_BITS, RECOVERY_POINT, RING_HEAD, RING_TAIL, type Rows, SACKED_SEGMENTS } from '../state/rows.js';
import type { AckEvent } from './ack-event.js';
import { OPEN, PARTIAL_SEEN, POINT_SET, RECOVERY, RECOVERY_STATE } from './bits.js';
import { DUP_THRESH } from './rack.js';
import type { Scoreboard } from './scoreboard.js';
import { BITS, SEGMENT_LOST, SEGMENT_RESENT, type SentRing } from './sent-ring.js';

export class NewReno {
  private readonly i32: Int32Array;

  constructor(
    rows: Rows,
    private readonly ring: SentRing,
    private readonly scoreboard: Scoreboard,
  ) {
    this.i32 = rows.i32;
  }

  /**
   * Counts duplicate ACKs, each of which says that a segment was delivered, and marks the first segment as lost when
   * there are three, or when an ACK in recovery is partial.
   */
  detect(r: number, event: AckEvent): void {
    const i32 = this.i32;
    const state = i32[r + RECOVERY_BITS] & RECOVERY_STATE;
    if (event.acked > 0) {
      this.progress(r, event, state);
    } else if (event.duplicate) {
      // Never more than can have arrived, whatever the peer sends.
      if (i32[r + SACKED_SEGMENTS] < this.ring.count(r) - 1) {
        i32[r + SACKED_SEGMENTS]++;
        event.delivered += i32[r + MSS];
      }
      if (state === OPEN && i32[r + SACKED_SEGMENTS] >= DUP_THRESH && this.mayRecover(r, event)) this.loseFirst(r);
    }
  }

  private progress(r: number, event: AckEvent, state: number): void {
    const i32 = this.i32;
    const duplicates = i32[r + SACKED_SEGMENTS];
    // The bytes of duplicate ACKs were counted when these came.
    if (duplicates > 0) event.delivered = Math.max(i32[r + MSS], event.delivered - duplicates * i32[r + MSS]);
    if (state !== RECOVERY) {
      i32[r + SACKED_SEGMENTS] = 0;
      return;
    }
    i32[r + SACKED_SEGMENTS] = Math.max(0, Math.min(duplicates - (event.records - 1), this.ring.count(r) - 1));
    this.loseFirst(r);
    i32[r + RECOVERY_BITS] |= PARTIAL_SEEN;
  }

  /** Duplicate ACKs of the last recovery's retransmissions do not begin another one (RFC 6582, 3.2, step 1). */
  private mayRecover(r: number, event: AckEvent): boolean {
    const i32 = this.i32;
    return (i32[r + RECOVERY_BITS] & POINT_SET) === 0 || ((event.ack - i32[r + RECOVERY_POINT]) | 0) > 0;
  }

  private loseFirst(r: number): void {
    const head = this.i32[r + RING_HEAD];
    if (head === this.i32[r + RING_TAIL]) return;
    const bits = this.ring.words[this.ring.at(head) + BITS];
    if ((bits & (SEGMENT_LOST | SEGMENT_RESENT)) === 0) this.scoreboard.markLost(r, head);
  }
}
