/**
 * When an ACK goes out (RFC 9293, 3.8.6.3; RFC 5681, 4.2): once per burst and connection, at once for two full
 * segments, out-of-order data, and the first segments of a connection; otherwise after 40 ms, with data if there is any.
 */
import { TCP } from '../counters.js';
import type { ReceiveWindow } from '../receive/window.js';
import {
  FLAG_ACK_NOW,
  FLAG_WINDOW_UPDATE,
  FLAGS,
  QUICK_ACKS,
  RCV_MSS,
  SCALES,
  SND_NXT,
  SND_UNA,
  SND_WND,
  STATE,
  STATE_SYN_RECEIVED,
  UNACKED_BYTES,
} from '../state/rows.js';
import { type Table, TIMER_DELAYED_ACK, timerId } from '../state/table.js';
import type { Transmit } from './transmit.js';

/** Longest delay of an ACK in ms: Linux's TCP_DELACK_MIN. RFC 9293 allows 500 (MUST-58). */
const DELAY_MS = 40;
/** Segments that are acknowledged at once, at the start and after a gap, while the peer is in slow start. */
const QUICK = 16;

export class Acks {
  private readonly i32: Int32Array;

  constructor(
    private readonly table: Table,
    private readonly transmit: Transmit,
    private readonly window: ReceiveWindow,
  ) {
    this.i32 = table.i32;
  }

  /**
   * `length` bytes came in order: an ACK is due, at the end of the burst or later.
   * @param size bytes of data in the segments that brought them: those of a GSO packet are counted, not the packet
   */
  received(r: number, length: number, size: number): void {
    const { i32 } = this;
    i32[r + UNACKED_BYTES] += length;
    if (size > i32[r + RCV_MSS]) i32[r + RCV_MSS] = size;
    this.table.list(r);
  }

  /** An ACK is due at the end of the burst. */
  now(r: number): void {
    this.i32[r + FLAGS] |= FLAG_ACK_NOW;
    this.table.list(r);
  }

  /** The next segments are acknowledged at once. */
  quick(r: number): void {
    this.i32[r + QUICK_ACKS] = QUICK;
  }

  /** Sends the ACK that is due, if no segment has carried it; or sets the timer for it. */
  flush(r: number): void {
    const { i32, table } = this;
    if (i32[r + STATE] < STATE_SYN_RECEIVED) return;
    const flags = i32[r + FLAGS];
    const unacked = i32[r + UNACKED_BYTES];
    if ((flags & FLAG_ACK_NOW) !== 0 || (unacked > 0 && this.isDue(r, unacked))) {
      this.send(r);
      return;
    }
    if ((flags & FLAG_WINDOW_UPDATE) !== 0) {
      i32[r + FLAGS] &= ~FLAG_WINDOW_UPDATE;
      if (this.window.needsUpdate(r)) {
        this.send(r);
        return;
      }
    }
    if (unacked > 0) {
      const timer = timerId(r, TIMER_DELAYED_ACK);
      if (!table.wheel.isSet(timer)) table.wheel.set(timer, (table.clock.ms + DELAY_MS) | 0);
    }
  }

  private isDue(r: number, unacked: number): boolean {
    const { i32 } = this;
    return i32[r + QUICK_ACKS] > 0 || unacked >= 2 * i32[r + RCV_MSS];
  }

  /** Sends an ACK without data. When that is not possible now, it is tried again with the next burst. */
  send(r: number): void {
    if (this.transmit.segment(r, this.sequence(r), 0, 0)) return;
    this.now(r);
  }

  /**
   * SND.NXT, or the right edge of the peer's window if the peer has taken the window back: it would not accept an ACK
   * from beyond (Linux: tcp_acceptable_seq). A window probe lies beyond the edge by a byte.
   */
  private sequence(r: number): number {
    const { i32 } = this;
    const next = i32[r + SND_NXT];
    const edge = (i32[r + SND_UNA] + i32[r + SND_WND]) | 0;
    return ((next - edge) | 0) > 1 << (i32[r + SCALES] & 0xff) ? edge : next;
  }

  /** The delayed ACK timer has fired. */
  expired(r: number): void {
    this.table.count[TCP.tcp_delayed_acks]++;
    this.send(r);
  }
}
