/**
 * The send buffer: bytes from `write` until the peer has acknowledged them (RFC 9293, 3.8). They lie in a region that
 * grows with what waits, up to the limit of the connection; an idle connection has none. The limit follows the
 * congestion window, as in Linux.
 */
import { type MemoryViews, signedWords } from '../../../../drivers/memory/index.js';
import { TCP } from '../counters.js';
import { copyIn, moveInto } from '../state/region-copy.js';
import { type Region, SMALL_REGION_BYTES } from '../state/regions.js';
import {
  BYTES_WRITTEN,
  FLAG_FIN_QUEUED,
  FLAG_SEND_FIXED,
  FLAG_SHORT,
  FLAG_WANTS_DRAIN,
  FLAGS,
  ISS,
  ROW_SHIFT,
  SEND_BASE,
  SEND_LIMIT,
  SND_END,
  SND_UNA,
  STATE,
  STATE_ESTABLISHED,
} from '../state/rows.js';
import type { Table } from '../state/table.js';

/** Size of the first send region of a connection, in bytes. */
const FIRST_SIZE = SMALL_REGION_BYTES;
/** `drain` is called when this part of the buffer is free, as Linux wakes writers. */
const DRAIN_PART = 3;

export class SendBuffer {
  private readonly i32: Int32Array;
  private readonly f64: Float64Array;
  /** The array that was written last and is known to lie over the packet memory, and the words of that memory. */
  private readonly packetBytes: Uint8Array;
  private readonly packetWords: Int32Array;

  /** @param most largest send buffer that auto-tuning makes, in bytes */
  constructor(
    private readonly table: Table,
    memory: MemoryViews,
    private readonly most: number,
  ) {
    this.i32 = table.i32;
    this.f64 = table.rows.f64;
    this.packetBytes = memory.u8;
    this.packetWords = signedWords(memory);
  }

  /** Bytes that were written and not acknowledged. */
  held(r: number): number {
    const { i32 } = this;
    // Until it is acknowledged, our SYN lies before the bytes; after them, our FIN may be acknowledged.
    const first = i32[r + STATE] < STATE_ESTABLISHED ? (i32[r + ISS] + 1) | 0 : i32[r + SND_UNA];
    const held = (i32[r + SND_END] - first) | 0;
    return held > 0 ? held : 0;
  }

  /** Bytes that {@link write} would take, unless memory is short. */
  room(r: number): number {
    if ((this.i32[r + FLAGS] & FLAG_FIN_QUEUED) !== 0) return 0;
    const room = this.i32[r + SEND_LIMIT] - this.held(r);
    return room > 0 ? room : 0;
  }

  /** Copies bytes behind those that wait. Returns how many were taken. */
  write(r: number, bytes: Uint8Array, offset: number, length: number): number {
    const { i32 } = this;
    const row = r >> ROW_SHIFT;
    let taken = Math.min(length, this.room(r));
    if (taken > 0) {
      const held = this.held(r);
      let region = this.table.sendRegions[row];
      if (region === null || held + taken > region.size) {
        region = this.grow(r, region, held, held + taken);
        taken = region === null ? 0 : Math.min(taken, region.size - held);
      }
      if (region !== null && taken > 0) {
        const end = i32[r + SND_END];
        copyIn(
          region,
          (end - i32[r + SEND_BASE]) | 0,
          bytes,
          offset,
          taken,
          bytes === this.packetBytes ? this.packetWords : null,
        );
        i32[r + SND_END] = (end + taken) | 0;
        this.f64[(r >> 1) + BYTES_WRITTEN] += taken;
      }
    }
    return taken;
  }

  /** To be called when SND.UNA has moved: gives back what is not needed. */
  acknowledged(r: number): void {
    if (this.held(r) === 0) this.table.releaseSend(r);
  }

  /** The application waits for room. */
  wantDrain(r: number): void {
    const { i32 } = this;
    if ((i32[r + FLAGS] & FLAG_FIN_QUEUED) === 0) i32[r + FLAGS] |= FLAG_WANTS_DRAIN;
  }

  /** Whether the application of an open connection waits for room, and there is enough of it. It is told once. */
  takeDrain(r: number): boolean {
    const { i32 } = this;
    const flags = i32[r + FLAGS];
    if ((flags & FLAG_WANTS_DRAIN) === 0 || (flags & FLAG_FIN_QUEUED) !== 0) return false;
    if (i32[r + STATE] < STATE_ESTABLISHED) return false;
    const limit = (flags & FLAG_SHORT) === 0 ? i32[r + SEND_LIMIT] : this.limitOfMemory(r);
    const room = limit - this.held(r);
    if (room <= 0 || room * DRAIN_PART < limit) return false;
    i32[r + FLAGS] &= ~(FLAG_WANTS_DRAIN | FLAG_SHORT);
    return true;
  }

  /** What the send buffer can hold while memory is short: as much as its region, or the smallest one if there is one. */
  private limitOfMemory(r: number): number {
    const region = this.table.sendRegions[r >> ROW_SHIFT];
    if (region === null) return this.table.regions.hasRoomFor(FIRST_SIZE) ? FIRST_SIZE : 0;
    return Math.min(region.size, this.i32[r + SEND_LIMIT]);
  }

  /** Makes room for two congestion windows: what is in flight, and what follows it. */
  tune(r: number, congestionWindow: number): void {
    const { i32 } = this;
    if ((i32[r + FLAGS] & FLAG_SEND_FIXED) !== 0) return;
    const want = Math.min(2 * congestionWindow, this.most);
    if (want > i32[r + SEND_LIMIT]) i32[r + SEND_LIMIT] = want;
  }

  /** Takes a larger region, and copies the bytes that wait in the old one. Keeps the old one when memory is short. */
  private grow(r: number, old: Region | null, held: number, want: number): Region | null {
    const { regions, sendRegions, count } = this.table;
    let region = regions.allocate(Math.max(want, FIRST_SIZE));
    if (region === null && old === null) {
      region = regions.allocate(FIRST_SIZE);
      if (region !== null) {
        count[TCP.tcp_no_memory]++;
        this.i32[r + FLAGS] |= FLAG_SHORT;
      }
    }
    if (region === null) {
      count[TCP.tcp_no_memory]++;
      this.i32[r + FLAGS] |= FLAG_SHORT;
      if (old === null) this.table.isStarved = true;
      return old;
    }
    if (old === null) {
      this.i32[r + SEND_BASE] = this.i32[r + SND_END];
    } else {
      const from = (this.i32[r + SND_END] - held - this.i32[r + SEND_BASE]) | 0;
      moveInto(region, old, from, held);
      regions.release(old);
    }
    sendRegions[r >> ROW_SHIFT] = region;
    return region;
  }
}
