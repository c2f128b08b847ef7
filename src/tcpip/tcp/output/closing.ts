/** The ways in which a connection ends: orderly, by way of TIME_WAIT, by a RST of either side, or without an answer. */
import { TCP_RST } from '../../../wire/tcp.js';
import { TCP } from '../counters.js';
import type { Recovery } from '../recovery/recovery.js';
import {
  FLAG_END_TOLD,
  FLAG_MUST_WAIT,
  FLAG_PASSIVE,
  FLAG_TIMESTAMPS,
  FLAGS,
  PORTS,
  RCV_ADV,
  RCV_NXT,
  REMOTE,
  ROW_SHIFT,
  SND_NXT,
  STATE,
  STATE_SYN_RECEIVED,
  STATE_SYN_SENT,
  STATE_UNREAD,
  TS_OFFSET,
  TS_RECENT,
} from '../state/rows.js';
import type { Table } from '../state/table.js';
import { type TimeWait, TW_FLAG_TIMESTAMPS } from '../state/time-wait.js';
import type { Transmit } from './transmit.js';

export class Closing {
  private readonly i32: Int32Array;

  constructor(
    private readonly table: Table,
    private readonly recovery: Recovery,
    private readonly transmit: Transmit,
    private readonly timeWait: TimeWait,
  ) {
    this.i32 = table.i32;
  }

  /** Ends the use of the row, and tells the application unless it does not know of the connection yet. */
  finish(r: number, error: Error | null): void {
    const { i32, table } = this;
    const row = r >> ROW_SHIFT;
    const handlers = table.handlers[row];
    const state = i32[r + STATE];
    this.recovery.close(r);
    table.close(r);
    table.count[TCP.tcp_closed]++;
    if (state === STATE_SYN_SENT) table.count[TCP.tcp_connect_failed]++;
    // The application of a listener learns of a connection when it is established.
    if (state === STATE_SYN_RECEIVED && (i32[r + FLAGS] & FLAG_PASSIVE) !== 0) return;
    handlers.close?.(table.connections[row], error);
  }

  /** Sends a RST, if the peer may know of the connection, and ends it. */
  reset(r: number, error: Error | null): void {
    const { i32 } = this;
    const state = i32[r + STATE];
    if (state !== STATE_SYN_SENT && state !== STATE_UNREAD) {
      if (this.transmit.segment(r, i32[r + SND_NXT], 0, TCP_RST)) this.table.count[TCP.tcp_resets_sent]++;
    }
    this.finish(r, error);
  }

  /**
   * Both sides have ended, on the wire.
   * @param mustWait whether the flow goes to TIME_WAIT, because our FIN was the first
   */
  complete(r: number, mustWait: boolean): void {
    const { i32 } = this;
    if ((i32[r + FLAGS] & FLAG_END_TOLD) === 0) {
      // The application has paused. `resume` completes the connection.
      this.table.setState(r, STATE_UNREAD);
      if (mustWait) i32[r + FLAGS] |= FLAG_MUST_WAIT;
      return;
    }
    if (mustWait) this.enterTimeWait(r);
    this.finish(r, null);
  }

  private enterTimeWait(r: number): void {
    const { i32, table } = this;
    table.count[TCP.tcp_time_wait_added]++;
    this.timeWait.add(
      i32[r + REMOTE],
      i32[r + PORTS],
      i32[r + SND_NXT],
      i32[r + RCV_NXT],
      (i32[r + RCV_ADV] - i32[r + RCV_NXT]) | 0,
      (i32[r + FLAGS] & FLAG_TIMESTAMPS) !== 0 ? TW_FLAG_TIMESTAMPS : 0,
      i32[r + TS_RECENT],
      i32[r + TS_OFFSET],
      table.clock.ms,
    );
  }
}
