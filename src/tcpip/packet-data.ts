/** What the layer below knows of a received packet, and what lies in its later parts (rings/packet-table.ts). */
import type { MemoryViews } from '../../drivers/memory/index.js';
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED } from '../../rings/packet-table.js';
import type { PacketBuffer } from '../link/packet-buffer.js';
import { foldSum, partialSum } from '../wire/checksum.js';

const GOOD = CHECKSUM_PARTIAL | CHECKSUM_VERIFIED;

/**
 * Whether the checksum of TCP or UDP need not be computed: the device has checked it, or the packet comes from this host
 * and has none yet.
 * @param packet null: nothing is known
 */
export function isChecksumGood(packet: PacketBuffer | null): boolean {
  return packet !== null && (packet.flags & GOOD) !== 0;
}

/**
 * Computes the partial sum over bytes that go on in later parts of a packet.
 * @param offset of the first byte
 * @param room bytes from there to the end of their part
 * @param next the part behind it
 * @param length bytes to sum: the parts have as many
 * @param initial a partial sum that is added
 */
export function partialSumOfParts(
  memory: MemoryViews,
  offset: number,
  room: number,
  next: PacketBuffer | null,
  length: number,
  initial: number,
): number {
  let done = Math.min(room, length);
  let sum = foldSum(partialSum(memory, offset, done));
  for (let part = next; part !== null && done < length; part = part.next) {
    const bytes = Math.min(part.length, length - done);
    const own = foldSum(partialSum(memory, part.offset, bytes));
    // Behind an odd number of bytes, high and low bytes change places (RFC 1071, 2 B).
    sum += (done & 1) === 0 ? own : ((own & 0xff) << 8) | (own >>> 8);
    done += bytes;
  }
  return initial + foldSum(sum);
}
