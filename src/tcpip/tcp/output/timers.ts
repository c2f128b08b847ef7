/** What happens when a timer of a connection fires. */
import { netError } from '../../errors.js';
import { TCP } from '../counters.js';
import { EXPIRED_NOTHING, EXPIRED_PROBE, EXPIRED_RTO, type Recovery } from '../recovery/recovery.js';
import {
  FLAG_PERSIST,
  FLAGS,
  HEARD_MS,
  KEEP_ALIVE,
  KEEP_PROBES,
  PROGRESS_MS,
  SND_NXT,
  SND_UNA,
  SND_WND,
  SOFT_ERROR,
  STATE,
  STATE_ESTABLISHED,
  STATE_FIN_WAIT_2,
  STATE_UNREAD,
  USER_TIMEOUT,
} from '../state/rows.js';
import { later } from '../state/sequence.js';
import { softErrorOf } from '../state/soft-errors.js';
import {
  kindOfTimer,
  rowOfTimer,
  type Table,
  TIMER_DELAYED_ACK,
  TIMER_KEEP_ALIVE,
  TIMER_RETRANSMIT,
  timerId,
} from '../state/table.js';
import type { Acks } from './acks.js';
import type { Closing } from './closing.js';
import type { Handshake } from './handshake.js';
import type { Output } from './output.js';
import type { PathMtuChange } from './path-mtu-change.js';

/** Timeouts in turn after which a connection is given up: R2 of RFC 9293, 3.8.3 (Linux: tcp_retries2). */
const MAX_TIMEOUTS = 15;
/** Longest silence of a peer that is asked for its window, in ms: about as long as MAX_TIMEOUTS take. */
const MAX_SILENCE_MS = 924_600;
/** Time between two keep-alive probes, and how many are sent (Linux: tcp_keepalive_intvl, tcp_keepalive_probes). */
const KEEP_INTERVAL_MS = 75_000;
const KEEP_LIMIT = 9;
/** In FIN-WAIT-2, the idle time until the peer is asked whether it is still there (Linux: tcp_fin_timeout). */
export const FIN_WAIT_2_MS = 60_000;

export class Timers {
  private readonly i32: Int32Array;

  constructor(
    private readonly table: Table,
    private readonly recovery: Recovery,
    private readonly output: Output,
    private readonly acks: Acks,
    private readonly closing: Closing,
    private readonly handshake: Handshake,
    private readonly pathMtu: PathMtuChange,
  ) {
    this.i32 = table.i32;
  }

  /** A timer of the wheel has fired. */
  expired(id: number): void {
    const r = rowOfTimer(id);
    switch (kindOfTimer(id)) {
      case TIMER_RETRANSMIT:
        if (this.i32[r + STATE] < STATE_ESTABLISHED) this.handshake.expired(r);
        else if ((this.i32[r + FLAGS] & FLAG_PERSIST) !== 0) this.persistExpired(r);
        else this.retransmit(r);
        return;
      case TIMER_DELAYED_ACK:
        this.acks.expired(r);
        return;
      default:
        this.keepAlive(r);
    }
  }

  private retransmit(r: number): void {
    const { i32, recovery, output } = this;
    if (i32[r + SND_UNA] === i32[r + SND_NXT]) return;
    const result = recovery.expired(r);
    if (result === EXPIRED_PROBE) {
      const isNew = output.sendProbe(r);
      if (isNew || output.resend(r, recovery.probeRecord(r))) recovery.probeSent(r, !isNew);
      recovery.rearm(r);
      return;
    }
    if (result === EXPIRED_RTO) {
      const isShut = this.isShut(r);
      if ((recovery.timeouts(r) > MAX_TIMEOUTS && !isShut) || this.isOverdue(r)) {
        this.giveUp(r);
        return;
      }
      if (!isShut) this.pathMtu.timedOut(r);
    }
    if (result !== EXPIRED_NOTHING) output.send(r);
    recovery.rearm(r);
  }

  /** The peer has shrunk its window to zero, and still answers: the data is a probe (RFC 9293, 3.8.6, MUST-35). */
  private isShut(r: number): boolean {
    const silence = (this.table.clock.ms - this.i32[r + HEARD_MS]) | 0;
    return this.i32[r + SND_WND] === 0 && silence < MAX_SILENCE_MS;
  }

  /** RFC 9293, 3.8.3, MUST-20: the application's user timeout. */
  private isOverdue(r: number): boolean {
    const { i32, table } = this;
    const timeout = i32[r + USER_TIMEOUT];
    return timeout !== 0 && ((table.clock.ms - i32[r + PROGRESS_MS]) | 0) >= timeout;
  }

  private giveUp(r: number): void {
    const { i32, table } = this;
    table.count[TCP.tcp_timeouts]++;
    const error = softErrorOf(i32[r + SOFT_ERROR]) ?? netError('ETIMEDOUT', 'the peer has not answered for too long');
    // RFC 9293, 3.8.3: the peer may still be there, in one direction.
    this.closing.reset(r, error);
  }

  /** A window may stay closed for ever (MUST-37), but not with a peer that is silent. */
  private persistExpired(r: number): void {
    const { i32, table } = this;
    // A peer that nothing was asked of may have been silent for much longer.
    const silence = (table.clock.ms - later(i32[r + HEARD_MS], i32[r + PROGRESS_MS])) | 0;
    if (silence >= MAX_SILENCE_MS || this.isOverdue(r)) this.giveUp(r);
    else this.output.probeWindow(r);
  }

  /** Keep-alive (RFC 9293, 3.8.4): a probe after an idle time, then one per interval until the peer answers. */
  private keepAlive(r: number): void {
    const { i32, table } = this;
    // Both sides have ended, and the peer may have forgotten the connection: only the application has to read.
    if (i32[r + STATE] === STATE_UNREAD) return;
    const idle = (table.clock.ms - i32[r + HEARD_MS]) | 0;
    const isHalfClosed = i32[r + STATE] === STATE_FIN_WAIT_2;
    const after = i32[r + KEEP_ALIVE] > 0 ? i32[r + KEEP_ALIVE] : isHalfClosed ? FIN_WAIT_2_MS : 0;
    if (after === 0) return;
    const timer = timerId(r, TIMER_KEEP_ALIVE);
    const isBusy = i32[r + SND_UNA] !== i32[r + SND_NXT];
    if (idle < after || isBusy) {
      table.wheel.set(timer, (table.clock.ms + (isBusy ? after : after - idle)) | 0);
      return;
    }
    if (i32[r + KEEP_PROBES] >= KEEP_LIMIT) {
      this.giveUp(r);
      return;
    }
    i32[r + KEEP_PROBES]++;
    table.count[TCP.tcp_keep_alive_probes]++;
    this.output.probe(r);
    table.wheel.set(timer, (table.clock.ms + KEEP_INTERVAL_MS) | 0);
  }
}
