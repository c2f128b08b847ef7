/**
 * Decides what a connection sends: first what was lost, then new data, as far as the congestion window, the peer's
 * window (RFC 9293, 3.8.6), the avoidance of silly windows (3.8.6.2.1) and Nagle's algorithm (3.7.4) let it.
 */
import { TCP_FIN, TCP_PSH } from '../../../wire/tcp.js';
import { TCP } from '../counters.js';
import type { Recovery } from '../recovery/recovery.js';
import { rtoUs } from '../recovery/rtt.js';
import {
  FLAG_FIN_QUEUED,
  FLAG_FIN_SENT,
  FLAG_NO_DELAY,
  FLAG_PERSIST,
  FLAGS,
  MAX_SND_WND,
  MSS,
  PROBES,
  PROGRESS_MS,
  SMALL_END,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WND,
  STATE,
  STATE_ESTABLISHED,
} from '../state/rows.js';
import { type Table, TIMER_RETRANSMIT, timerId } from '../state/table.js';
import type { GsoOutput } from './gso-output.js';
import type { RunOutput } from './run-output.js';
import type { Transmit } from './transmit.js';

const US_PER_MS = 1000;
/** Longest time between two window probes, in ms (Linux: TCP_RTO_MAX). */
const MAX_PROBE_MS = 120_000;
/** Largest shift of the timeout between window probes. */
const MAX_PROBE_SHIFT = 12;

// Modes of {@link Output.sendNew}.
const NORMAL = 0;
/** A probe of a small window, or of a tail that may be lost: neither Nagle nor the congestion window holds it back. */
const FORCED = 1;

export class Output {
  private readonly i32: Int32Array;

  constructor(
    private readonly table: Table,
    private readonly recovery: Recovery,
    private readonly transmit: Transmit,
    private readonly gso: GsoOutput,
    private readonly runs: RunOutput,
  ) {
    this.i32 = table.i32;
  }

  /** Sends what may be sent now, and sets the timer that watches over it. */
  send(r: number): void {
    const { i32, recovery } = this;
    if (i32[r + STATE] < STATE_ESTABLISHED) return;
    let hasSent = false;
    for (;;) {
      const lost = recovery.nextLost(r);
      if (lost >= 0) {
        if (!this.mayResend(r, lost) || !this.resend(r, lost)) break;
      } else if (!this.gso.send(r) && !this.runs.send(r) && !this.sendNew(r, NORMAL)) {
        break;
      }
      hasSent = true;
    }
    if (hasSent) recovery.rearm(r);
    if (i32[r + SND_UNA] === i32[r + SND_NXT]) this.persist(r);
  }

  /** Whether the congestion window has room for a segment that was lost. */
  private mayResend(r: number, record: number): boolean {
    const { recovery, i32 } = this;
    const length = (recovery.recordEnd(r, record) - recovery.recordSeq(r, record)) | 0;
    return recovery.allowance(r) >= Math.min(length, i32[r + MSS]);
  }

  /** Sends a segment again, in pieces if the MSS is smaller now. Returns false when it could not be sent now. */
  resend(r: number, record: number): boolean {
    const { i32, recovery, transmit, table } = this;
    const una = i32[r + SND_UNA];
    const end = recovery.recordEnd(r, record);
    let seq = recovery.recordSeq(r, record);
    if (((una - seq) | 0) > 0) seq = una;
    const hasFin = (i32[r + FLAGS] & FLAG_FIN_SENT) !== 0 && end === i32[r + SND_NXT];
    let left = ((end - seq) | 0) - (hasFin ? 1 : 0);
    do {
      const length = Math.min(left, i32[r + MSS]);
      left -= length;
      const next = (seq + length) | 0;
      if (!transmit.segment(r, seq, length, transmit.flagsFor(r, next, hasFin && left === 0))) {
        table.list(r);
        return false;
      }
      seq = next;
    } while (left > 0);
    recovery.resent(r, record);
    return true;
  }

  /** Sends one new segment, if it may be sent. Returns whether one was sent. */
  private sendNew(r: number, mode: number): boolean {
    const { i32, recovery } = this;
    const flags = i32[r + FLAGS];
    if ((flags & FLAG_FIN_SENT) !== 0) return false;
    const next = i32[r + SND_NXT];
    const unsent = (i32[r + SND_END] - next) | 0;
    const hasFin = (flags & FLAG_FIN_QUEUED) !== 0;
    if (unsent === 0 && !hasFin) return false;
    const mss = i32[r + MSS];
    const usable = (i32[r + SND_UNA] + i32[r + SND_WND] - next) | 0;
    const length = Math.min(unsent, mss, usable);
    if (length < 0) return false;
    const withFin = hasFin && length === unsent && usable > length;
    if (length === 0 && !withFin) return false;
    if (mode === NORMAL) {
      if (length < mss && !withFin && !this.maySendSmall(r, length, unsent)) return false;
      if (length > recovery.allowance(r)) return false;
    }
    if (!recovery.reserve(r, 1)) return false;
    const end = (next + length + (withFin ? 1 : 0)) | 0;
    if (!this.transmit.segment(r, next, length, withFin ? TCP_FIN | TCP_PSH : this.transmit.flagsFor(r, end, false))) {
      this.table.list(r);
      return false;
    }
    recovery.sent(r, next, (end - next) | 0, 1);
    if (next === i32[r + SND_UNA]) i32[r + PROGRESS_MS] = this.table.clock.ms;
    i32[r + SND_NXT] = end;
    if (withFin) i32[r + FLAGS] |= FLAG_FIN_SENT;
    if (length < mss) i32[r + SMALL_END] = end;
    return true;
  }

  /**
   * Whether a segment below the MSS may go out. One that the window cuts off must have half of the largest window
   * (RFC 9293, 3.8.6.2.1). One at the end of the data waits by Nagle's algorithm while another small segment is in
   * flight (Minshall's rule).
   */
  private maySendSmall(r: number, length: number, unsent: number): boolean {
    const { i32 } = this;
    if (length < unsent) return length * 2 >= i32[r + MAX_SND_WND];
    if ((i32[r + FLAGS] & FLAG_NO_DELAY) !== 0) return true;
    return i32[r + SND_NXT] === i32[r + SND_UNA] || ((i32[r + SMALL_END] - i32[r + SND_UNA]) | 0) <= 0;
  }

  /** Sends one segment of new data without regard to the congestion window, as a tail loss probe. */
  sendProbe(r: number): boolean {
    return this.sendNew(r, FORCED);
  }

  /** With nothing in flight and something to send, only a window update can help: asks for it (RFC 9293, 3.8.6.1). */
  private persist(r: number): void {
    const { i32, table } = this;
    const flags = i32[r + FLAGS];
    if ((flags & FLAG_FIN_SENT) !== 0) return;
    const isWaiting = i32[r + SND_END] !== i32[r + SND_NXT] || (flags & FLAG_FIN_QUEUED) !== 0;
    const isShut = i32[r + SND_WND] < Math.min(i32[r + MSS], (i32[r + SND_END] - i32[r + SND_NXT] + 1) | 0);
    if (!isWaiting || !isShut || (flags & FLAG_PERSIST) !== 0) return;
    i32[r + FLAGS] |= FLAG_PERSIST;
    i32[r + PROBES] = 0;
    i32[r + PROGRESS_MS] = table.clock.ms;
    this.setPersistTimer(r);
    table.count[TCP.tcp_window_closed]++;
  }

  private setPersistTimer(r: number): void {
    const { i32, table } = this;
    const backoff = Math.ceil(rtoUs(i32, r) / US_PER_MS) * 2 ** Math.min(i32[r + PROBES], MAX_PROBE_SHIFT);
    table.wheel.set(timerId(r, TIMER_RETRANSMIT), (table.clock.ms + Math.min(backoff, MAX_PROBE_MS)) | 0);
  }

  /** The window may have opened: ends the probes. */
  endPersist(r: number): void {
    const { i32, table } = this;
    i32[r + FLAGS] &= ~FLAG_PERSIST;
    i32[r + PROBES] = 0;
    table.wheel.clear(timerId(r, TIMER_RETRANSMIT));
  }

  /**
   * The persist timer has fired. Sends what fits into a small window; otherwise a segment without data that was
   * acknowledged before, which every receiver answers with its window (as Linux does).
   */
  probeWindow(r: number): void {
    const { i32, table } = this;
    if (i32[r + SND_WND] > 0) {
      this.endPersist(r);
      if (this.sendNew(r, FORCED)) {
        this.recovery.rearm(r);
        return;
      }
      i32[r + FLAGS] |= FLAG_PERSIST;
    }
    i32[r + PROBES]++;
    table.count[TCP.tcp_window_probes]++;
    this.probe(r);
    this.setPersistTimer(r);
  }

  /** Sends a segment that the peer must answer: one byte below what it has acknowledged, without data. */
  probe(r: number): void {
    this.transmit.segment(r, (this.i32[r + SND_UNA] - 1) | 0, 0, 0);
  }
}
