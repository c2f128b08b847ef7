/**
 * The sum of the Internet checksum (RFC 1071), over memory words.
 *
 * The byte order of the words that are added does not matter (RFC 1071, 2 B). So the sum is computed over 16-bit memory
 * words when the bytes begin at an even offset, as packets in our buffers do, and only the result is byte-swapped.
 *
 * A *partial sum* is a sum in network order whose carries have not been added back in. Chain partial sums over pseudo
 * header and payload, then call {@link finishSum}. Over up to 64 KiB (2^15 words of less than 2^16) a partial sum stays
 * below 2^31, which V8 stores as a small integer.
 */

/** 2^32: its rest modulo 65535 is 1, so what lies above 32 bits counts as it is. */
const ABOVE_WORD = 2 ** 32;
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Adds the carries back in until the sum has 16 bits. */
export function foldSum(sum: number): number {
  let folded = (sum & 0xffff) + (sum >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
}

/** Converts a partial sum to the value of the checksum field, 0 to 65535. */
export function finishSum(sum: number): number {
  return ~foldSum(sum) & 0xffff;
}

/**
 * Computes the partial sum of `length` bytes at `offset`.
 * @param length 0 to 65535; an odd last byte counts as the high byte of a word
 * @param initial a partial sum that is added
 */
export function partialSum(
  memory: { readonly u8: Uint8Array; readonly u16: Uint16Array },
  offset: number,
  length: number,
  initial = 0,
): number {
  if ((offset & 1) !== 0) return initial + sumBytes(memory.u8, offset, length);
  const u16 = memory.u16;
  let sum = 0;
  let w = offset >>> 1;
  const words = length >>> 1;
  const end = w + words;
  // Unrolled, because the loop's bounds check and branch would cost as much as the addition.
  for (const unrolled = end - 7; w < unrolled; w += 8) {
    sum += u16[w] + u16[w + 1] + u16[w + 2] + u16[w + 3] + u16[w + 4] + u16[w + 5] + u16[w + 6] + u16[w + 7];
  }
  for (; w < end; w++) sum += u16[w];
  let folded = foldSum(sum);
  if (LITTLE_ENDIAN) folded = ((folded & 0xff) << 8) | (folded >>> 8);
  if ((length & 1) !== 0) folded += memory.u8[offset + length - 1] << 8;
  return initial + folded;
}

/**
 * As {@link partialSum}, by words of 32 bits: half as fast again from some 64 bytes on. The words are added as doubles: one
 * instruction makes a double of a word and one adds it, where sums of whole numbers need three. They stay exact: 2^14
 * words are below 2^53.
 * @param offset a multiple of 4
 */
export function partialSumOfWords(
  memory: { readonly u8: Uint8Array; readonly u32: Uint32Array },
  offset: number,
  length: number,
  initial = 0,
): number {
  const { u8, u32 } = memory;
  if (!LITTLE_ENDIAN) return initial + sumBytes(u8, offset, length);
  let w = offset >>> 2;
  const end = w + (length >>> 2);
  // Two sums, so that an addition need not wait for the one before.
  let even = 0;
  let odd = 0;
  for (const unrolled = end - 7; w < unrolled; w += 8) {
    even += u32[w];
    odd += u32[w + 1];
    even += u32[w + 2];
    odd += u32[w + 3];
    even += u32[w + 4];
    odd += u32[w + 5];
    even += u32[w + 6];
    odd += u32[w + 7];
  }
  for (; w < end; w++) even += u32[w];
  let rest = 0;
  for (let i = offset + (length & ~3), shift = 0; i < offset + length; i++, shift += 8) rest |= u8[i] << shift;
  // As in halvesOf, which is not called here: V8 does not always inline it, and a double that is passed is an object.
  const all = even + odd;
  const above = (all / ABOVE_WORD) | 0;
  const word = (all - above * ABOVE_WORD) >>> 0;
  const sum = foldSum(above + (word >>> 16) + (word & 0xffff) + (rest & 0xffff) + (rest >>> 16));
  return initial + (((sum & 0xff) << 8) | (sum >>> 8));
}

/**
 * Returns the sum of the 16-bit halves of words, modulo 65535.
 * @param sum of the words, below 2^53
 */
export function halvesOf(sum: number): number {
  const above = (sum / ABOVE_WORD) | 0;
  const word = (sum - above * ABOVE_WORD) >>> 0;
  return above + (word >>> 16) + (word & 0xffff);
}

/** Computes the partial sum of bytes that begin at an odd offset. */
function sumBytes(u8: Uint8Array, offset: number, length: number): number {
  let sum = 0;
  const end = offset + (length & ~1);
  for (let i = offset; i < end; i += 2) sum += (u8[i] << 8) | u8[i + 1];
  if ((length & 1) !== 0) sum += u8[end] << 8;
  return foldSum(sum);
}
