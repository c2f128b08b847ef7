/**
 * The three-way handshake (RFC 9293, 3.5): makes rows for new connections, sends SYN and SYN-ACK and sends them again,
 * and settles the options of both sides.
 */

import { TCP_ACK, TCP_CWR, TCP_ECE } from '../../../wire/tcp.js';
import { netError } from '../../errors.js';
import { TCP } from '../counters.js';
import type { InitialSequence } from '../opening/isn.js';
import { scaleFor } from '../receive/window.js';
import type { Recovery } from '../recovery/recovery.js';
import type { TcpSettings } from '../settings.js';
import type { TcpHandlers } from '../state/api.js';
import {
  DS_FIELD,
  FLAG_ECN,
  FLAG_FIN_QUEUED,
  FLAG_NO_DELAY,
  FLAG_PASSIVE,
  FLAG_RECEIVE_FIXED,
  FLAG_RENO,
  FLAG_SACK,
  FLAG_SCALED,
  FLAG_SEND_FIXED,
  FLAG_TIMESTAMPS,
  FLAGS,
  HEARD_MS,
  IRS,
  ISS,
  KEEP_ALIVE,
  LAST_ACK_SENT,
  MAX_SND_WND,
  MSS,
  PEER_MSS,
  PROGRESS_MS,
  RCV_ADV,
  RCV_MSS,
  RCV_NXT,
  RECEIVE_LIMIT,
  RECEIVER_RTT,
  REMOTE,
  ROW_SHIFT,
  SCALES,
  SEND_LIMIT,
  SMALL_END,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WL1,
  SND_WL2,
  SND_WND,
  SOFT_ERROR,
  STATE,
  STATE_ESTABLISHED,
  STATE_FIN_WAIT_1,
  STATE_SYN_RECEIVED,
  STATE_SYN_SENT,
  SYN_RETRIES,
  SYN_US,
  TAKEN,
  TS_OFFSET,
  TS_RECENT,
  TS_RECENT_MS,
  TUNE_SEQ,
  TUNE_US,
  USER_TIMEOUT,
} from '../state/rows.js';
import { softErrorOf } from '../state/soft-errors.js';
import { NO_ROW, type Table, TIMER_KEEP_ALIVE, TIMER_RETRANSMIT, timerId } from '../state/table.js';
import type { Acks } from './acks.js';
import type { Closing } from './closing.js';
import type { IpOutput } from './ip-output.js';
import type { Transmit } from './transmit.js';

/** RFC 6298, 2.1 and 5.7: the first timeout of a SYN. */
const FIRST_TIMEOUT_MS = 1000;
/**
 * How often a SYN and a SYN-ACK are sent again. A SYN must be for three minutes at least (RFC 9293, 3.8.3, MUST-23): one
 * time more than in Linux.
 */
const SYN_LIMIT = 7;
const SYN_ACK_LIMIT = 5;
/** The MSS of a peer that announces none (RFC 9293, 3.7.1, MUST-15). */
export const DEFAULT_MSS = 536;
/** The smallest MSS that is believed, as Linux's tcp_min_snd_mss: a smaller one makes us send hardly more than headers. */
const MIN_MSS = 48;
const IP_AND_TCP_BYTES = 40;

/** What a SYN of the peer offers. A Segment is one. */
export interface SynOptions {
  readonly seq: number;
  readonly window: number;
  readonly mss: number;
  readonly scale: number;
  readonly sackPermitted: boolean;
  readonly hasTimestamps: boolean;
  readonly tsValue: number;
}

export class Handshake {
  private readonly i32: Int32Array;

  /**
   * @param mtu longest packet of the link, in bytes
   * @param scale shift of the windows that auto-tuning makes
   */
  constructor(
    private readonly table: Table,
    private readonly recovery: Recovery,
    private readonly transmit: Transmit,
    private readonly acks: Acks,
    private readonly closing: Closing,
    private readonly sequence: InitialSequence,
    private readonly ip: IpOutput,
    private readonly mtu: number,
    private readonly scale: number,
  ) {
    this.i32 = table.i32;
  }

  /** The MSS that we announce. */
  get ownMss(): number {
    return this.mtu - IP_AND_TCP_BYTES;
  }

  /** Shift of the windows that a connection offers. @param receiveBuffer its size at the beginning, in bytes */
  scaleOf(receiveBuffer: number): number {
    return Math.max(this.scale, scaleFor(receiveBuffer));
  }

  /** Takes a row for a new connection. Returns {@link NO_ROW} when the table is full. */
  create(remote: number, ports: number, handlers: TcpHandlers, settings: TcpSettings): number {
    const { i32, table, sequence } = this;
    const r = table.open(remote, ports, handlers);
    if (r === NO_ROW) {
      table.count[TCP.tcp_rows_full]++;
      return r;
    }
    const { ms, us } = table.clock;
    this.setSequence(r, sequence.next(remote, ports, us));
    i32[r + TS_OFFSET] = sequence.offset;
    i32[r + FLAGS] =
      (settings.noDelay ? FLAG_NO_DELAY : 0) |
      (settings.reno ? FLAG_RENO : 0) |
      (settings.ecn ? FLAG_ECN : 0) |
      (settings.isSendFixed ? FLAG_SEND_FIXED : 0) |
      (settings.isReceiveFixed ? FLAG_RECEIVE_FIXED : 0);
    i32[r + SEND_LIMIT] = settings.sendBuffer;
    i32[r + RECEIVE_LIMIT] = settings.receiveBuffer;
    i32[r + USER_TIMEOUT] = settings.userTimeout;
    i32[r + KEEP_ALIVE] = settings.keepAlive;
    i32[r + DS_FIELD] = settings.dsField;
    i32[r + HEARD_MS] = ms;
    i32[r + PROGRESS_MS] = ms;
    i32[r + PEER_MSS] = DEFAULT_MSS;
    i32[r + MSS] = DEFAULT_MSS;
    i32[r + RCV_MSS] = DEFAULT_MSS;
    // 0 would mean that the time is not known.
    i32[r + SYN_US] = us | 1;
    return r;
  }

  /** Sets our initial sequence number: that of a SYN cookie is not the one that {@link create} has chosen. */
  setSequence(r: number, iss: number): void {
    const { i32 } = this;
    i32[r + ISS] = iss;
    i32[r + SND_UNA] = iss;
    i32[r + SND_NXT] = (iss + 1) | 0;
    i32[r + SND_END] = (iss + 1) | 0;
    i32[r + SMALL_END] = iss;
  }

  /** Sends the SYN of a connection that the application opens. */
  connect(r: number): void {
    this.table.setState(r, STATE_SYN_SENT);
    this.table.count[TCP.tcp_opened_active]++;
    this.sendSyn(r);
    this.setTimer(r);
  }

  /** Sends the SYN-ACK for a SYN that has come. */
  accept(r: number): void {
    this.table.setState(r, STATE_SYN_RECEIVED);
    this.sendSyn(r);
    this.setTimer(r);
  }

  /** Sends the SYN or SYN-ACK. If it cannot be sent now, the timer tries again. */
  sendSyn(r: number): void {
    const { i32, transmit, ownMss } = this;
    const scale = this.scaleOf(i32[r + RECEIVE_LIMIT]);
    const flags = i32[r + FLAGS];
    if (i32[r + STATE] === STATE_SYN_SENT) {
      // After half of the retries, the SYN goes without ECN (RFC 3168, 6.1.1.1): some routers drop it otherwise.
      const ecn = (flags & FLAG_ECN) !== 0 && i32[r + SYN_RETRIES] < SYN_LIMIT / 2 ? TCP_ECE | TCP_CWR : 0;
      transmit.syn(r, i32[r + ISS], ecn, scale, true, true, ownMss);
      return;
    }
    const isScaled = (flags & FLAG_SCALED) !== 0;
    const ecn = (flags & FLAG_ECN) !== 0 ? TCP_ECE : 0;
    const hasTimestamps = (flags & FLAG_TIMESTAMPS) !== 0;
    const hasSack = (flags & FLAG_SACK) !== 0;
    transmit.syn(r, i32[r + ISS], TCP_ACK | ecn, isScaled ? scale : -1, hasSack, hasTimestamps, ownMss);
  }

  private setTimer(r: number): void {
    const { i32, table } = this;
    const timeout = FIRST_TIMEOUT_MS << i32[r + SYN_RETRIES];
    table.wheel.set(timerId(r, TIMER_RETRANSMIT), (table.clock.ms + timeout) | 0);
  }

  /** The timer of a half-open connection has fired. */
  expired(r: number): void {
    const { i32, table } = this;
    const isPassive = (i32[r + FLAGS] & FLAG_PASSIVE) !== 0;
    const waited = (table.clock.ms - i32[r + PROGRESS_MS]) | 0;
    const isOver = i32[r + USER_TIMEOUT] !== 0 && waited >= i32[r + USER_TIMEOUT];
    if (isOver || i32[r + SYN_RETRIES] >= (isPassive ? SYN_ACK_LIMIT : SYN_LIMIT)) {
      table.count[TCP.tcp_syn_timeouts]++;
      const soft = softErrorOf(i32[r + SOFT_ERROR]);
      this.closing.finish(r, soft ?? netError('ETIMEDOUT', 'connect: the peer did not answer'));
      return;
    }
    i32[r + SYN_RETRIES]++;
    table.count[TCP.tcp_syn_retransmitted]++;
    this.sendSyn(r);
    this.setTimer(r);
  }

  /** Takes over the peer's sequence number, window and options from its SYN or SYN-ACK. */
  settle(r: number, syn: SynOptions): void {
    const { i32, table } = this;
    const next = (syn.seq + 1) | 0;
    i32[r + IRS] = syn.seq;
    i32[r + RCV_NXT] = next;
    i32[r + RCV_ADV] = next;
    i32[r + TAKEN] = next;
    i32[r + TUNE_SEQ] = next;
    i32[r + LAST_ACK_SENT] = next;
    i32[r + SND_WND] = syn.window;
    i32[r + MAX_SND_WND] = syn.window;
    i32[r + SND_WL1] = syn.seq;
    i32[r + SND_WL2] = i32[r + SND_UNA];
    if (syn.sackPermitted) i32[r + FLAGS] |= FLAG_SACK;
    if (syn.hasTimestamps) {
      i32[r + FLAGS] |= FLAG_TIMESTAMPS;
      i32[r + TS_RECENT] = syn.tsValue;
      i32[r + TS_RECENT_MS] = table.clock.ms;
    }
    if (syn.scale >= 0) {
      i32[r + FLAGS] |= FLAG_SCALED;
      i32[r + SCALES] = syn.scale | (this.scaleOf(i32[r + RECEIVE_LIMIT]) << 8);
    }
    if (syn.mss > 0) i32[r + PEER_MSS] = Math.max(syn.mss, MIN_MSS);
    this.setMss(r);
  }

  /** Brings the MSS up to date: the peer's, and the path's. */
  setMss(r: number): void {
    const { i32, transmit } = this;
    const own = transmit.mssFor(r, Math.min(this.mtu, this.ip.pathMtu(i32[r + REMOTE])));
    i32[r + MSS] = Math.min(own, transmit.mssFor(r, i32[r + PEER_MSS] + IP_AND_TCP_BYTES));
  }

  /** The handshake is over. The application is told by the caller. */
  establish(r: number): void {
    const { i32, table, recovery } = this;
    const { ms, us } = table.clock;
    table.leaveBacklog(r);
    table.wheel.clear(timerId(r, TIMER_RETRANSMIT));
    // The application may have ended its side already.
    table.setState(r, (i32[r + FLAGS] & FLAG_FIN_QUEUED) !== 0 ? STATE_FIN_WAIT_1 : STATE_ESTABLISHED);
    i32[r + TUNE_US] = us;
    i32[r + PROGRESS_MS] = ms;
    if ((i32[r + FLAGS] & FLAG_PASSIVE) !== 0) table.count[TCP.tcp_opened_passive]++;
    recovery.open(r, i32[r + SYN_RETRIES] > 0);
    // Karn's rule (RFC 6298, 3): no measurement when the SYN was sent more than once.
    if (i32[r + SYN_RETRIES] === 0 && i32[r + SYN_US] !== 0) {
      const rtt = Math.max(1, (us - i32[r + SYN_US]) | 0);
      recovery.handshakeRtt(r, rtt);
      i32[r + RECEIVER_RTT] = rtt;
    }
    table.list(r);
    this.acks.quick(r);
    if (i32[r + KEEP_ALIVE] > 0) table.wheel.set(timerId(r, TIMER_KEEP_ALIVE), (ms + i32[r + KEEP_ALIVE]) | 0);
  }

  /** Tells the application that the connection is open. */
  tellOpen(r: number): void {
    const row = r >> ROW_SHIFT;
    this.table.handlers[row].open?.(this.table.connections[row]);
  }
}
