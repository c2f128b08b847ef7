/** The data and the FIN of a segment (RFC 9293, 3.10.7.4, seventh and eighth check). Urgent data is data in line. */
import { TCP_FIN } from '../../../wire/tcp.js';
import { TCP } from '../counters.js';
import type { Acks } from '../output/acks.js';
import type { Closing } from '../output/closing.js';
import type { Inbox } from '../receive/inbox.js';
import type { Intervals } from '../receive/intervals.js';
import type { ReceiveWindow } from '../receive/window.js';
import {
  DSACK_END,
  DSACK_START,
  FIN_SEQ,
  FLAG_FIN_SEEN,
  FLAG_SACK,
  FLAGS,
  INTERVALS,
  RCV_ADV,
  RCV_NXT,
  STATE,
  STATE_CLOSE_WAIT,
  STATE_CLOSED,
  STATE_CLOSING,
  STATE_ESTABLISHED,
  STATE_FIN_WAIT_1,
  STATE_FIN_WAIT_2,
  TS_OFFSET,
} from '../state/rows.js';
import type { Table } from '../state/table.js';
import type { Segment } from './segment.js';

const US_PER_MS = 1000;
/** A longer time is no round trip: the peer has paused. */
const MAX_RTT_MS = 10_000;

export class DataArrival {
  private readonly i32: Int32Array;

  constructor(
    private readonly table: Table,
    private readonly inbox: Inbox,
    private readonly intervals: Intervals,
    private readonly window: ReceiveWindow,
    private readonly acks: Acks,
    private readonly closing: Closing,
  ) {
    this.i32 = table.i32;
  }

  receive(r: number, segment: Segment): void {
    const { i32 } = this;
    const state = i32[r + STATE];
    // After the peer's FIN nothing can follow: what comes is a repetition.
    if (state !== STATE_ESTABLISHED && state !== STATE_FIN_WAIT_1 && state !== STATE_FIN_WAIT_2) {
      this.acks.now(r);
      return;
    }
    this.measure(r, segment);
    const next = i32[r + RCV_NXT];
    let { seq, length } = segment;
    /** Bytes of data in front that are not used. */
    let skip = 0;
    let hasFin = (segment.flags & TCP_FIN) !== 0;
    const beyond = (seq + length - i32[r + RCV_ADV]) | 0;
    if (beyond > 0) {
      length -= beyond;
      hasFin = false;
    }
    const known = (next - seq) | 0;
    if (known > 0) {
      this.repeated(r, seq, Math.min(known, length));
      seq = next;
      skip = Math.min(known, length);
      length -= skip;
    }
    if ((i32[r + FLAGS] & FLAG_FIN_SEEN) !== 0) {
      // Nothing lies behind the FIN: a second one elsewhere, and data there, is not from an honest peer.
      const behind = (seq + length - i32[r + FIN_SEQ]) | 0;
      if (behind > 0) length -= Math.min(behind, length);
    } else if (hasFin) {
      this.noteFin(r, (seq + length) | 0);
    }
    if (length > 0) {
      if (seq === next) this.inOrder(r, segment, skip, length);
      else this.beyondGap(r, seq, segment, skip, length);
      if (i32[r + STATE] === STATE_CLOSED) return;
    } else {
      this.acks.now(r);
    }
    if ((i32[r + FLAGS] & FLAG_FIN_SEEN) !== 0 && i32[r + RCV_NXT] === i32[r + FIN_SEQ]) this.receiveFin(r);
  }

  /**
   * Takes `length` bytes of data that begin at RCV.NXT, part of the packet by part. A part is to the inbox what a segment
   * is: it knows nothing of those that follow.
   */
  private inOrder(r: number, segment: Segment, skip: number, length: number): void {
    const { i32, acks, inbox } = this;
    // RFC 5681, 4.2: a segment that fills a gap is acknowledged at once.
    const fillsGap = i32[r + INTERVALS] !== 0;
    acks.received(r, length, Math.min(segment.size, length));
    if (fillsGap) acks.now(r);
    let seq = i32[r + RCV_NXT];
    segment.skip(skip);
    for (let left = length; left > 0 && segment.room > 0; ) {
      const own = Math.min(segment.room, left);
      // What had come behind a gap may reach into this part, and was taken with the part before it.
      const known = (i32[r + RCV_NXT] - seq) | 0;
      if (known < own && !inbox.inOrder(r, segment.bytes, segment.data + known, own - known)) {
        acks.now(r);
        return;
      }
      if (i32[r + STATE] === STATE_CLOSED) return;
      left -= own;
      seq = (seq + own) | 0;
      segment.skip(own);
    }
  }

  private beyondGap(r: number, seq: number, segment: Segment, skip: number, length: number): void {
    if ((this.i32[r + FLAGS] & FLAG_SACK) !== 0 && this.intervals.contains(r, seq, (seq + length) | 0)) {
      this.repeated(r, seq, length);
    } else {
      this.keep(r, seq, segment, skip, length);
    }
    this.acks.quick(r);
    this.acks.now(r);
  }

  /** Keeps `length` bytes of data beyond a gap, or as many as there is memory for. */
  private keep(r: number, seq: number, segment: Segment, skip: number, length: number): void {
    const { inbox } = this;
    let end = seq;
    segment.skip(skip);
    for (let left = length; left > 0 && segment.room > 0; ) {
      const own = Math.min(segment.room, left);
      if (!inbox.store(r, end, segment.bytes, segment.data, own)) break;
      left -= own;
      end = (end + own) | 0;
      segment.skip(own);
    }
    if (end !== seq) inbox.outOfOrder(r, seq, end);
  }

  /** Data that was received before: the next ACK says so by a D-SACK (RFC 2883), unless it says so of other data. */
  private repeated(r: number, seq: number, length: number): void {
    const { i32, table } = this;
    if (length <= 0) return;
    table.count[TCP.tcp_duplicate_data]++;
    if ((i32[r + FLAGS] & FLAG_SACK) !== 0) {
      i32[r + DSACK_START] = seq;
      i32[r + DSACK_END] = (seq + length) | 0;
    }
    this.acks.now(r);
  }

  /** Remembers where the data of the peer ends. A FIN in front of data that has come is ignored. */
  private noteFin(r: number, at: number): void {
    const { i32 } = this;
    if (this.intervals.reachBeyond(r, at)) return;
    i32[r + FLAGS] |= FLAG_FIN_SEEN;
    i32[r + FIN_SEQ] = at;
  }

  /** All data came, and the FIN is next. */
  private receiveFin(r: number): void {
    const { i32, table, acks, inbox } = this;
    i32[r + RCV_NXT] = (i32[r + FIN_SEQ] + 1) | 0;
    acks.now(r);
    switch (i32[r + STATE]) {
      case STATE_ESTABLISHED:
        table.setState(r, STATE_CLOSE_WAIT);
        inbox.deliver(r);
        return;
      case STATE_FIN_WAIT_1:
        table.setState(r, STATE_CLOSING);
        inbox.deliver(r);
        return;
      default:
        // FIN-WAIT-2: the row ends here, so the ACK goes out first.
        acks.send(r);
        inbox.deliver(r);
        if (i32[r + STATE] !== STATE_CLOSED) this.closing.complete(r, true);
    }
  }

  /** The round trip as the receiver sees it: the timestamp that the peer has echoed with its data. */
  private measure(r: number, segment: Segment): void {
    if (!segment.hasTimestamps || segment.tsEcho === 0) return;
    const rtt = (this.table.clock.ms + this.i32[r + TS_OFFSET] - segment.tsEcho) | 0;
    if (rtt >= 0 && rtt < MAX_RTT_MS) this.window.measured(r, Math.max(rtt, 1) * US_PER_MS);
  }
}
