/**
 * The window that we offer: RCV.WND (RFC 9293, 3.8.6), without the silly window syndrome (3.8.6.2.2, MUST-39), scaled
 * (RFC 7323, 2), and grown as fast as the application reads (dynamic right-sizing, as Linux does).
 */
import {
  FLAG_RECEIVE_FIXED,
  FLAGS,
  MSS,
  RCV_ADV,
  RCV_MSS,
  RCV_NXT,
  RECEIVE_LIMIT,
  RECEIVER_RTT,
  SCALES,
  TAKEN,
  TUNE_BYTES,
  TUNE_SEQ,
  TUNE_US,
} from '../state/rows.js';
import type { Table } from '../state/table.js';

/** Largest value of the field. */
const MAX_FIELD = 0xffff;
/** Largest shift (RFC 7323, 2.3). */
const MAX_SCALE = 14;
/** Segments that a sender may add to its window in a round trip beyond doubling it. */
const EXTRA_SEGMENTS = 16;

/** The shift with which a window of `bytes` can be announced. */
export function scaleFor(bytes: number): number {
  let scale = 0;
  while (scale < MAX_SCALE && MAX_FIELD << scale < bytes) scale++;
  return scale;
}

export class ReceiveWindow {
  private readonly i32: Int32Array;

  /** @param most largest receive buffer that auto-tuning makes, in bytes */
  constructor(
    private readonly table: Table,
    private readonly most: number,
  ) {
    this.i32 = table.i32;
  }

  /** Bytes that the buffer has room for beyond RCV.NXT. */
  private room(r: number): number {
    const { i32 } = this;
    const room = i32[r + RECEIVE_LIMIT] - ((i32[r + RCV_NXT] - i32[r + TAKEN]) | 0);
    return room > 0 ? room : 0;
  }

  /** Moves the right edge of the window if it may move, and returns the value of the window field. */
  advertise(r: number): number {
    const { i32 } = this;
    const scale = (i32[r + SCALES] >>> 8) & 0xff;
    const offered = (i32[r + RCV_ADV] - i32[r + RCV_NXT]) | 0;
    const room = this.room(r);
    const window = this.isWorthOffering(r, offered) ? room : offered > 0 ? offered : 0;
    const unit = 1 << scale;
    // Rounded up: rounded down, the edge would move back.
    const field = Math.min((window + unit - 1) >>> scale, MAX_FIELD);
    // But not up and up with each small segment: what was offered stays valid (RFC 7323, 2.4).
    if ((field << scale) - room >= unit) return window >>> scale;
    i32[r + RCV_ADV] = (i32[r + RCV_NXT] + (field << scale)) | 0;
    return field;
  }

  /** The window field of a SYN or SYN-ACK, which is not scaled. */
  advertiseInSyn(r: number): number {
    const { i32 } = this;
    const field = Math.min(this.room(r), MAX_FIELD);
    i32[r + RCV_ADV] = (i32[r + RCV_NXT] + field) | 0;
    return field;
  }

  /** MUST-39: the edge moves by a full segment or half of the buffer at least. */
  private isWorthOffering(r: number, offered: number): boolean {
    const { i32 } = this;
    const step = Math.min(i32[r + RECEIVE_LIMIT] >> 1, Math.max(i32[r + MSS], i32[r + RCV_MSS]));
    return this.room(r) - offered >= step;
  }

  /** Whether the peer must be told at once that there is room again: it may have stopped for want of it. */
  needsUpdate(r: number): boolean {
    const offered = (this.i32[r + RCV_ADV] - this.i32[r + RCV_NXT]) | 0;
    return this.isWorthOffering(r, offered) && this.room(r) >= 2 * offered;
  }

  /** The application has taken bytes: at the end of each round trip, makes the buffer fit to what it takes in one. */
  tune(r: number): void {
    const { i32 } = this;
    const rtt = i32[r + RECEIVER_RTT];
    const { us } = this.table.clock;
    const passed = (us - i32[r + TUNE_US]) | 0;
    // It is negative when more than 35 minutes have passed.
    if (rtt === 0 || (passed >= 0 && passed < rtt)) return;
    const bytes = (i32[r + TAKEN] - i32[r + TUNE_SEQ]) | 0;
    i32[r + TUNE_US] = us;
    i32[r + TUNE_SEQ] = i32[r + TAKEN];
    const last = i32[r + TUNE_BYTES];
    if (bytes <= last) return;
    i32[r + TUNE_BYTES] = bytes;
    if ((i32[r + FLAGS] & FLAG_RECEIVE_FIXED) !== 0) return;
    // The peer may send twice as much in the next round trip, and more when it has just doubled its rate.
    let want = 2 * bytes + EXTRA_SEGMENTS * i32[r + RCV_MSS];
    if (last > 0) want += Math.min(want, (want * (bytes - last)) / last);
    want = Math.min(want * 2, this.most);
    if (want > i32[r + RECEIVE_LIMIT]) i32[r + RECEIVE_LIMIT] = want;
  }

  /** Takes a measurement of the round trip, in µs, at least 1. */
  measured(r: number, rtt: number): void {
    const { i32 } = this;
    const old = i32[r + RECEIVER_RTT];
    i32[r + RECEIVER_RTT] = old === 0 ? rtt : Math.max(1, old + ((rtt - old) >> 3));
  }
}
