/**
 * What is known of each segment in flight: SACK processing (RFC 2018, 4; RFC 6675), D-SACK (RFC 2883), the bytes in the
 * network (pipe), and which segments are lost.
 *
 * Each record is in exactly one of three states, and the bytes of the states are kept as sums: in the network (PIPE),
 * lost and waiting to be sent again (LOST_BYTES), or SACKed (SACKED_BYTES). An ACK costs as much as what it says newly,
 * however much is in flight: runs of SACKed records are skipped, and lost records are in lists.
 */

import { TCP } from '../counters.js';
import {
  FLAG_SACK,
  FLAGS,
  LOST_BYTES,
  LOST_LIST,
  MSS,
  PIPE,
  RACK_NEXT,
  RELOST_LIST,
  RESENT_LIST,
  RING_HEAD,
  RING_TAIL,
  type Rows,
  SACK_HINT,
  SACKED_BYTES,
  SACKED_SEGMENTS,
  SND_NXT,
} from '../state/rows.js';
import type { SackBlocks } from '../state/sack-blocks.js';
import type { AckEvent } from './ack-event.js';
import type { Delivery } from './delivery.js';
import {
  BITS,
  END,
  NEXT,
  NO_RECORD,
  ORDER,
  RUN,
  SEGMENT_LOST,
  SEGMENT_RELOST,
  SEGMENT_RESENT,
  SEGMENT_RETRANSMITTED,
  SEGMENT_SACKED,
  SEQ,
  type SentRing,
} from './sent-ring.js';

/** Largest window (RFC 7323, 2.3): a D-SACK cannot be about older data. */
const MAX_WINDOW = 1 << 30;

export class Scoreboard {
  private readonly i32: Int32Array;

  constructor(
    rows: Rows,
    private readonly ring: SentRing,
    private readonly delivery: Delivery,
    private readonly counters: Float64Array,
  ) {
    this.i32 = rows.i32;
  }

  open(r: number): void {
    const i32 = this.i32;
    i32[r + PIPE] = 0;
    i32[r + LOST_BYTES] = 0;
    i32[r + SACKED_BYTES] = 0;
    i32[r + SACKED_SEGMENTS] = 0;
  }

  /**
   * Bytes in the network (RFC 6675, 4). Without SACK, each duplicate ACK says that one segment has left it
   * (RFC 5681, 3.2).
   */
  pipe(r: number): number {
    const i32 = this.i32;
    const pipe = i32[r + PIPE];
    if ((i32[r + FLAGS] & FLAG_SACK) !== 0 || i32[r + SACKED_SEGMENTS] === 0) return pipe;
    return Math.max(0, pipe - i32[r + SACKED_SEGMENTS] * i32[r + MSS]);
  }

  /** Drops the records that the ACK number covers. */
  acknowledge(r: number, event: AckEvent): void {
    const i32 = this.i32;
    const ring = this.ring;
    const ack = event.ack;
    while (i32[r + RING_HEAD] !== i32[r + RING_TAIL]) {
      const record = i32[r + RING_HEAD];
      const words = ring.words;
      const at = ring.at(record);
      if (((ack - words[at + SEQ]) | 0) <= 0) break;
      const whole = ((ack - words[at + END]) | 0) >= 0;
      const length = ((whole ? words[at + END] : ack) - words[at + SEQ]) | 0;
      const bits = words[at + BITS];
      if ((bits & SEGMENT_SACKED) !== 0) {
        i32[r + SACKED_BYTES] -= length;
      } else {
        event.delivered += length;
        if ((bits & SEGMENT_LOST) !== 0) i32[r + LOST_BYTES] -= length;
        else i32[r + PIPE] -= length;
      }
      if (!whole) {
        words[at + SEQ] = ack;
        break;
      }
      if ((bits & SEGMENT_SACKED) !== 0) {
        i32[r + SACKED_SEGMENTS]--;
      } else {
        this.leaveList(r, record, bits);
        this.delivery.acknowledged(r, at, bits, event);
      }
      event.records++;
      ring.dropHead(r);
    }
  }

  /** Marks what the SACK blocks say. Call it after {@link acknowledge}. */
  sack(r: number, sacks: SackBlocks, event: AckEvent): void {
    const i32 = this.i32;
    const count = sacks.count;
    if (count === 0) return;
    event.hasSacks = true;
    let first = 0;
    if (this.isDsack(r, sacks, event)) {
      first = 1;
      event.dsack = true;
      event.dsackStart = sacks.start[0];
      event.dsackEnd = sacks.end[0];
      this.counters[TCP.tcp_dsacks_received]++;
    }
    const ack = event.ack;
    for (let i = first; i < count; i++) {
      const start = sacks.start[i];
      const end = sacks.end[i];
      // An old ACK may repeat blocks that are acknowledged by now.
      if (((end - ack) | 0) <= 0) continue;
      if (((end - start) | 0) <= 0 || ((i32[r + SND_NXT] - end) | 0) < 0 || ((start - ack) | 0) < 0) {
        this.counters[TCP.tcp_sack_blocks_ignored]++;
        continue;
      }
      this.markBlock(r, start, end, i === first, event);
    }
  }

  /** Marks a record as lost (RFC 8985, 6.2, step 5). It must be in the network. */
  markLost(r: number, record: number): void {
    const i32 = this.i32;
    const words = this.ring.words;
    const at = this.ring.at(record);
    const bits = words[at + BITS];
    const length = (words[at + END] - words[at + SEQ]) | 0;
    i32[r + PIPE] -= length;
    i32[r + LOST_BYTES] += length;
    this.counters[TCP.tcp_lost_segments]++;
    if ((bits & SEGMENT_RETRANSMITTED) !== 0) this.counters[TCP.tcp_lost_retransmissions]++;
    if ((bits & SEGMENT_RESENT) !== 0) {
      this.ring.unlink(r + RESENT_LIST, record);
      words[at + BITS] = (bits & ~SEGMENT_RESENT) | SEGMENT_LOST | SEGMENT_RELOST;
      this.ring.link(r + RELOST_LIST, record);
    } else {
      words[at + BITS] = bits | SEGMENT_LOST;
      this.ring.link(r + LOST_LIST, record);
    }
  }

  /** Prepares for {@link relist} and {@link markLost} of all lost records, in order. */
  beginRelist(r: number): void {
    this.ring.emptyList(r + LOST_LIST);
    this.ring.emptyList(r + RELOST_LIST);
  }

  /** Puts a lost record at the end of its list. */
  relist(r: number, record: number): void {
    const bits = this.ring.words[this.ring.at(record) + BITS];
    this.ring.link((bits & SEGMENT_RELOST) !== 0 ? r + RELOST_LIST : r + LOST_LIST, record);
  }

  /** Marks the records that are longer than `mss` as lost. */
  loseLonger(r: number, mss: number): void {
    const ring = this.ring;
    const tail = this.i32[r + RING_TAIL];
    this.beginRelist(r);
    for (let record = this.i32[r + RING_HEAD]; record !== tail; record = ring.after(record)) {
      const at = ring.at(record);
      const bits = ring.words[at + BITS];
      if ((bits & SEGMENT_SACKED) !== 0) continue;
      if ((bits & SEGMENT_LOST) !== 0) this.relist(r, record);
      else if (((ring.words[at + END] - ring.words[at + SEQ]) | 0) > mss) this.markLost(r, record);
    }
  }

  /** The lost record to be sent next: the one with the lowest sequence number, as far as the two lists are ordered. */
  nextLost(r: number): number {
    const relost = this.i32[r + RELOST_LIST];
    const lost = this.i32[r + LOST_LIST];
    if (relost === NO_RECORD) return lost;
    if (lost === NO_RECORD) return relost;
    const words = this.ring.words;
    return ((words[this.ring.at(relost) + SEQ] - words[this.ring.at(lost) + SEQ]) | 0) < 0 ? relost : lost;
  }

  /** A record is sent again: it is in the network, and the last in RESENT_LIST. */
  resent(r: number, record: number): void {
    const i32 = this.i32;
    const words = this.ring.words;
    const at = this.ring.at(record);
    const bits = words[at + BITS];
    this.leaveList(r, record, bits);
    if ((bits & SEGMENT_LOST) !== 0) {
      const length = (words[at + END] - words[at + SEQ]) | 0;
      i32[r + LOST_BYTES] -= length;
      i32[r + PIPE] += length;
    }
    words[at + BITS] = SEGMENT_RESENT | SEGMENT_RETRANSMITTED;
    words[at + ORDER] = this.ring.nextOrder();
    this.ring.link(r + RESENT_LIST, record);
  }

  /** Takes back all marks of loss: the losses were none. RACK looks at all records again. */
  unmarkLost(r: number): void {
    const i32 = this.i32;
    this.unmarkList(r + LOST_LIST);
    this.unmarkList(r + RELOST_LIST);
    i32[r + PIPE] += i32[r + LOST_BYTES];
    i32[r + LOST_BYTES] = 0;
    i32[r + RACK_NEXT] = i32[r + RING_HEAD];
  }

  /**
   * Takes back all SACK marks, because the receiver has dropped what it had SACKed (RFC 2018, 8). It may do so, and
   * shows it when SND.UNA stops at a SACKed segment.
   */
  forgetSacks(r: number): void {
    const i32 = this.i32;
    const ring = this.ring;
    const tail = i32[r + RING_TAIL];
    for (let record = i32[r + RING_HEAD]; record !== tail; record = ring.after(record)) {
      const at = ring.at(record);
      if ((ring.words[at + BITS] & SEGMENT_SACKED) === 0) continue;
      ring.words[at + BITS] &= ~SEGMENT_SACKED;
      ring.words[at + ORDER] = ring.nextOrder();
    }
    i32[r + PIPE] += i32[r + SACKED_BYTES];
    i32[r + SACKED_BYTES] = 0;
    i32[r + SACKED_SEGMENTS] = 0;
    i32[r + RACK_NEXT] = i32[r + RING_HEAD];
  }

  private unmarkList(list: number): void {
    const ring = this.ring;
    for (let record = this.i32[list]; record !== NO_RECORD; record = ring.words[ring.at(record) + NEXT]) {
      ring.words[ring.at(record) + BITS] &= ~(SEGMENT_LOST | SEGMENT_RELOST);
    }
    ring.emptyList(list);
  }

  private leaveList(r: number, record: number, bits: number): void {
    if ((bits & SEGMENT_RESENT) !== 0) this.ring.unlink(r + RESENT_LIST, record);
    else if ((bits & SEGMENT_RELOST) !== 0) this.ring.unlink(r + RELOST_LIST, record);
    else if ((bits & SEGMENT_LOST) !== 0) this.ring.unlink(r + LOST_LIST, record);
  }

  /** RFC 2883, 4: the first block is below the ACK number, or within the second block. */
  private isDsack(r: number, sacks: SackBlocks, event: AckEvent): boolean {
    const start = sacks.start[0];
    const end = sacks.end[0];
    if (((end - start) | 0) <= 0 || ((this.i32[r + SND_NXT] - end) | 0) < 0) return false;
    if (((end - event.ack) | 0) <= 0) return ((event.ack - start) | 0) <= MAX_WINDOW;
    if (sacks.count < 2) return false;
    return ((start - sacks.start[1]) | 0) >= 0 && ((sacks.end[1] - end) | 0) >= 0;
  }

  private markBlock(r: number, start: number, end: number, isFirst: boolean, event: AckEvent): void {
    const i32 = this.i32;
    const ring = this.ring;
    const words = ring.words;
    const tail = i32[r + RING_TAIL];
    let record = i32[r + SACK_HINT];
    // The first block is mostly the one that grew last time (RFC 2018, 4), so it is tried before searching.
    if (!isFirst || !ring.has(r, record) || words[ring.at(record) + SEQ] !== start) record = ring.find(r, start);
    if (isFirst && record !== tail) i32[r + SACK_HINT] = record;
    while (record !== tail) {
      const at = ring.at(record);
      if ((words[at + BITS] & SEGMENT_SACKED) !== 0) {
        record = ring.skipSacked(r, record);
        continue;
      }
      if (((end - words[at + END]) | 0) < 0) break;
      // Only records that are SACKed wholly count (RFC 6675, 2).
      if (((words[at + SEQ] - start) | 0) >= 0) this.markSacked(r, record, at, event);
      record = ring.after(record);
    }
  }

  private markSacked(r: number, record: number, at: number, event: AckEvent): void {
    const i32 = this.i32;
    const words = this.ring.words;
    const bits = words[at + BITS];
    const length = (words[at + END] - words[at + SEQ]) | 0;
    this.leaveList(r, record, bits);
    if ((bits & SEGMENT_LOST) !== 0) i32[r + LOST_BYTES] -= length;
    else i32[r + PIPE] -= length;
    i32[r + SACKED_BYTES] += length;
    i32[r + SACKED_SEGMENTS]++;
    words[at + BITS] = (bits & SEGMENT_RETRANSMITTED) | SEGMENT_SACKED;
    event.delivered += length;
    event.sacked += length;
    this.delivery.sacked(r, at, bits, event);
    words[at + RUN] = this.ring.after(record);
  }
}
