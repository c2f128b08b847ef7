/** The checksum of a packet to send, when the device does not compute it (virtio 1.2, 5.1.6.2: NEEDS_CSUM). */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { writeU16 } from '../../wire/bytes.js';
import { finishSum, foldSum, partialSum, partialSumOfWords } from '../../wire/checksum.js';
import type { PacketBuffer } from '../packet-buffer.js';

/**
 * The value of a checksum field, from a partial sum. It is never 0, which would say in UDP that there is no checksum
 * (RFC 768). In ones' complement 0xffff is the same number.
 */
export function checksumOf(sum: number): number {
  const checksum = finishSum(sum);
  return checksum === 0 ? 0xffff : checksum;
}

/** Adds the sum over the bytes to the checksum field of the packet, whatever buffers the bytes lie in. */
export function completeChecksum(memory: MemoryViews, packet: PacketBuffer): void {
  const { checksumStart, checksumOffset } = packet;
  let skip = checksumStart;
  let sum = 0;
  // A part that begins at an odd place of the packet has its bytes in the other halves of the words.
  let isOdd = false;
  for (let part: PacketBuffer | null = packet; part !== null; part = part.next) {
    const length = part.length - skip;
    const ofPart = sumOf(memory, part.offset + skip, length);
    sum += isOdd ? ((ofPart & 0xff) << 8) | (ofPart >>> 8) : ofPart;
    if ((length & 1) !== 0) isOdd = !isOdd;
    skip = 0;
  }
  writeU16(memory.u8, packet.offset + checksumStart + checksumOffset, checksumOf(sum));
}

/** The folded sum of `length` bytes at `offset`. */
export function sumOf(memory: MemoryViews, offset: number, length: number): number {
  return foldSum((offset & 3) === 0 ? partialSumOfWords(memory, offset, length) : partialSum(memory, offset, length));
}
