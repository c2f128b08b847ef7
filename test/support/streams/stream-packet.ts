/**
 * The packets of the stream tests: TCP or UDP over IPv4, without options. Their payload is a piece of the stream of their
 * flow, whose bytes follow from their places. TCP has the place of the first byte as its sequence number, UDP in the first
 * four bytes of the payload.
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { PacketBuffer } from '../../../src/link/packet-buffer.js';
import { foldSum, partialSum } from '../../../src/wire/checksum.js';
import { IP_PROTOCOL_TCP, IP_PROTOCOL_UDP, IPV4_HEADER_BYTES } from '../../../src/wire/ipv4.js';
import { TCP_CHECKSUM, TCP_HEADER_BYTES } from '../../../src/wire/tcp.js';
import { UDP_CHECKSUM, UDP_HEADER_BYTES } from '../../../src/wire/udp.js';

export const STREAM_PORT = 7001;
/** Flow f has the source port FIRST_PORT + f. */
export const FIRST_PORT = 30_000;
export const MAX_FLOWS = 1024;
/** Bytes of UDP payload that are the place. */
export const PLACE_BYTES = 4;
/** The longest payload of a GSO packet: an IPv4 packet has at most 65,535 bytes. */
export const MAX_PAYLOAD = 65_535 - IPV4_HEADER_BYTES - TCP_HEADER_BYTES;

/** Four flows of each, in turns: whatever core a flow comes to, each core has both. */
export const protocolOf = (flow: number): number => ((flow & 4) === 0 ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP);
export const isTcp = (protocol: number): boolean => protocol === IP_PROTOCOL_TCP;
export const headerBytes = (protocol: number): number => (isTcp(protocol) ? TCP_HEADER_BYTES : UDP_HEADER_BYTES);
/** Where the checksum is in the header. */
export const checksumField = (protocol: number): number => (isTcp(protocol) ? TCP_CHECKSUM : UDP_CHECKSUM);

/** The place in the common pattern of a place in the stream of a flow: each flow has other bytes. */
export const contentPlace = (flow: number, place: number): number => (place + flow * 1_000_003) | 0;

/** The folded sum of `length` bytes of a packet, from the offset `from` in its first part on. */
export function sumOfPacket(
  memory: MemoryViews,
  packet: PacketBuffer,
  from: number,
  length: number,
  initial: number,
): number {
  let sum = initial;
  let done = 0;
  for (let part: PacketBuffer | null = packet; part !== null && done < length; part = part.next) {
    const at = part === packet ? from : part.offset;
    const bytes = Math.min(part.offset + part.length - at, length - done);
    const some = foldSum(partialSum(memory, at, bytes));
    // A part at an odd place begins with the low byte of a word.
    sum = foldSum(sum + ((done & 1) === 0 ? some : ((some & 0xff) << 8) | (some >>> 8)));
    done += bytes;
  }
  return sum;
}
