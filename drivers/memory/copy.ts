/**
 * Copies packet bytes inside one memory or between two, without allocating (no subarray).
 *
 * What is fastest was measured on V8 11.3. A call of `copyWithin` costs 30 to 45 ns. In an ArrayBuffer it then moves bytes as
 * fast as the processor can: 1500 bytes in 20 ns more. In a SharedArrayBuffer it moves 8 bytes at a time only if both
 * offsets are equal modulo 8, and otherwise single bytes (900 ns). All other copies go by words of a DataView, which need
 * not be aligned: 64 bytes in 20 ns, two bytes off as well. (A loop that puts aligned words together from halves needs twice
 * the time. Words of 64 bits are no choice: a double changes some NaNs on Node 26, and a BigInt is an object on Node 20.)
 *
 * A loop runs two to four times as fast when its arrays are constants of its closure instead of arguments, because V8 then
 * knows their address and length. Therefore each memory has its own copy function. All peers that share a window share one
 * function, which is inlined.
 */
import type { MemoryViews } from './window.js';

/**
 * Copies `length` bytes from offset `from` to offset `to` of one memory. The caller has checked that both ranges lie
 * inside it; they must not overlap.
 */
export type Copy = (to: number, from: number, length: number) => void;

/** From this length on, `copyWithin` is faster: in an ArrayBuffer; in a SharedArrayBuffer, when it can move words. */
const COPY_WITHIN_BYTES = 128;
const COPY_WITHIN_SHARED_BYTES = 256;

const copiers = new WeakMap<Uint8Array, Copy>();

/** The copy function of a memory. It is made once per memory; ask for it when a queue is made, not per packet. */
export function copierFor(memory: MemoryViews): Copy {
  let copy = copiers.get(memory.u8);
  if (copy === undefined) {
    copy = makeCopier(memory);
    copiers.set(memory.u8, copy);
  }
  return copy;
}

function makeCopier({ u8 }: MemoryViews): Copy {
  const view = new DataView(u8.buffer, u8.byteOffset, u8.byteLength);
  const copyShort = (to: number, from: number, length: number): void => {
    const end = to + length;
    let target = to;
    let source = from;
    for (const unrolled = end - 15; target < unrolled; target += 16) {
      view.setInt32(target, view.getInt32(source, true), true);
      view.setInt32(target + 4, view.getInt32(source + 4, true), true);
      view.setInt32(target + 8, view.getInt32(source + 8, true), true);
      view.setInt32(target + 12, view.getInt32(source + 12, true), true);
      source += 16;
    }
    for (const words = end - 3; target < words; target += 4) {
      view.setInt32(target, view.getInt32(source, true), true);
      source += 4;
    }
    if (((end - target) & 2) !== 0) {
      view.setInt16(target, view.getInt16(source, true), true);
      target += 2;
      source += 2;
    }
    if (target < end) u8[target] = u8[source];
  };
  if (u8.buffer instanceof SharedArrayBuffer) {
    return (to, from, length) => {
      if (((to ^ from) & 7) === 0 && length >= COPY_WITHIN_SHARED_BYTES) u8.copyWithin(to, from, from + length);
      else copyShort(to, from, length);
    };
  }
  return (to, from, length) => {
    if (length >= COPY_WITHIN_BYTES) u8.copyWithin(to, from, from + length);
    else copyShort(to, from, length);
  };
}

/** Copies between two memories, for peers that do not fit into the shared window. 32 or 16 bits at a time if possible. */
export function copyBetween(
  to: MemoryViews,
  toOffset: number,
  from: MemoryViews,
  fromOffset: number,
  length: number,
): void {
  const apart = toOffset ^ fromOffset;
  if ((apart & 1) !== 0) {
    copySingles(to.u8, toOffset, from.u8, fromOffset, length);
    return;
  }
  const shift = (apart & 2) === 0 ? 2 : 1;
  const head = Math.min(-toOffset & ((1 << shift) - 1), length);
  const count = (length - head) >>> shift;
  copySingles(to.u8, toOffset, from.u8, fromOffset, head);
  const t = (toOffset + head) >>> shift;
  const s = (fromOffset + head) >>> shift;
  if (shift === 2) copyWords(to.u32, t, from.u32, s, count);
  else copyHalves(to.u16, t, from.u16, s, count);
  const done = head + (count << shift);
  copySingles(to.u8, toOffset + done, from.u8, fromOffset + done, length - done);
}

// One function per width, because a loop whose arrays are of two kinds is slow (docs/v8.md, "One shape").

function copySingles(to: Uint8Array, toOffset: number, from: Uint8Array, fromOffset: number, length: number): void {
  for (let i = 0; i < length; i++) to[toOffset + i] = from[fromOffset + i];
}

function copyHalves(to: Uint16Array, t: number, from: Uint16Array, s: number, count: number): void {
  for (let i = 0; i < count; i++) to[t + i] = from[s + i];
}

function copyWords(to: Uint32Array, t: number, from: Uint32Array, s: number, count: number): void {
  for (let i = 0; i < count; i++) to[t + i] = from[s + i];
}
