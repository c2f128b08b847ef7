/**
 * Copies bytes into a region and out of it, without allocating.
 *
 * The loops move 32-bit words. Where source and target are not at the same offset modulo 4, each target word is put
 * together from two source words. The words are those of a little-endian machine, as everywhere in the packet layer.
 */
import type { MemoryViews } from '../../../../drivers/memory/index.js';
import { foldSum, partialSum } from '../../../wire/checksum.js';
import type { Region } from './regions.js';

/** From this length on, `set` on a view is faster than a loop over bytes, although the view is an object. */
const SET_BYTES = 96;

/**
 * Copies bytes into a region. The caller has checked that `length` is at most the size of the region, and that the
 * bytes lie inside `bytes`.
 *
 * @param at sequence number of the first byte
 * @param words words over the same buffer, beginning with the same byte as `bytes`; or null. Give them for
 *   `core.memory`: then nothing is allocated. Without them a long copy makes one view, or two where the ring wraps.
 */
export function copyIn(
  region: Region,
  at: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  words: Int32Array | null,
): void {
  const position = at & (region.size - 1);
  const before = region.size - position;
  const target = region.start + position;
  if (length <= before) {
    copyPiece(region, target, bytes, offset, length, words);
  } else {
    copyPiece(region, target, bytes, offset, before, words);
    copyPiece(region, region.start, bytes, offset + before, length - before, words);
  }
}

/** Copies bytes to offset `to` of the region's arena. */
function copyPiece(
  region: Region,
  to: number,
  bytes: Uint8Array,
  from: number,
  length: number,
  words: Int32Array | null,
): void {
  const u8 = region.u8;
  if (words === null && length >= SET_BYTES) {
    u8.set(bytes.subarray(from, from + length), to);
    return;
  }
  const end = to + length;
  let target = to;
  let source = from;
  if (words !== null) {
    while ((target & 3) !== 0 && target < end) u8[target++] = bytes[source++];
    const count = (end - target) >> 2;
    if (count > 0) copyWords(region.i32, target >> 2, words, source, count);
    target += count << 2;
    source += count << 2;
  }
  while (target < end) u8[target++] = bytes[source++];
}

/** Copies `count` words, at least 1, from byte offset `from`, to word `t`. */
function copyWords(target: Int32Array, t: number, source: Int32Array, from: number, count: number): void {
  const s = from >> 2;
  const shift = (from & 3) << 3;
  if (shift === 0) {
    for (let i = 0; i < count; i++) target[t + i] = source[s + i];
    return;
  }
  const back = 32 - shift;
  let word = source[s];
  for (let i = 0; i < count; i++) {
    const next = source[s + i + 1];
    target[t + i] = (word >>> shift) | (next << back);
    word = next;
  }
}

/**
 * Copies bytes from a region into packet memory and adds them up. The caller has checked that `length` is at most the
 * size of the region, and that the target lies inside the memory.
 *
 * @param at sequence number of the first byte
 * @param memory `core.memory`
 * @param to offset of the first byte in `memory`; fast at a multiple of 4
 * @param length 0 to 65535
 * @returns a partial sum as {@link partialSum}'s: an odd last byte counts as the high byte of a word (RFC 1071)
 */
export function copyOutAndSum(region: Region, at: number, memory: MemoryViews, to: number, length: number): number {
  const mask = region.size - 1;
  const u8 = region.u8;
  const target = memory.u8;
  const start = region.start;
  if ((to & 3) !== 0) {
    for (let i = 0; i < length; i++) target[to + i] = u8[start + ((at + i) & mask)];
    return partialSum(memory, to, length);
  }
  const count = length >> 2;
  let sum = copyWordsAndSum(region, at & mask, memory.u32, to >> 2, count);
  const done = count << 2;
  let rest = 0;
  for (let i = done; i < length; i++) {
    const byte = u8[start + ((at + i) & mask)];
    target[to + i] = byte;
    rest |= byte << ((i & 3) << 3);
  }
  sum = foldSum(sum + (rest & 0xffff) + (rest >>> 16));
  return ((sum & 0xff) << 8) | (sum >>> 8);
}

/**
 * Copies `count` words, at most 2^14, from `position` in the region's ring to word `t`.
 * @returns the sum of the 16-bit halves of the words, below 2^31
 */
function copyWordsAndSum(region: Region, position: number, target: Uint32Array, t: number, count: number): number {
  const source = region.i32;
  const first = region.start >> 2;
  const wrap = first + (region.size >> 2);
  const shift = (position & 3) << 3;
  let s = first + (position >> 2);
  // The sum of all low halves follows from the sum of the words modulo 2^32 and the sum of all high halves: that saves
  // an instruction per word. Both sums of halves are below 2^30.
  let high = 0;
  let all = 0;
  let w = t;
  const end = t + count;
  if (shift === 0) {
    while (w < end) {
      const stop = Math.min(end, w + (wrap - s));
      for (const unrolled = stop - 3; w < unrolled; w += 4, s += 4) {
        const a = source[s];
        const b = source[s + 1];
        const c = source[s + 2];
        const d = source[s + 3];
        target[w] = a;
        target[w + 1] = b;
        target[w + 2] = c;
        target[w + 3] = d;
        high = (high + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)) | 0;
        all = (all + a + b + c + d) | 0;
      }
      for (; w < stop; w++, s++) {
        const a = source[s];
        target[w] = a;
        high = (high + (a >>> 16)) | 0;
        all = (all + a) | 0;
      }
      s = first;
    }
    return high + ((all - (high << 16)) | 0);
  }
  const back = 32 - shift;
  let word = source[s++];
  while (w < end) {
    if (s === wrap) s = first;
    const stop = Math.min(end, w + (wrap - s));
    for (const unrolled = stop - 3; w < unrolled; w += 4, s += 4) {
      const a = source[s];
      const b = source[s + 1];
      const c = source[s + 2];
      const d = source[s + 3];
      const e = (word >>> shift) | (a << back);
      const f = (a >>> shift) | (b << back);
      const g = (b >>> shift) | (c << back);
      const h = (c >>> shift) | (d << back);
      target[w] = e;
      target[w + 1] = f;
      target[w + 2] = g;
      target[w + 3] = h;
      high = (high + (e >>> 16) + (f >>> 16) + (g >>> 16) + (h >>> 16)) | 0;
      all = (all + e + f + g + h) | 0;
      word = d;
    }
    for (; w < stop; w++, s++) {
      const next = source[s];
      const a = (word >>> shift) | (next << back);
      target[w] = a;
      high = (high + (a >>> 16)) | 0;
      all = (all + a) | 0;
      word = next;
    }
  }
  return high + ((all - (high << 16)) | 0);
}
