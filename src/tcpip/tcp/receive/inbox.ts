/**
 * Received data on its way to the application. Data in order goes to the handler where it lies in the packet, without a
 * copy. Data beyond a gap, and data while the application has paused, is copied into the receive region, so that no
 * packet buffer waits for an application.
 */
import { type MemoryViews, signedWords } from '../../../../drivers/memory/index.js';
import { TCP } from '../counters.js';
import { copyIn, moveInto } from '../state/region-copy.js';
import type { Region } from '../state/regions.js';
import {
  BYTES_READ,
  FIN_SEQ,
  FLAG_END_TOLD,
  FLAG_FIN_SEEN,
  FLAG_PAUSED,
  FLAGS,
  INTERVALS,
  RCV_NXT,
  RECEIVE_LIMIT,
  ROW_SHIFT,
  STATE,
  STATE_CLOSED,
  TAKEN,
} from '../state/rows.js';
import type { Table } from '../state/table.js';
import type { Intervals } from './intervals.js';
import type { ReceiveWindow } from './window.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const BYTES_IN = TCP.tcp_bytes_in;
/** Size of the first receive region of a connection, in bytes. */
const FIRST_SIZE = 4096;

export class Inbox {
  private readonly i32: Int32Array;
  private readonly f64: Float64Array;
  private readonly packetBytes: Uint8Array;
  private readonly packetWords: Int32Array;

  constructor(
    private readonly table: Table,
    private readonly intervals: Intervals,
    private readonly window: ReceiveWindow,
    memory: MemoryViews,
  ) {
    this.i32 = table.i32;
    this.f64 = table.rows.f64;
    this.packetBytes = memory.u8;
    this.packetWords = signedWords(memory);
  }

  /**
   * Takes data that begins at RCV.NXT, and what follows it in the region.
   * @param bytes the memory that the packet lies in
   * @param at offset of the first byte
   * @returns false when there was no memory to keep the data: the peer must send it again
   */
  inOrder(r: number, bytes: Uint8Array, at: number, length: number): boolean {
    const { i32 } = this;
    const next = i32[r + RCV_NXT];
    const isDirect = i32[r + TAKEN] === next && (i32[r + FLAGS] & FLAG_PAUSED) === 0;
    if (!isDirect && !this.store(r, next, bytes, at, length)) return false;
    i32[r + RCV_NXT] = (next + length) | 0;
    this.count(r, length);
    if (i32[r + INTERVALS] !== 0) {
      const end = this.intervals.take(r, i32[r + RCV_NXT]);
      this.count(r, (end - i32[r + RCV_NXT]) | 0);
      i32[r + RCV_NXT] = end;
    }
    if (isDirect) {
      i32[r + TAKEN] = (next + length) | 0;
      this.hand(r, bytes, at, length);
      if (i32[r + STATE] === STATE_CLOSED) return true;
    }
    if (i32[r + TAKEN] !== i32[r + RCV_NXT]) this.deliver(r);
    return true;
  }

  /** Takes data beyond a gap that {@link store} has kept. If there are too many gaps, it counts as dropped. */
  outOfOrder(r: number, seq: number, end: number): void {
    const { count } = this.table;
    if (this.intervals.add(r, seq, end)) count[TCP.tcp_out_of_order]++;
    else count[TCP.tcp_intervals_full]++;
  }

  /** Gives the application what waits in order, unless it has paused; then the end, if the peer has sent its FIN. */
  deliver(r: number): void {
    const { i32, table } = this;
    for (;;) {
      const flags = i32[r + FLAGS];
      if ((flags & FLAG_PAUSED) !== 0) return;
      const hasEnded = this.hasEnded(r);
      const taken = i32[r + TAKEN];
      const waiting = this.unread(r);
      if (waiting <= 0) {
        if (i32[r + INTERVALS] === 0) table.releaseReceived(r);
        if (hasEnded && (flags & FLAG_END_TOLD) === 0) {
          i32[r + FLAGS] |= FLAG_END_TOLD;
          table.handlers[r >> ROW_SHIFT].end?.(table.connections[r >> ROW_SHIFT]);
        }
        return;
      }
      const region = table.receiveRegions[r >> ROW_SHIFT]!;
      const position = taken & (region.size - 1);
      const length = Math.min(waiting, region.size - position);
      i32[r + TAKEN] = (taken + length) | 0;
      this.hand(r, region.u8, region.start + position, length);
      if (i32[r + STATE] === STATE_CLOSED) return;
    }
  }

  /** How many bytes have come in order and were not given to the application. */
  unread(r: number): number {
    const { i32 } = this;
    // The FIN has a sequence number, but is no byte of the region.
    return ((this.hasEnded(r) ? i32[r + FIN_SEQ] : i32[r + RCV_NXT]) - i32[r + TAKEN]) | 0;
  }

  private hasEnded(r: number): boolean {
    const { i32 } = this;
    return (i32[r + FLAGS] & FLAG_FIN_SEEN) !== 0 && ((i32[r + RCV_NXT] - i32[r + FIN_SEQ]) | 0) > 0;
  }

  private hand(r: number, bytes: Uint8Array, at: number, length: number): void {
    const { table } = this;
    const row = r >> ROW_SHIFT;
    const handlers = table.handlers[row];
    if (handlers.data !== undefined) handlers.data(table.connections[row], bytes, at, length);
    this.window.tune(r);
  }

  private count(r: number, length: number): void {
    this.f64[(r >> 1) + BYTES_READ] += length;
    this.table.count[BYTES_IN] += length;
  }

  /** Copies bytes into the receive region. Returns false, and counts it, when there is no memory. */
  store(r: number, seq: number, bytes: Uint8Array, at: number, length: number): boolean {
    const row = r >> ROW_SHIFT;
    const span = (seq + length - this.i32[r + TAKEN]) | 0;
    let region = this.table.receiveRegions[row];
    if (region === null || span > region.size) region = this.grow(r, region, span);
    if (region === null) {
      this.table.count[TCP.tcp_no_memory]++;
      return false;
    }
    copyIn(region, seq, bytes, at, length, bytes === this.packetBytes ? this.packetWords : null);
    return true;
  }

  /** Takes a larger region, and copies the bytes that wait in the old one. */
  private grow(r: number, old: Region | null, span: number): Region | null {
    const { regions, receiveRegions } = this.table;
    const limit = this.i32[r + RECEIVE_LIMIT];
    const size = Math.max(span, old === null ? Math.min(FIRST_SIZE, limit) : Math.min(old.size * 2, limit));
    const region = regions.allocate(size);
    if (region === null) return null;
    if (old !== null) {
      const from = this.i32[r + TAKEN];
      moveInto(region, old, from, old.size);
      regions.release(old);
    }
    receiveRegions[r >> ROW_SHIFT] = region;
    return region;
  }
}
