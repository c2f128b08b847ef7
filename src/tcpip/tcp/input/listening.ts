/**
 * Segments for a listener (RFC 9293, 3.10.7.2). While more connections are half-open than the backlog allows, a SYN is
 * answered by a SYN cookie (RFC 4987, 3.6), which keeps nothing here.
 */
import { TCP_ACK, TCP_CWR, TCP_ECE, TCP_FIN, TCP_RST, TCP_SYN } from '../../../wire/tcp.js';
import { TCP } from '../counters.js';
import type { ListeningPort } from '../listeners.js';
import type { InitialSequence } from '../opening/isn.js';
import {
  COOKIE_ECN,
  COOKIE_NO_SCALE,
  COOKIE_SACK,
  COOKIE_SCALE_MASK,
  type SynCookies,
} from '../opening/syn-cookies.js';
import type { CookieSyn } from '../output/cookie-syn.js';
import { DEFAULT_MSS, type Handshake } from '../output/handshake.js';
import type { Resets } from '../output/resets.js';
import { FLAG_ECN, FLAG_PASSIVE, FLAGS, ISS, RCV_ADV, ROW_SHIFT, STATE_SYN_RECEIVED, SYN_US } from '../state/rows.js';
import { NO_ROW, type Table } from '../state/table.js';
import { NO_OPTION, type Segment } from './segment.js';
import type { Synchronized } from './synchronized.js';

/** How long after the last cookie was sent an ACK is taken for its answer, in ms: as long as a cookie is valid. */
const COOKIE_LIFE_MS = 132_000;
/** How far behind the old sequence numbers of a flow the new ones begin: more than an unscaled window, as in Linux. */
const REUSE_GAP = 65_537;
const ECN_SETUP = TCP_ECE | TCP_CWR;
/** Largest window of a SYN-ACK. */
const MAX_SYN_WINDOW = 0xffff;

export class Listening {
  private readonly i32: Int32Array;
  private hasSentCookies = false;
  private lastCookieMs = 0;
  /** The connection that opens next continues a flow in TIME-WAIT, whose last sequence number is {@link after}. */
  private hasAfter = false;
  private after = 0;

  constructor(
    private readonly table: Table,
    private readonly handshake: Handshake,
    private readonly resets: Resets,
    private readonly cookies: SynCookies,
    private readonly cookieSyn: CookieSyn,
    private readonly sequence: InitialSequence,
    private readonly synchronized: Synchronized,
  ) {
    this.i32 = table.i32;
  }

  receive(listener: ListeningPort, segment: Segment): void {
    const { flags } = segment;
    if ((flags & TCP_RST) !== 0) return;
    if ((flags & TCP_ACK) !== 0) {
      if ((flags & TCP_SYN) === 0 && this.takeCookie(listener, segment)) return;
      this.resets.reset(segment.remote, segment.ports, segment.ack, 0, 0);
      return;
    }
    // A SYN with FIN is not from a TCP that opens a connection.
    if ((flags & TCP_SYN) === 0 || (flags & TCP_FIN) !== 0) return;
    this.table.count[TCP.tcp_syn_received]++;
    if (listener.halfOpen >= listener.backlog && !this.hasAfter) this.sendCookie(listener, segment);
    else this.open(listener, segment);
  }

  /** The next SYN is for a flow in TIME-WAIT: our new sequence number must lie behind the old ones (RFC 6191, 2). */
  startAfter(sequence: number): void {
    this.hasAfter = true;
    this.after = sequence;
  }

  private open(listener: ListeningPort, segment: Segment): void {
    const { i32, table, handshake } = this;
    const hasAfter = this.hasAfter;
    this.hasAfter = false;
    const r = handshake.create(segment.remote, segment.ports, listener.handlers, listener.settings);
    if (r === NO_ROW) return;
    if (hasAfter && ((i32[r + ISS] - this.after) | 0) <= 0) handshake.setSequence(r, (this.after + REUSE_GAP) | 0);
    table.backlogs[r >> ROW_SHIFT] = listener;
    listener.halfOpen++;
    i32[r + FLAGS] |= FLAG_PASSIVE;
    if ((segment.flags & ECN_SETUP) !== ECN_SETUP) i32[r + FLAGS] &= ~FLAG_ECN;
    handshake.settle(r, segment);
    handshake.accept(r);
  }

  private sendCookie(listener: ListeningPort, segment: Segment): void {
    const { table, cookies } = this;
    const { remote, ports, seq } = segment;
    const { ms } = table.clock;
    const mss = segment.mss === NO_OPTION ? DEFAULT_MSS : segment.mss;
    const ecn = listener.settings.ecn && (segment.flags & ECN_SETUP) === ECN_SETUP;
    const iss = cookies.make(remote, ports, seq, mss, ms);
    const offset = this.sequence.timestampOffset(remote, ports);
    const value = (cookies.tsFor(ms, segment.scale, segment.sackPermitted, ecn) + offset) | 0;
    const { receiveBuffer } = listener.settings;
    const scale = this.handshake.scaleOf(receiveBuffer);
    this.cookieSyn.send(segment, iss, value, receiveBuffer, scale, ecn && segment.hasTimestamps);
    table.count[TCP.tcp_cookies_sent]++;
    this.hasSentCookies = true;
    this.lastCookieMs = ms;
  }

  /** Opens the connection of a SYN cookie, if the segment brings one back. Returns false when a RST is the answer. */
  private takeCookie(listener: ListeningPort, segment: Segment): boolean {
    const { i32, table, cookies, handshake } = this;
    const { ms } = table.clock;
    if (!this.hasSentCookies || ((ms - this.lastCookieMs) | 0) > COOKIE_LIFE_MS) return false;
    const { remote, ports } = segment;
    const peerIsn = (segment.seq - 1) | 0;
    const cookie = (segment.ack - 1) | 0;
    const mss = cookies.check(remote, ports, peerIsn, cookie, ms);
    if (mss === 0) {
      table.count[TCP.tcp_cookies_bad]++;
      // Data whose beginning got lost does not tell the peer's first number. The peer will repeat all of it.
      return segment.length > 0;
    }
    const r = handshake.create(remote, ports, listener.handlers, listener.settings);
    if (r === NO_ROW) return true;
    table.count[TCP.tcp_cookies_accepted]++;
    const offset = this.sequence.timestampOffset(remote, ports);
    const options = segment.hasTimestamps ? cookies.fromTs((segment.tsEcho - offset) | 0) : COOKIE_NO_SCALE;
    const scale = options & COOKIE_SCALE_MASK;
    i32[r + FLAGS] |= FLAG_PASSIVE;
    if ((options & COOKIE_ECN) === 0) i32[r + FLAGS] &= ~FLAG_ECN;
    i32[r + SYN_US] = 0;
    handshake.setSequence(r, cookie);
    handshake.settle(r, {
      seq: peerIsn,
      window: segment.window,
      mss,
      scale: scale === COOKIE_NO_SCALE ? NO_OPTION : scale,
      sackPermitted: (options & COOKIE_SACK) !== 0,
      hasTimestamps: segment.hasTimestamps,
      tsValue: segment.tsValue,
    });
    // The window that the SYN-ACK has offered: the ACK may carry data.
    i32[r + RCV_ADV] = (segment.seq + Math.min(listener.settings.receiveBuffer, MAX_SYN_WINDOW)) | 0;
    table.setState(r, STATE_SYN_RECEIVED);
    this.synchronized.receive(r, segment);
    return true;
  }
}
