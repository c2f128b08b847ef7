/**
 * Segments for connections in SYN-RECEIVED and later states, in the order of RFC 9293, 3.10.7.4: sequence number, RST,
 * SYN, ACK, data, FIN. With RFC 7323 (PAWS) before, and RFC 5961 against blind attacks.
 */

import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from '../../../wire/tcp.js';
import { netError } from '../../errors.js';
import { TCP } from '../counters.js';
import type { Acks } from '../output/acks.js';
import type { Closing } from '../output/closing.js';
import type { Handshake } from '../output/handshake.js';
import type { Resets } from '../output/resets.js';
import {
  DSACK_END,
  DSACK_START,
  FLAG_PASSIVE,
  FLAG_SACK,
  FLAG_TIMESTAMPS,
  FLAGS,
  HEARD_MS,
  IRS,
  KEEP_PROBES,
  LAST_ACK_SENT,
  RCV_ADV,
  RCV_NXT,
  SND_NXT,
  SND_UNA,
  STATE,
  STATE_CLOSED,
  STATE_SYN_RECEIVED,
  STATE_UNREAD,
  TS_RECENT,
  TS_RECENT_MS,
} from '../state/rows.js';
import type { Table } from '../state/table.js';
import type { AckArrival } from './ack-arrival.js';
import type { Challenges } from './challenges.js';
import type { DataArrival } from './data-arrival.js';
import type { Segment } from './segment.js';

/** A timestamp that was stored so long ago says nothing (RFC 7323, 5.5): 24 days in ms. */
const TIMESTAMP_LIFE_MS = 24 * 24 * 3600 * 1000;
// V8 folds local constants: docs/v8.md, "Local constants".
const ACK = TCP_ACK;
const RST_OR_SYN = TCP_RST | TCP_SYN;
const RST = TCP_RST;
const FIN = TCP_FIN;

export class Synchronized {
  private readonly i32: Int32Array;

  constructor(
    private readonly table: Table,
    private readonly handshake: Handshake,
    private readonly acks: Acks,
    private readonly closing: Closing,
    private readonly challenges: Challenges,
    private readonly resets: Resets,
    private readonly ackArrival: AckArrival,
    private readonly dataArrival: DataArrival,
  ) {
    this.i32 = table.i32;
  }

  /** Processes a segment for the row at `r`. */
  receive(r: number, segment: Segment): void {
    const { i32, table } = this;
    if (i32[r + STATE] === STATE_SYN_RECEIVED && (segment.flags & TCP_SYN) !== 0 && segment.seq === i32[r + IRS]) {
      if (!this.takeSynAgain(r, segment)) return;
    }
    const hasTimestamps = segment.hasTimestamps && (i32[r + FLAGS] & FLAG_TIMESTAMPS) !== 0;
    // RFC 7323, 5.2: not for a RST.
    if (hasTimestamps && (segment.flags & RST) === 0 && this.isOld(r, segment)) {
      table.count[TCP.tcp_paws_drops]++;
      this.answerUnacceptable(r, segment);
      return;
    }
    if (!this.isAcceptable(r, segment)) {
      table.count[TCP.tcp_out_of_window]++;
      if ((segment.flags & RST) === 0) this.answerUnacceptable(r, segment);
      return;
    }
    if ((segment.flags & RST_OR_SYN) !== 0) {
      this.receiveResetOrSyn(r, segment);
      return;
    }
    if ((segment.flags & ACK) === 0) {
      table.count[TCP.tcp_no_ack]++;
      return;
    }
    if (hasTimestamps) {
      // RFC 7323, 4.3: only a segment that covers the last ACK, so that the echo tells of the oldest one.
      const isNewer = ((segment.tsValue - i32[r + TS_RECENT]) | 0) >= 0 || this.isForgotten(r);
      if (isNewer && ((segment.seq - i32[r + LAST_ACK_SENT]) | 0) <= 0) {
        i32[r + TS_RECENT] = segment.tsValue;
        i32[r + TS_RECENT_MS] = table.clock.ms;
      }
    } else if ((i32[r + FLAGS] & FLAG_TIMESTAMPS) !== 0) {
      table.count[TCP.tcp_no_timestamp]++;
    }
    if (i32[r + STATE] === STATE_SYN_RECEIVED && !this.establish(r, segment)) return;
    i32[r + HEARD_MS] = table.clock.ms;
    i32[r + KEEP_PROBES] = 0;
    if (!this.ackArrival.receive(r, segment)) return;
    if (segment.length > 0 || (segment.flags & FIN) !== 0) this.dataArrival.receive(r, segment);
  }

  /**
   * A SYN or SYN-ACK with the sequence number that we know already. With a good ACK it is the answer of a simultaneous
   * open (RFC 9293, figure 7), and is processed without its SYN; otherwise our SYN-ACK was lost.
   */
  private takeSynAgain(r: number, segment: Segment): boolean {
    const { i32 } = this;
    if ((segment.flags & TCP_ACK) !== 0 && segment.ack === i32[r + SND_NXT]) {
      segment.flags &= ~TCP_SYN;
      segment.seq = (segment.seq + 1) | 0;
      return true;
    }
    this.handshake.sendSyn(r);
    return false;
  }

  /** PAWS (RFC 7323, 5): the segment carries a timestamp that is older than the last one. */
  private isOld(r: number, segment: Segment): boolean {
    const { i32 } = this;
    return ((segment.tsValue - i32[r + TS_RECENT]) | 0) < 0 && !this.isForgotten(r);
  }

  /** Whether the last timestamp was stored so long ago that it says nothing. */
  private isForgotten(r: number): boolean {
    const age = (this.table.clock.ms - this.i32[r + TS_RECENT_MS]) | 0;
    // The clock wraps to the negative after 24.8 days.
    return age < 0 || age >= TIMESTAMP_LIFE_MS;
  }

  /**
   * Whether a part of the segment lies in the window (RFC 9293, 3.10.7.4, first check). A segment without data may also
   * lie at the right edge: a peer that has filled the window sends its ACKs from there.
   */
  private isAcceptable(r: number, segment: Segment): boolean {
    const { i32 } = this;
    const next = i32[r + RCV_NXT];
    const edge = i32[r + RCV_ADV];
    const { seq, end } = segment;
    if (seq === end) return ((seq - next) | 0) >= 0 && ((seq - edge) | 0) <= 0;
    return ((end - next) | 0) > 0 && ((seq - edge) | 0) < 0;
  }

  /**
   * Tells the peer what is expected. Data that was received before gets a D-SACK (RFC 2883). A segment without data is
   * answered seldom, because two ends that disagree would answer each other for ever.
   */
  private answerUnacceptable(r: number, segment: Segment): void {
    const { i32 } = this;
    if (segment.length === 0 && (segment.flags & TCP_SYN) === 0) {
      this.challenges.answer(r);
      return;
    }
    if ((i32[r + FLAGS] & FLAG_SACK) !== 0 && segment.length > 0 && ((segment.end - i32[r + RCV_NXT]) | 0) <= 0) {
      i32[r + DSACK_START] = segment.seq;
      i32[r + DSACK_END] = (segment.seq + segment.length) | 0;
    }
    if (segment.length > 0) this.table.count[TCP.tcp_duplicate_data]++;
    this.acks.now(r);
  }

  /** RFC 5961, 3 and 4: only an exact RST is obeyed; any other RST or SYN in the window is answered by an ACK. */
  private receiveResetOrSyn(r: number, segment: Segment): void {
    const { i32, table } = this;
    // The right edge, where an ACK may lie, is behind the window (RFC 5961, 3.2).
    const isBehind = segment.seq === i32[r + RCV_ADV] && segment.seq !== i32[r + RCV_NXT];
    if ((segment.flags & TCP_RST) !== 0 && isBehind) {
      table.count[TCP.tcp_out_of_window]++;
      return;
    }
    if ((segment.flags & TCP_RST) === 0 || segment.seq !== i32[r + RCV_NXT]) {
      this.challenges.challenge(r);
      return;
    }
    table.count[TCP.tcp_resets_received]++;
    // Both sides have ended: only the application has not read all yet, and a RST takes nothing away (RFC 1337).
    if (i32[r + STATE] === STATE_UNREAD) return;
    const isRefused = i32[r + STATE] === STATE_SYN_RECEIVED && (i32[r + FLAGS] & FLAG_PASSIVE) === 0;
    const error = isRefused
      ? netError('ECONNREFUSED', 'the peer has refused the connection')
      : netError('ECONNRESET', 'the peer has reset the connection');
    this.closing.finish(r, error);
  }

  /** The ACK of our SYN: the connection is established. Returns false when the segment is done with. */
  private establish(r: number, segment: Segment): boolean {
    const { i32 } = this;
    if (segment.ack !== i32[r + SND_NXT]) {
      this.resets.reset(segment.remote, segment.ports, segment.ack, 0, 0);
      return false;
    }
    i32[r + SND_UNA] = segment.ack;
    this.handshake.establish(r);
    this.ackArrival.takeWindow(r, segment);
    this.handshake.tellOpen(r);
    return i32[r + STATE] !== STATE_CLOSED;
  }
}
