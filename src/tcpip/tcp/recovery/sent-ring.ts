/**
 * The segments in flight of each connection: a ring of records, in the order of sequence numbers. The oldest record is
 * dropped when it is acknowledged, a new segment is appended, and the ring grows when it is full. It begins with room
 * for one record in the row, because most requests and responses are one segment; a larger ring lies in a region, which
 * the connection has until nothing is in flight.
 *
 * A record has a number, from 0 to 2^31 - 1, which wraps; it is at place `number & mask`. Lists link records by
 * their numbers, so that they outlive the growth of the ring.
 */

import type { Region, RegionPool } from '../state/regions.js';
import {
  LOST_LIST,
  ONLY_RECORD,
  RACK_NEXT,
  RELOST_LIST,
  RESENT_LIST,
  RING_HEAD,
  RING_TAIL,
  ROW_SHIFT,
  type Rows,
  SACK_HINT,
} from '../state/rows.js';

const RECORD_SHIFT = 3;
const RECORD_BYTES = 32;
const MAX_NUMBER = 0x7fffffff;
const FIRST_BYTES = 1024;

/** No record. */
export const NO_RECORD = -1;

// The words of a record.

/** The first sequence number. */
export const SEQ = 0;
/** After the last sequence number. */
export const END = 1;
/** When the segment was last sent, in µs, and in ms as in its timestamp option. */
export const SENT_US = 2;
export const SENT_MS = 3;
/** SEGMENT_ bits. */
export const BITS = 4;
/** Neighbours in the list in which the record is. */
export const NEXT = 5;
export const PREVIOUS = 6;
/** With SEGMENT_SACKED: all records from this one to the one with this number, without it, are SACKed. */
export const RUN = 7;
/** Otherwise: the number of its last transmission, among all transmissions of the stack. */
export const ORDER = 7;

/** The receiver has it. */
export const SEGMENT_SACKED = 1;
/** It is lost, and was not sent again since; it is in LOST_LIST, or in RELOST_LIST with SEGMENT_RELOST. */
export const SEGMENT_LOST = 2;
export const SEGMENT_RELOST = 4;
/** Its retransmission is in flight: it is in RESENT_LIST. */
export const SEGMENT_RESENT = 8;
/** It was sent more than once. */
export const SEGMENT_RETRANSMITTED = 16;

const NO_ROW_SELECTED = -1;

export class SentRing {
  /** The words in which the records of the selected row lie. */
  words: Int32Array;
  private base = 0;
  private mask = 0;
  private selected = NO_ROW_SELECTED;
  private readonly i32: Int32Array;
  private transmissions = 0;
  private readonly rings: (Region | null)[] = [];

  constructor(
    rows: Rows,
    private readonly regions: RegionPool,
  ) {
    this.i32 = rows.i32;
    this.words = rows.i32;
    for (let i = 0; i < rows.count; i++) this.rings.push(null);
  }

  /** Prepares a row that has no records. */
  open(r: number): void {
    const i32 = this.i32;
    i32[r + RING_HEAD] = 0;
    i32[r + RING_TAIL] = 0;
    i32[r + RACK_NEXT] = 0;
    i32[r + SACK_HINT] = 0;
    this.emptyList(r + RESENT_LIST);
    this.emptyList(r + LOST_LIST);
    this.emptyList(r + RELOST_LIST);
  }

  /** Drops all records of the row and gives its region back. */
  close(r: number): void {
    const row = r >> ROW_SHIFT;
    const region = this.rings[row];
    if (region !== null) {
      this.regions.release(region);
      this.rings[row] = null;
      this.selected = NO_ROW_SELECTED;
      this.select(r);
    }
    this.open(r);
  }

  /** Makes {@link at} refer to the records of the row. Valid until another row is selected, or a ring grows. */
  select(r: number): void {
    if (this.selected === r) return;
    this.selected = r;
    const region = this.rings[r >> ROW_SHIFT];
    if (region === null) {
      this.words = this.i32;
      this.base = r + ONLY_RECORD;
      this.mask = 0;
    } else {
      this.use(region);
    }
  }

  /** The number of the next transmission: compare by `(a - b) | 0`. */
  nextOrder(): number {
    this.transmissions = (this.transmissions + 1) | 0;
    return this.transmissions;
  }

  /** The offset in {@link words} of a record of the selected row. */
  at(record: number): number {
    return this.base + ((record & this.mask) << RECORD_SHIFT);
  }

  /** The record after this one. It exists if it is not RING_TAIL. */
  after(record: number): number {
    return (record + 1) & MAX_NUMBER;
  }

  /** The newest record; there must be one. */
  last(r: number): number {
    return (this.i32[r + RING_TAIL] - 1) & MAX_NUMBER;
  }

  /** How many records the row has. */
  count(r: number): number {
    return (this.i32[r + RING_TAIL] - this.i32[r + RING_HEAD]) & MAX_NUMBER;
  }

  /** Whether the row has a record with this number. */
  has(r: number, record: number): boolean {
    return ((record - this.i32[r + RING_HEAD]) & MAX_NUMBER) < this.count(r);
  }

  /** Selects the row, and makes room for `more` records. Returns false when there is no memory. */
  reserve(r: number, more: number): boolean {
    this.select(r);
    while (this.count(r) + more > this.mask + 1) if (!this.grow(r)) return false;
    return true;
  }

  /**
   * Appends the records of `count` segments of `length` bytes each, which are sent now, and selects the row.
   * @returns false when there is no memory
   */
  append(r: number, seq: number, length: number, count: number, us: number, ms: number): boolean {
    if (!this.reserve(r, count)) return false;
    const i32 = this.i32;
    const words = this.words;
    let record = i32[r + RING_TAIL];
    let from = seq;
    for (let i = 0; i < count; i++) {
      const at = this.at(record);
      words[at + SEQ] = from;
      from = (from + length) | 0;
      words[at + END] = from;
      words[at + SENT_US] = us;
      words[at + SENT_MS] = ms;
      words[at + BITS] = 0;
      words[at + ORDER] = this.nextOrder();
      words[at + NEXT] = NO_RECORD;
      words[at + PREVIOUS] = NO_RECORD;
      record = (record + 1) & MAX_NUMBER;
    }
    i32[r + RING_TAIL] = record;
    return true;
  }

  /** Drops the oldest record. The caller has taken it out of its list. */
  dropHead(r: number): void {
    const i32 = this.i32;
    const head = i32[r + RING_HEAD];
    const next = (head + 1) & MAX_NUMBER;
    if (i32[r + RACK_NEXT] === head) i32[r + RACK_NEXT] = next;
    if (i32[r + SACK_HINT] === head) i32[r + SACK_HINT] = next;
    i32[r + RING_HEAD] = next;
    if (next === i32[r + RING_TAIL]) this.close(r);
  }

  /** The first record of the selected row that ends after `seq`, or RING_TAIL. */
  find(r: number, seq: number): number {
    const words = this.words;
    const head = this.i32[r + RING_HEAD];
    let low = 0;
    let high = this.count(r);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (((words[this.at(head + middle) + END] - seq) | 0) > 0) high = middle;
      else low = middle + 1;
    }
    return (head + low) & MAX_NUMBER;
  }

  /**
   * The first record that is not SACKed, from a SACKed record on. Shortens the way for later calls (path halving), so
   * that a run of SACKed records costs next to nothing, however long it is.
   */
  skipSacked(r: number, record: number): number {
    const words = this.words;
    const tail = this.i32[r + RING_TAIL];
    let now = record;
    while (now !== tail) {
      const at = this.at(now);
      if ((words[at + BITS] & SEGMENT_SACKED) === 0) break;
      const next = words[at + RUN];
      if (next !== tail) {
        const nextAt = this.at(next);
        if ((words[nextAt + BITS] & SEGMENT_SACKED) !== 0) words[at + RUN] = words[nextAt + RUN];
      }
      now = next;
    }
    return now;
  }

  /** Appends a record of the selected row to the list whose ends are at `list` and `list + 1`. */
  link(list: number, record: number): void {
    const i32 = this.i32;
    const words = this.words;
    const at = this.at(record);
    const last = i32[list + 1];
    words[at + NEXT] = NO_RECORD;
    words[at + PREVIOUS] = last;
    if (last === NO_RECORD) i32[list] = record;
    else words[this.at(last) + NEXT] = record;
    i32[list + 1] = record;
  }

  /** Takes a record of the selected row out of that list. */
  unlink(list: number, record: number): void {
    const i32 = this.i32;
    const words = this.words;
    const at = this.at(record);
    const next = words[at + NEXT];
    const previous = words[at + PREVIOUS];
    if (previous === NO_RECORD) i32[list] = next;
    else words[this.at(previous) + NEXT] = next;
    if (next === NO_RECORD) i32[list + 1] = previous;
    else words[this.at(next) + PREVIOUS] = previous;
  }

  emptyList(list: number): void {
    this.i32[list] = NO_RECORD;
    this.i32[list + 1] = NO_RECORD;
  }

  private use(region: Region): void {
    this.words = region.i32;
    this.base = region.start >> 2;
    this.mask = region.size / RECORD_BYTES - 1;
  }

  /** Moves the records into a region, the first or one of twice the size. */
  private grow(r: number): boolean {
    const row = r >> ROW_SHIFT;
    const old = this.rings[row];
    // When send buffers have taken all memory, only sending gives it back.
    const region = old === null ? this.regions.allocate(FIRST_BYTES, true) : this.regions.allocate(old.size * 2);
    if (region === null) return false;
    const from = this.words;
    const base = this.base;
    const mask = this.mask;
    this.use(region);
    const to = this.words;
    const tail = this.i32[r + RING_TAIL];
    for (let record = this.i32[r + RING_HEAD]; record !== tail; record = (record + 1) & MAX_NUMBER) {
      const source = base + ((record & mask) << RECORD_SHIFT);
      const target = this.at(record);
      for (let word = 0; word < 1 << RECORD_SHIFT; word++) to[target + word] = from[source + word];
    }
    this.rings[row] = region;
    if (old !== null) this.regions.release(old);
    return true;
  }
}
