/**
 * Which bytes beyond a gap were received: a sorted list of intervals per connection, and the SACK blocks that follow
 * from it (RFC 2018, 4). The bytes themselves lie in the receive region.
 *
 * The list lies in a region of its own, which a connection has only while something is missing. A path that loses one
 * segment in a hundred has hundreds of gaps in a large window, so the list may become long, but not without bound.
 */
import type { Region } from '../state/regions.js';
import { INTERVALS, RECENT, ROW_SHIFT } from '../state/rows.js';
import type { SackBlocks } from '../state/sack-blocks.js';
import { MAX_SACK_BLOCKS } from '../state/sack-blocks.js';
import type { Table } from '../state/table.js';

/** Two words per interval: first sequence number, and the one behind the last. */
const WORDS = 2;
const BYTES = WORDS * Int32Array.BYTES_PER_ELEMENT;
/** Room for the first intervals, in bytes. */
const FIRST_SIZE = 1024;
/** Most intervals per connection. */
const MAX_INTERVALS = 8192;

export class Intervals {
  private readonly i32: Int32Array;

  constructor(private readonly table: Table) {
    this.i32 = table.i32;
  }

  /**
   * Adds the bytes from `start` to `end` (exclusive).
   * @returns false when there is no room for one more interval: nothing has changed
   */
  add(r: number, start: number, end: number): boolean {
    const { i32 } = this;
    const count = i32[r + INTERVALS];
    let region = this.table.intervalRegions[r >> ROW_SHIFT];
    if (region === null || (count + 1) * BYTES > region.size) {
      region = this.grow(r, region, count);
      if (region === null) return false;
    }
    const list = region.i32;
    const base = region.start >>> 2;
    const first = firstEndingAt(list, base, count, start);
    let last = first;
    while (last < count && ((list[base + last * WORDS] - end) | 0) <= 0) last++;
    let from = start;
    let to = end;
    if (last > first) {
      const at = base + first * WORDS;
      if (((list[at] - from) | 0) < 0) from = list[at];
      const lastEnd = list[base + (last - 1) * WORDS + 1];
      if (((lastEnd - to) | 0) > 0) to = lastEnd;
    }
    // The intervals from `first` to `last` become one.
    if (last - first !== 1) {
      list.copyWithin(base + (first + 1) * WORDS, base + last * WORDS, base + count * WORDS);
      i32[r + INTERVALS] = count + 1 - (last - first);
    }
    list[base + first * WORDS] = from;
    list[base + first * WORDS + 1] = to;
    this.remember(r, count, start, from, to);
    return true;
  }

  /**
   * Removes the intervals that follow `next` without a gap.
   * @returns the sequence number behind the last byte that is now in order
   */
  take(r: number, next: number): number {
    const { i32 } = this;
    const region = this.table.intervalRegions[r >> ROW_SHIFT];
    if (region === null) return next;
    const list = region.i32;
    const base = region.start >>> 2;
    const count = i32[r + INTERVALS];
    let taken = 0;
    let end = next;
    while (taken < count && ((list[base + taken * WORDS] - end) | 0) <= 0) {
      const to = list[base + taken * WORDS + 1];
      if (((to - end) | 0) > 0) end = to;
      taken++;
    }
    if (taken === 0) return next;
    list.copyWithin(base, base + taken * WORDS, base + count * WORDS);
    i32[r + INTERVALS] = count - taken;
    if (taken === count) this.release(r, region);
    return end;
  }

  /** Whether the bytes from `start` to `end` were all received beyond a gap. */
  contains(r: number, start: number, end: number): boolean {
    const region = this.table.intervalRegions[r >> ROW_SHIFT];
    if (region === null) return false;
    const count = this.i32[r + INTERVALS];
    const base = region.start >>> 2;
    const at = firstEndingAt(region.i32, base, count, end);
    return at < count && ((region.i32[base + at * WORDS] - start) | 0) <= 0;
  }

  /** Whether bytes from `place` on or behind it were received. */
  reachBeyond(r: number, place: number): boolean {
    const region = this.table.intervalRegions[r >> ROW_SHIFT];
    if (region === null) return false;
    const last = (region.start >>> 2) + (this.i32[r + INTERVALS] - 1) * WORDS;
    return ((region.i32[last + 1] - place) | 0) > 0;
  }

  /** Fills `blocks` with at most `most` SACK blocks: first those that changed last. Returns how many there are. */
  blocks(r: number, blocks: SackBlocks, most: number): number {
    const { i32 } = this;
    blocks.count = 0;
    const region = this.table.intervalRegions[r >> ROW_SHIFT];
    if (region === null) return 0;
    const count = i32[r + INTERVALS];
    const list = region.i32;
    const base = region.start >>> 2;
    const recent = Math.min(count, MAX_SACK_BLOCKS, most);
    for (let k = 0; k < recent; k++) {
      const place = i32[r + RECENT + k];
      const at = firstEndingAt(list, base, count, (place + 1) | 0);
      if (at === count || ((list[base + at * WORDS] - place) | 0) > 0) continue;
      blocks.start[blocks.count] = list[base + at * WORDS];
      blocks.end[blocks.count] = list[base + at * WORDS + 1];
      blocks.count++;
    }
    return blocks.count;
  }

  /** Puts the place of the interval that has changed in front of the others. */
  private remember(r: number, count: number, place: number, from: number, to: number): void {
    const { i32 } = this;
    let moved = place;
    for (let k = 0; k < MAX_SACK_BLOCKS; k++) {
      const old = i32[r + RECENT + k];
      i32[r + RECENT + k] = moved;
      // This place lay in the interval that has changed: it is dropped, and the places behind it stay.
      if (k < count && ((old - from) | 0) >= 0 && ((old - to) | 0) < 0) return;
      moved = old;
    }
  }

  private grow(r: number, old: Region | null, count: number): Region | null {
    if (count >= MAX_INTERVALS) return null;
    const { regions, intervalRegions } = this.table;
    const region = regions.allocate(old === null ? FIRST_SIZE : old.size * 2);
    if (region === null) return null;
    if (old !== null) {
      const to = region.start >>> 2;
      const from = old.start >>> 2;
      for (let i = 0; i < count * WORDS; i++) region.i32[to + i] = old.i32[from + i];
      regions.release(old);
    }
    intervalRegions[r >> ROW_SHIFT] = region;
    return region;
  }

  private release(r: number, region: Region): void {
    this.table.regions.release(region);
    this.table.intervalRegions[r >> ROW_SHIFT] = null;
  }
}

/** Number of the first interval that ends at `place` or behind it, which may be the number of intervals. */
function firstEndingAt(list: Int32Array, base: number, count: number, place: number): number {
  // Most segments belong to the last interval, or behind it.
  if (count > 0 && ((list[base + (count - 1) * WORDS + 1] - place) | 0) < 0) return count;
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (((list[base + middle * WORDS + 1] - place) | 0) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
