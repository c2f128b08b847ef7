/**
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 *
 * The sum does not depend on the byte order of the words that are added (RFC 1071, 2 B): it runs over memory words where
 * the bytes begin at an even offset, as packets in our buffers do, and only the result is turned round.
 *
 * A *partial sum* is an unfolded sum in network order; chain them over pseudo header and payload, then {@link finishSum}.
 * It stays below 2^31, a small integer, for anything up to 64 KiB: that is 2^15 words of less than 2^16.
 */
import { writeU16 } from './bytes.js';
import type { WireMemory } from './memory.js';

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Adds the carries back in: any sum of 16-bit words becomes 16 bits. */
export function foldSum(sum: number): number {
  let folded = (sum & 0xffff) + (sum >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

/** The checksum field's value for a partial sum. */
export function finishSum(sum: number): number {
  return ~foldSum(sum) & 0xffff;
}

/**
 * Partial sum of `length` bytes (up to 65535) at `offset`, plus `initial` (a folded or short sum). An odd last byte
 * counts as the high byte of a word.
 */
export function partialSum(memory: WireMemory, offset: number, length: number, initial = 0): number {
  if ((offset & 1) !== 0) return initial + sumBytes(memory.u8, offset, length);
  const u16 = memory.u16;
  let sum = 0;
  let w = offset >>> 1;
  const words = length >>> 1;
  const end = w + words;
  // Unrolled: the loop's bounds check and branch would otherwise cost as much as the addition.
  for (const unrolled = end - 7; w < unrolled; w += 8) {
    sum += u16[w] + u16[w + 1] + u16[w + 2] + u16[w + 3] + u16[w + 4] + u16[w + 5] + u16[w + 6] + u16[w + 7];
  }
  for (; w < end; w++) sum += u16[w];
  let folded = foldSum(sum);
  if (LITTLE_ENDIAN) folded = ((folded & 0xff) << 8) | (folded >>> 8);
  if ((length & 1) !== 0) folded += memory.u8[offset + length - 1] << 8;
  return initial + folded;
}

/** The same for bytes that begin at an odd offset. */
function sumBytes(u8: Uint8Array, offset: number, length: number): number {
  let sum = 0;
  const end = offset + (length & ~1);
  for (let i = offset; i < end; i += 2) sum += (u8[i] << 8) | u8[i + 1];
  if ((length & 1) !== 0) sum += u8[end] << 8;
  return foldSum(sum);
}

/**
 * The checksum of `length` bytes (up to 65535) at `offset`, 0 to 65535: what the field gets when it was 0 before. Over bytes
 * that hold their own right checksum it is 0.
 * @param initial partial sum of what else it covers, such as {@link ipv4PseudoHeaderSum}
 */
export function internetChecksum(memory: WireMemory, offset: number, length: number, initial = 0): number {
  return finishSum(partialSum(memory, offset, length, initial));
}

/**
 * Corrects the checksum at `field` (the field's own offset) for one 16-bit word that changed from `before` to `after`:
 * HC' = ~(~HC + ~m + m') (RFC 1624, equation 3).
 */
export function updateChecksum(u8: Uint8Array, field: number, before: number, after: number): void {
  const stored = (u8[field] << 8) | u8[field + 1];
  writeU16(u8, field, finishSum((~stored & 0xffff) + (~before & 0xffff) + after));
}
