/**
 * Copies bytes into a region and out of it, without allocating.
 *
 * The loops move 32-bit words. Where source and target are not at the same offset modulo 4, each target word is put
 * together from two source words. The words are those of a little-endian machine, as everywhere in the packet layer.
 */
import { halvesOf } from '../../../../drivers/memory/checksum.js';
import type { MemoryViews } from '../../../../drivers/memory/index.js';
import { copyIntoWords } from '../../../wire/bytes.js';
import { foldSum, partialSum } from '../../../wire/checksum.js';
import { CHUNK_BYTES, type Region } from './regions.js';

/** From this length on, `set` on a view is faster than a loop over bytes, although the view is an object. */
const SET_BYTES = 96;
/** Regions from this size on have views of their chunks: smaller ones hold no more than a segment or two. */
const CHUNKED_BYTES = 1 << 12;

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

/**
 * Copies bytes from a region into packet memory. The caller has checked that `length` is at most the size of the region,
 * and that the target lies inside the memory.
 * @param at sequence number of the first byte
 * @param u8 bytes of the memory, and `words` of the same
 * @param to offset of the first byte in `u8`; fast when it equals the place in the region modulo 8
 */
export function copyOut(
  region: Region,
  at: number,
  u8: Uint8Array,
  words: Int32Array,
  to: number,
  length: number,
): void {
  const position = at & (region.size - 1);
  const toChunk = -position & (CHUNK_BYTES - 1);
  if (length >= toChunk + CHUNK_BYTES && ((to ^ position) & 7) === 0 && region.size >= CHUNKED_BYTES) {
    copyChunks(region, position, toChunk, u8, words, to, length);
    return;
  }
  const before = region.size - position;
  const source = region.start + position;
  if (length <= before) {
    copyBytes(u8, words, to, region.u8, region.i32, source, length);
  } else {
    copyBytes(u8, words, to, region.u8, region.i32, source, before);
    copyBytes(u8, words, to + before, region.u8, region.i32, region.start, length - before);
  }
}

/**
 * Copies bytes from a region into a larger one, where they have the same sequence numbers.
 * @param at sequence number of the first byte
 */
export function moveInto(larger: Region, region: Region, at: number, length: number): void {
  const position = at & (larger.size - 1);
  const before = Math.min(length, larger.size - position);
  copyOut(region, at, larger.u8, larger.i32, larger.start + position, before);
  if (length > before) copyOut(region, (at + before) | 0, larger.u8, larger.i32, larger.start, length - before);
}

/**
 * As {@link copyOut}, whole chunks by their views: V8 then copies as memmove does, which no loop reaches. A shared target
 * is copied to by words only if both sides are equal modulo 8.
 * @param toChunk bytes from `position` to the beginning of the next chunk
 */
function copyChunks(
  region: Region,
  position: number,
  toChunk: number,
  u8: Uint8Array,
  words: Int32Array,
  to: number,
  length: number,
): void {
  const { size } = region;
  copyBytes(u8, words, to, region.u8, region.i32, region.start + position, toChunk);
  const end = to + length;
  let target = to + toChunk;
  let source = (position + toChunk) & (size - 1);
  for (; target + CHUNK_BYTES <= end; target += CHUNK_BYTES) {
    u8.set(region.chunk(source / CHUNK_BYTES), target);
    source = (source + CHUNK_BYTES) & (size - 1);
  }
  copyBytes(u8, words, target, region.u8, region.i32, region.start + source, end - target);
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
  const { u8 } = region;
  if (words !== null) copyBytes(u8, region.i32, to, bytes, words, from, length);
  else if (length >= SET_BYTES) u8.set(bytes.subarray(from, from + length), to);
  else copyIntoWords(u8, region.i32, to, bytes, from, length);
}

/** Copies bytes between two memories, each given by its bytes and its words. */
function copyBytes(
  u8: Uint8Array,
  i32: Int32Array,
  to: number,
  bytes: Uint8Array,
  words: Int32Array,
  from: number,
  length: number,
): void {
  const end = to + length;
  let target = to;
  let source = from;
  while ((target & 3) !== 0 && target < end) u8[target++] = bytes[source++];
  const count = (end - target) >> 2;
  if (count > 0) copyWords(i32, target >> 2, words, source, count);
  target += count << 2;
  source += count << 2;
  while (target < end) u8[target++] = bytes[source++];
}

/** Copies `count` words, at least 1, from byte offset `from`, to word `t`. */
function copyWords(target: Int32Array, t: number, source: Int32Array, from: number, count: number): void {
  const shift = (from & 3) << 3;
  let i = from >> 2;
  const apart = t - i;
  const end = i + count;
  if (shift === 0) {
    // Eight words per step: a tenth faster than four.
    for (const unrolled = end - 7; i < unrolled; i += 8) {
      const w = i + apart;
      target[w] = source[i];
      target[w + 1] = source[i + 1];
      target[w + 2] = source[i + 2];
      target[w + 3] = source[i + 3];
      target[w + 4] = source[i + 4];
      target[w + 5] = source[i + 5];
      target[w + 6] = source[i + 6];
      target[w + 7] = source[i + 7];
    }
    for (; i < end; i++) target[i + apart] = source[i];
    return;
  }
  const back = 32 - shift;
  let word = source[i];
  for (const unrolled = end - 3; i < unrolled; i += 4) {
    const w = i + apart;
    const a = source[i + 1];
    target[w] = (word >>> shift) | (a << back);
    const b = source[i + 2];
    target[w + 1] = (a >>> shift) | (b << back);
    const c = source[i + 3];
    target[w + 2] = (b >>> shift) | (c << back);
    word = source[i + 4];
    target[w + 3] = (c >>> shift) | (word << back);
  }
  for (; i < end; i++) {
    const next = source[i + 1];
    target[i + apart] = (word >>> shift) | (next << back);
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
  const s = first + (position >> 2);
  if (shift === 0) {
    const before = Math.min(count, wrap - s);
    const sum = copyAligned(source, s, target, t, before);
    return before === count ? sum : sum + copyAligned(source, first, target, t + before, count - before);
  }
  const before = Math.min(count, wrap - s - 1);
  const sum = copyShifted(source, s + 1, source[s], target, t, before, shift);
  if (before === count) return sum;
  return sum + copyShifted(source, first, source[wrap - 1], target, t + before, count - before, shift);
}

// In both loops, one index counts, because V8 would keep a second one up to date in each step.

/**
 * Copies words, and returns the sum of their halves. The words are added as doubles: one instruction makes a double of a
 * word and one adds it, where two sums of whole numbers need three. They stay exact: 2^14 words are below 2^53.
 */
function copyAligned(source: Int32Array, s: number, target: Uint32Array, t: number, count: number): number {
  const apart = t - s;
  const end = s + count;
  let i = s;
  // Two sums, so that an addition need not wait for the one before.
  let even = 0;
  let odd = 0;
  for (const unrolled = end - 7; i < unrolled; i += 8) {
    const w = i + apart;
    const a = source[i];
    target[w] = a;
    even += a >>> 0;
    const b = source[i + 1];
    target[w + 1] = b;
    odd += b >>> 0;
    const c = source[i + 2];
    target[w + 2] = c;
    even += c >>> 0;
    const d = source[i + 3];
    target[w + 3] = d;
    odd += d >>> 0;
    const e = source[i + 4];
    target[w + 4] = e;
    even += e >>> 0;
    const f = source[i + 5];
    target[w + 5] = f;
    odd += f >>> 0;
    const g = source[i + 6];
    target[w + 6] = g;
    even += g >>> 0;
    const h = source[i + 7];
    target[w + 7] = h;
    odd += h >>> 0;
  }
  for (; i < end; i++) {
    const a = source[i];
    target[i + apart] = a;
    even += a >>> 0;
  }
  return halvesOf(even + odd);
}

/**
 * As {@link copyAligned}; each word begins `shift` bits into `before` or the source word before. Doubles gain nothing here.
 * The sum of all low halves follows from the sum of the words modulo 2^32 and that of all high halves; both are below 2^30.
 */
function copyShifted(
  source: Int32Array,
  s: number,
  before: number,
  target: Uint32Array,
  t: number,
  count: number,
  shift: number,
): number {
  const apart = t - s;
  const end = s + count;
  const back = 32 - shift;
  let i = s;
  // `| 0` tells V8 that the loop's variable is a machine word from the beginning.
  let word = before | 0;
  let high = 0;
  let all = 0;
  for (const unrolled = end - 3; i < unrolled; i += 4) {
    const w = i + apart;
    // One word after the other: with all loads first, the values would not fit into the registers.
    const a = source[i];
    const e = (word >>> shift) | (a << back);
    target[w] = e;
    high = (high + (e >>> 16)) | 0;
    all = (all + e) | 0;
    const b = source[i + 1];
    const f = (a >>> shift) | (b << back);
    target[w + 1] = f;
    high = (high + (f >>> 16)) | 0;
    all = (all + f) | 0;
    const c = source[i + 2];
    const g = (b >>> shift) | (c << back);
    target[w + 2] = g;
    high = (high + (g >>> 16)) | 0;
    all = (all + g) | 0;
    const d = source[i + 3];
    const h = (c >>> shift) | (d << back);
    target[w + 3] = h;
    high = (high + (h >>> 16)) | 0;
    all = (all + h) | 0;
    word = d;
  }
  for (; i < end; i++) {
    const next = source[i];
    const a = (word >>> shift) | (next << back);
    target[i + apart] = a;
    high = (high + (a >>> 16)) | 0;
    all = (all + a) | 0;
    word = next;
  }
  return high + ((all - (high << 16)) | 0);
}
