/**
 * One copy of packet bytes between shared memories, without allocating (no subarray, no DataView).
 *
 * Which way is fastest depends on alignment, measured on V8 11.3: on a SharedArrayBuffer `copyWithin` moves 8 bytes at a
 * time only if both ends have the same offset modulo 8, else single bytes, and costs ~20 ns to call. A loop over 32-bit
 * words needs 15 ns for 60 bytes and beats it up to about 256; one over 16-bit words is as good as the misaligned
 * copyWithin at 1500 bytes and twice as good at 60.
 */
import type { MemoryViews } from './window.js';

const COPY_WITHIN_BYTES = 256;

/**
 * Copies `length` bytes. The ranges must lie inside their memories (the caller has checked that) and must not overlap.
 * `copyWithin` needs both in one memory: peers that are to be fast share a window ({@link WindowAllocator}).
 */
export function copyBytes(
  to: MemoryViews,
  toOffset: number,
  from: MemoryViews,
  fromOffset: number,
  length: number,
): void {
  const apart = toOffset ^ fromOffset;
  if (from === to && ((length >= COPY_WITHIN_BYTES && (apart & 7) === 0) || (apart & 1) !== 0)) {
    to.u8.copyWithin(toOffset, fromOffset, fromOffset + length);
  } else if ((apart & 3) === 0) {
    copyWords(to, toOffset, from, fromOffset, length);
  } else if ((apart & 1) === 0) {
    copyHalves(to, toOffset, from, fromOffset, length);
  } else {
    copySingles(to.u8, toOffset, from.u8, fromOffset, length);
  }
}

/** Both ends have the same offset modulo 4: bytes up to a word's boundary, words, bytes. */
function copyWords(to: MemoryViews, toOffset: number, from: MemoryViews, fromOffset: number, length: number): void {
  let head = (4 - (toOffset & 3)) & 3;
  if (head > length) head = length;
  copySingles(to.u8, toOffset, from.u8, fromOffset, head);
  const words = (length - head) >>> 2;
  const target = to.u32;
  const source = from.u32;
  const t = (toOffset + head) >>> 2;
  const s = (fromOffset + head) >>> 2;
  for (let i = 0; i < words; i++) target[t + i] = source[s + i];
  const done = head + words * 4;
  copySingles(to.u8, toOffset + done, from.u8, fromOffset + done, length - done);
}

/** Both ends are even, or both are odd. */
function copyHalves(to: MemoryViews, toOffset: number, from: MemoryViews, fromOffset: number, length: number): void {
  const head = length > 0 ? toOffset & 1 : 0;
  copySingles(to.u8, toOffset, from.u8, fromOffset, head);
  const halves = (length - head) >>> 1;
  const target = to.u16;
  const source = from.u16;
  const t = (toOffset + head) >>> 1;
  const s = (fromOffset + head) >>> 1;
  for (let i = 0; i < halves; i++) target[t + i] = source[s + i];
  const done = head + halves * 2;
  copySingles(to.u8, toOffset + done, from.u8, fromOffset + done, length - done);
}

function copySingles(to: Uint8Array, toOffset: number, from: Uint8Array, fromOffset: number, length: number): void {
  for (let i = 0; i < length; i++) to[toOffset + i] = from[fromOffset + i];
}
