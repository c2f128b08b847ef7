/** RACK (RFC 8985, 6): a segment is lost when one that was sent sufficiently later has arrived. */

import type { Clock } from '../../clock.js';
import {
  DSACK_ROUND,
  FLAG_SACK,
  FLAGS,
  RACK_DUE_US,
  RACK_NEXT,
  RACK_ORDER,
  RACK_RTT,
  RACK_US,
  RACK_WINDOW,
  RECOVERY_BITS,
  RESENT_LIST,
  RING_HEAD,
  RING_TAIL,
  type Rows,
  SACKED_SEGMENTS,
  SND_NXT,
  SRTT,
} from '../state/rows.js';
import type { AckEvent } from './ack-event.js';
import { DSACK_ROUND_SET, OPEN, RACK_VALID, RACK_WAITS, RECOVERY_STATE, REORDERING_SEEN } from './bits.js';
import { minRtt } from './rtt.js';
import type { Scoreboard } from './scoreboard.js';
import {
  BITS,
  NEXT,
  NO_RECORD,
  ORDER,
  SEGMENT_LOST,
  SEGMENT_RESENT,
  SEGMENT_SACKED,
  SENT_US,
  type SentRing,
} from './sent-ring.js';

/** DupThresh (RFC 5681, 3.2). */
export const DUP_THRESH = 3;
/** Recoveries for which a wider window is kept (RFC 8985, 6.2, step 4). */
const PERSIST = 16;
const PERSIST_SHIFT = 16;
const FACTOR_MASK = 0xffff;
/** Far more than SRTT / (min_RTT / 4) ever is. */
const MAX_FACTOR = 0x7fff;

export class Rack {
  private readonly i32: Int32Array;
  private readonly f64: Float64Array;

  constructor(
    rows: Rows,
    private readonly ring: SentRing,
    private readonly scoreboard: Scoreboard,
    private readonly clock: Clock,
  ) {
    this.i32 = rows.i32;
    this.f64 = rows.f64;
  }

  open(r: number): void {
    this.i32[r + RACK_RTT] = 0;
    this.i32[r + RACK_WINDOW] = 1;
  }

  /** Step 4, what D-SACKs do to RACK.reo_wnd: it grows once per round trip in which one comes. */
  adapt(r: number, event: AckEvent): void {
    const i32 = this.i32;
    if ((i32[r + RECOVERY_BITS] & DSACK_ROUND_SET) !== 0 && ((event.ack - i32[r + DSACK_ROUND]) | 0) >= 0) {
      i32[r + RECOVERY_BITS] &= ~DSACK_ROUND_SET;
    }
    // That of a tail loss probe says nothing about reordering.
    if (!event.dsack || event.dsackOfProbe || (i32[r + RECOVERY_BITS] & DSACK_ROUND_SET) !== 0) return;
    i32[r + RECOVERY_BITS] |= DSACK_ROUND_SET;
    i32[r + DSACK_ROUND] = i32[r + SND_NXT];
    const factor = Math.min(MAX_FACTOR, (i32[r + RACK_WINDOW] & FACTOR_MASK) + 1);
    i32[r + RACK_WINDOW] = (PERSIST << PERSIST_SHIFT) | factor;
  }

  /** Step 4: a recovery has ended. After 16 without a D-SACK the window is as at the beginning. */
  recoveryEnded(r: number): void {
    const word = this.i32[r + RACK_WINDOW];
    const persist = (word >>> PERSIST_SHIFT) - 1;
    this.i32[r + RACK_WINDOW] = persist <= 0 ? 1 : (persist << PERSIST_SHIFT) | (word & FACTOR_MASK);
  }

  /** RACK.reo_wnd in µs. */
  window(r: number): number {
    const i32 = this.i32;
    const bits = i32[r + RECOVERY_BITS];
    if ((bits & REORDERING_SEEN) === 0) {
      if ((bits & RECOVERY_STATE) !== OPEN || i32[r + SACKED_SEGMENTS] >= DUP_THRESH) return 0;
    }
    const wanted = ((i32[r + RACK_WINDOW] & FACTOR_MASK) * minRtt(i32, r)) / 4;
    return Math.floor(Math.min(wanted, this.f64[(r >> 1) + SRTT]));
  }

  /**
   * Step 5: marks what is lost, and notes when to look again. Both ways of going through the records are in the order
   * of their transmission, so each stops at the first record that is not lost yet. Therefore the timer waits for the
   * earliest of the records, and not for the latest as in the RFC's pseudocode, which does not go in this order.
   */
  detect(r: number): void {
    const i32 = this.i32;
    i32[r + RECOVERY_BITS] &= ~RACK_WAITS;
    if ((i32[r + RECOVERY_BITS] & RACK_VALID) === 0 || (i32[r + FLAGS] & FLAG_SACK) === 0) return;
    const limit = i32[r + RACK_RTT] + this.window(r);
    this.checkOriginals(r, limit);
    this.checkRetransmissions(r, limit);
  }

  /**
   * A timeout: the first record is lost, and all that were sent longer ago than a round trip and RACK.reo_wnd
   * (RFC 8985, 6.3). Takes time in proportion to what is in flight.
   */
  markOnTimeout(r: number): void {
    const i32 = this.i32;
    const ring = this.ring;
    const limit = i32[r + RACK_RTT] + this.window(r);
    const now = this.clock.us;
    const head = i32[r + RING_HEAD];
    const tail = i32[r + RING_TAIL];
    i32[r + RECOVERY_BITS] &= ~RACK_WAITS;
    this.scoreboard.beginRelist(r);
    for (let record = head; record !== tail; record = ring.after(record)) {
      const at = ring.at(record);
      const bits = ring.words[at + BITS];
      if ((bits & SEGMENT_SACKED) !== 0) continue;
      if ((bits & SEGMENT_LOST) !== 0) this.scoreboard.relist(r, record);
      else if (record === head || ((ring.words[at + SENT_US] + limit - now) | 0) <= 0)
        this.scoreboard.markLost(r, record);
    }
  }

  private checkOriginals(r: number, limit: number): void {
    const i32 = this.i32;
    const ring = this.ring;
    const words = ring.words;
    const tail = i32[r + RING_TAIL];
    let record = i32[r + RACK_NEXT];
    while (record !== tail) {
      const at = ring.at(record);
      const bits = words[at + BITS];
      if ((bits & SEGMENT_SACKED) !== 0) {
        record = ring.skipSacked(r, record);
        continue;
      }
      if ((bits & (SEGMENT_LOST | SEGMENT_RESENT)) === 0) {
        if (!this.isLost(r, at, limit)) break;
        this.scoreboard.markLost(r, record);
      }
      record = ring.after(record);
    }
    i32[r + RACK_NEXT] = record;
  }

  private checkRetransmissions(r: number, limit: number): void {
    const ring = this.ring;
    let record = this.i32[r + RESENT_LIST];
    while (record !== NO_RECORD) {
      const at = ring.at(record);
      const next = ring.words[at + NEXT];
      if (!this.isLost(r, at, limit)) break;
      this.scoreboard.markLost(r, record);
      record = next;
    }
  }

  private isLost(r: number, at: number, limit: number): boolean {
    const i32 = this.i32;
    const words = this.ring.words;
    const sentUs = words[at + SENT_US];
    const behind = (i32[r + RACK_US] - sentUs) | 0;
    // RACK_sent_after. Everything that a poll sends has the same time. The order of transmission decides then, and not
    // the sequence number as in the RFC, which is higher for new data that went out before a retransmission.
    if (behind < 0 || (behind === 0 && ((i32[r + RACK_ORDER] - words[at + ORDER]) | 0) <= 0)) return false;
    const dueUs = (sentUs + limit) | 0;
    if (((dueUs - this.clock.us) | 0) <= 0) return true;
    if ((i32[r + RECOVERY_BITS] & RACK_WAITS) === 0 || ((dueUs - i32[r + RACK_DUE_US]) | 0) < 0) {
      i32[r + RACK_DUE_US] = dueUs;
      i32[r + RECOVERY_BITS] |= RACK_WAITS;
    }
    return false;
  }
}
