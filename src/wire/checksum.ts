/** The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Its sums are in `drivers/memory/checksum.ts`. */
import { finishSum, partialSum } from '../../drivers/memory/checksum.js';
import { writeU16 } from './bytes.js';
import type { WireMemory } from './memory.js';

export { finishSum, foldSum, partialSum, partialSumOfWords } from '../../drivers/memory/checksum.js';

/**
 * Computes the checksum of `length` bytes at `offset`. To fill a checksum field, set it to 0 first. Over bytes that
 * include a correct checksum the result is 0.
 * @param length 0 to 65535
 * @param initial partial sum of other bytes that the checksum covers, such as {@link ipv4PseudoHeaderSum}
 * @returns 0 to 65535
 */
export function internetChecksum(memory: WireMemory, offset: number, length: number, initial = 0): number {
  return finishSum(partialSum(memory, offset, length, initial));
}

/**
 * Corrects a checksum after one of the 16-bit words that it covers has changed: HC' = ~(~HC + ~m + m') (RFC 1624,
 * equation 3).
 * @param field offset of the checksum field
 * @param before the old value of the word
 * @param after the new value of the word
 */
export function updateChecksum(u8: Uint8Array, field: number, before: number, after: number): void {
  const stored = (u8[field] << 8) | u8[field + 1];
  writeU16(u8, field, finishSum((~stored & 0xffff) + (~before & 0xffff) + after));
}
