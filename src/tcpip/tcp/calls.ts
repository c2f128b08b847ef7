/** What an application calls on a connection (RFC 9293, 3.9.1). */
import type { OwnAddress } from '../own-address.js';
import type { Closing } from './output/closing.js';
import type { SendBuffer } from './output/send-buffer.js';
import type { Inbox } from './receive/inbox.js';
import type { Recovery } from './recovery/recovery.js';
import {
  FLAG_DELIVER,
  FLAG_FIN_QUEUED,
  FLAG_MUST_WAIT,
  FLAG_NO_DELAY,
  FLAG_PAUSED,
  FLAG_WINDOW_UPDATE,
  FLAGS,
  KEEP_ALIVE,
  STATE,
  STATE_CLOSE_WAIT,
  STATE_CLOSED,
  STATE_ESTABLISHED,
  STATE_FIN_WAIT_1,
  STATE_LAST_ACK,
  STATE_SYN_RECEIVED,
  STATE_SYN_SENT,
  STATE_UNREAD,
} from './state/rows.js';
import { type Table, TIMER_KEEP_ALIVE, timerId } from './state/table.js';

/** Does at once what a call has left to be done, unless a poll is under way that will do it. */
export interface Flusher {
  flushSoon(): void;
}

export class Calls {
  readonly i32: Int32Array;
  readonly f64: Float64Array;

  /** @param local our address */
  constructor(
    readonly table: Table,
    readonly recovery: Recovery,
    private readonly sendBuffer: SendBuffer,
    private readonly inbox: Inbox,
    private readonly closing: Closing,
    private readonly flusher: Flusher,
    readonly local: OwnAddress,
  ) {
    this.i32 = table.i32;
    this.f64 = table.rows.f64;
  }

  /** Whether data may be written: also before the handshake is over. */
  private isWritable(r: number): boolean {
    const state = this.i32[r + STATE];
    return (state >= STATE_SYN_SENT && state <= STATE_ESTABLISHED) || state === STATE_CLOSE_WAIT;
  }

  writable(r: number): number {
    return this.isWritable(r) ? this.sendBuffer.room(r) : 0;
  }

  buffered(r: number): number {
    return this.i32[r + STATE] === STATE_CLOSED ? 0 : this.sendBuffer.held(r);
  }

  unread(r: number): number {
    return this.i32[r + STATE] === STATE_CLOSED ? 0 : this.inbox.unread(r);
  }

  write(r: number, bytes: Uint8Array, offset: number, length: number): number {
    if (length === 0 || !this.isWritable(r)) return 0;
    const taken = this.sendBuffer.write(r, bytes, offset, length);
    if (taken > 0) {
      this.table.list(r);
      this.flusher.flushSoon();
    }
    // Only now, because `drain` must not be called before the application knows how much was taken.
    if (taken < length && this.isWritable(r)) this.sendBuffer.wantDrain(r);
    return taken;
  }

  end(r: number): void {
    const { i32 } = this;
    if ((i32[r + FLAGS] & FLAG_FIN_QUEUED) !== 0) return;
    switch (i32[r + STATE]) {
      case STATE_SYN_SENT:
        // RFC 9293, 3.10.4: the peer does not know of the connection yet.
        this.closing.finish(r, null);
        return;
      case STATE_SYN_RECEIVED:
        // Only the application of an active open knows of it. The FIN follows when the handshake is over.
        break;
      case STATE_ESTABLISHED:
        this.table.setState(r, STATE_FIN_WAIT_1);
        break;
      case STATE_CLOSE_WAIT:
        this.table.setState(r, STATE_LAST_ACK);
        break;
      default:
        return;
    }
    i32[r + FLAGS] |= FLAG_FIN_QUEUED;
    this.table.list(r);
    this.flusher.flushSoon();
  }

  abort(r: number): void {
    if (this.i32[r + STATE] !== STATE_CLOSED) {
      this.closing.reset(r, null);
      this.flusher.flushSoon();
    }
  }

  pause(r: number): void {
    this.i32[r + FLAGS] |= FLAG_PAUSED;
  }

  resume(r: number): void {
    const { i32 } = this;
    if ((i32[r + FLAGS] & FLAG_PAUSED) === 0) return;
    i32[r + FLAGS] &= ~FLAG_PAUSED;
    if (i32[r + STATE] === STATE_CLOSED) return;
    i32[r + FLAGS] |= FLAG_WINDOW_UPDATE | FLAG_DELIVER;
    this.table.list(r);
    this.flusher.flushSoon();
  }

  /** Gives the application what has waited since it paused. To be called outside of its handlers. */
  deliver(r: number): void {
    const { i32 } = this;
    i32[r + FLAGS] &= ~FLAG_DELIVER;
    this.inbox.deliver(r);
    if (i32[r + STATE] === STATE_UNREAD) this.closing.complete(r, (i32[r + FLAGS] & FLAG_MUST_WAIT) !== 0);
  }

  setNoDelay(r: number, noDelay: boolean): void {
    const { i32 } = this;
    if (i32[r + STATE] === STATE_CLOSED) return;
    if (!noDelay) {
      i32[r + FLAGS] &= ~FLAG_NO_DELAY;
      return;
    }
    i32[r + FLAGS] |= FLAG_NO_DELAY;
    this.table.list(r);
    this.flusher.flushSoon();
  }

  setKeepAlive(r: number, idleMs: number): void {
    const { i32, table } = this;
    if (i32[r + STATE] === STATE_CLOSED) return;
    i32[r + KEEP_ALIVE] = idleMs;
    const timer = timerId(r, TIMER_KEEP_ALIVE);
    if (idleMs === 0) table.wheel.clear(timer);
    else if (i32[r + STATE] >= STATE_ESTABLISHED) table.wheel.set(timer, (table.clock.ms + idleMs) | 0);
  }
}
