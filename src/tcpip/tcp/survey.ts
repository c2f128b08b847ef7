/** Looks at all connections: who has something unacknowledged, and who ends with the device. Not for each packet. */
import type { SendBuffer } from './output/send-buffer.js';
import {
  FLAG_FIN_QUEUED,
  FLAGS,
  REMOTE,
  ROW_WORDS,
  STATE,
  STATE_CLOSED,
  STATE_FIN_WAIT_2,
  STATE_UNREAD,
} from './state/rows.js';
import type { Table } from './state/table.js';

/** Returns the offsets of all rows in use. */
export function rowsInUse(table: Table): number[] {
  const { i32 } = table;
  const rows: number[] = [];
  for (let r = 0, left = table.size; left > 0; r += ROW_WORDS) {
    if (i32[r + STATE] === STATE_CLOSED) continue;
    left--;
    rows.push(r);
  }
  return rows;
}

/**
 * Returns the rows whose connections need the device: neither those to the own address, nor those that have ended on
 * the wire.
 * @param local our address, signed
 */
export function rowsToOthers(table: Table, local: number): number[] {
  const { i32 } = table;
  return rowsInUse(table).filter((r) => i32[r + STATE] !== STATE_UNREAD && i32[r + REMOTE] !== local);
}

/** How many connections have bytes, or a FIN, that the peer has not acknowledged. */
export function countUnacknowledged(table: Table, sendBuffer: SendBuffer): number {
  const { i32 } = table;
  let count = 0;
  for (let r = 0, left = table.size; left > 0; r += ROW_WORDS) {
    const state = i32[r + STATE];
    if (state === STATE_CLOSED) continue;
    left--;
    const hasFin = (i32[r + FLAGS] & FLAG_FIN_QUEUED) !== 0 && state !== STATE_FIN_WAIT_2 && state !== STATE_UNREAD;
    if (hasFin || sendBuffer.held(r) > 0) count++;
  }
  return count;
}
