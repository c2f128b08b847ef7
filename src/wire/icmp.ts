/**
 * ICMP (RFC 792): field offsets, readers, a check, and writers of echo and error messages. Offsets and lengths are in
 * bytes; field offsets count from the first byte of the message.
 */
import { readU16, writeU16 } from './bytes.js';
import { internetChecksum, updateChecksum } from './checksum.js';
import { ipv4HeaderLength, ipv4TotalLength } from './ipv4.js';
import type { WireMemory } from './memory.js';

/** Offset of the type, 8 bits. */
export const ICMP_TYPE = 0;
/** Offset of the code, 8 bits. */
export const ICMP_CODE = 1;
/** Offset of the checksum, 16 bits. */
export const ICMP_CHECKSUM = 2;
/** Offset of the identifier of an echo message, 16 bits. */
export const ICMP_IDENTIFIER = 4;
/** Offset of the sequence number of an echo message, 16 bits. */
export const ICMP_SEQUENCE = 6;
/** Offset of the next hop's MTU in {@link ICMP_FRAGMENTATION_NEEDED}, 16 bits (RFC 1191, 4). */
export const ICMP_NEXT_HOP_MTU = 6;
/** Length of the header. Behind it lies the payload of an echo message, or the packet that an error message quotes. */
export const ICMP_HEADER_BYTES = 8;

/** Type of an echo reply. */
export const ICMP_ECHO_REPLY = 0;
/** Type of the error "destination unreachable"; the code tells why. */
export const ICMP_DESTINATION_UNREACHABLE = 3;
/** Type of the error "source quench", which is obsolete (RFC 6633). */
export const ICMP_SOURCE_QUENCH = 4;
/** Type of the error "redirect". */
export const ICMP_REDIRECT = 5;
/** Type of an echo request. */
export const ICMP_ECHO_REQUEST = 8;
/** Type of the error "time exceeded". */
export const ICMP_TIME_EXCEEDED = 11;
/** Type of the error "parameter problem". */
export const ICMP_PARAMETER_PROBLEM = 12;

/** Code of {@link ICMP_DESTINATION_UNREACHABLE}: the host does not speak the protocol. */
export const ICMP_PROTOCOL_UNREACHABLE = 2;
/** Code of {@link ICMP_DESTINATION_UNREACHABLE}: no program listens at the port. */
export const ICMP_PORT_UNREACHABLE = 3;
/** Code of {@link ICMP_DESTINATION_UNREACHABLE}: the packet is too long for the next hop. */
export const ICMP_FRAGMENTATION_NEEDED = 4;

/** Bytes of the offending packet's payload that an error message quotes at least (RFC 792). They include the ports. */
export const ICMP_QUOTED_PAYLOAD_BYTES = 8;
/** Bit n belongs to type n. */
const ERROR_TYPES =
  (1 << ICMP_DESTINATION_UNREACHABLE) |
  (1 << ICMP_SOURCE_QUENCH) |
  (1 << ICMP_REDIRECT) |
  (1 << ICMP_TIME_EXCEEDED) |
  (1 << ICMP_PARAMETER_PROBLEM);

/** Reads the type. */
export function icmpType(u8: Uint8Array, offset: number): number {
  return u8[offset + ICMP_TYPE];
}

/** Whether messages of this type are errors, which quote the packet that they are about (RFC 1122, 3.2.2). */
export function isIcmpError(type: number): boolean {
  return type < 32 && ((ERROR_TYPES >>> type) & 1) === 1;
}

/** Reads the code, whose meaning depends on the type. */
export function icmpCode(u8: Uint8Array, offset: number): number {
  return u8[offset + ICMP_CODE];
}

/** Reads the identifier of an echo message, which tells the pings of one sender apart. */
export function icmpIdentifier(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + ICMP_IDENTIFIER);
}

/** Reads the sequence number of an echo message. */
export function icmpSequence(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + ICMP_SEQUENCE);
}

/**
 * Reads the next hop's MTU of an {@link ICMP_FRAGMENTATION_NEEDED} message, in bytes. A router older than RFC 1191
 * sends 0.
 */
export function icmpNextHopMtu(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + ICMP_NEXT_HOP_MTU);
}

/** Whether `length` bytes at `offset` are a message with a correct checksum. */
export function isIcmpIntact(memory: WireMemory, offset: number, length: number): boolean {
  return length >= ICMP_HEADER_BYTES && internetChecksum(memory, offset, length) === 0;
}

/**
 * Writes the header of an echo request. The payload must be in place, because the checksum covers it.
 * @param length bytes of header and payload
 * @param identifier 16 bits
 * @param sequence 16 bits
 */
export function writeIcmpEchoRequest(
  memory: WireMemory,
  offset: number,
  length: number,
  identifier: number,
  sequence: number,
): void {
  const u8 = memory.u8;
  u8[offset + ICMP_TYPE] = ICMP_ECHO_REQUEST;
  u8[offset + ICMP_CODE] = 0;
  writeU16(u8, offset + ICMP_CHECKSUM, 0);
  writeU16(u8, offset + ICMP_IDENTIFIER, identifier);
  writeU16(u8, offset + ICMP_SEQUENCE, sequence);
  writeU16(u8, offset + ICMP_CHECKSUM, internetChecksum(memory, offset, length));
}

/** Turns an echo request into its reply (RFC 1122, 3.2.2.6): changes the type and corrects the checksum. */
export function makeIcmpEchoReply(u8: Uint8Array, offset: number): void {
  const code = u8[offset + ICMP_CODE];
  const type = u8[offset + ICMP_TYPE];
  u8[offset + ICMP_TYPE] = ICMP_ECHO_REPLY;
  updateChecksum(u8, offset + ICMP_CHECKSUM, (type << 8) | code, (ICMP_ECHO_REPLY << 8) | code);
  // The sum of a message of zeros is 0, which the update takes for 0xffff (RFC 1624, 3). A checksum of 0xffff suits both.
  if (readU16(u8, offset + ICMP_CHECKSUM) === 0) writeU16(u8, offset + ICMP_CHECKSUM, 0xffff);
}

/**
 * Writes an error message about a packet. It quotes the packet's IP header and the eight bytes behind it.
 *
 * The caller must know that an error may be sent (RFC 1122, 3.2.2): not about an ICMP error, a broadcast, a multicast,
 * or a fragment other than the first.
 *
 * @param offset of the message's first byte
 * @param type {@link ICMP_DESTINATION_UNREACHABLE} or {@link ICMP_TIME_EXCEEDED}
 * @param word the last two bytes of the header: the MTU with {@link ICMP_FRAGMENTATION_NEEDED}, otherwise 0
 * @param packet offset of the packet's IP header in the same memory; the packet must be intact, and in another buffer
 * @returns length of the message in bytes, 36 to 76
 * @example No program listens at the port of the packet at `ip`:
 * const length = writeIcmpError(core.memory, reply.offset + IPV4_HEADER_BYTES,
 *   ICMP_DESTINATION_UNREACHABLE, ICMP_PORT_UNREACHABLE, 0, ip);
 * writeIpv4Header(core.memory, reply.offset, IPV4_HEADER_BYTES + length, IP_PROTOCOL_ICMP, core.address, from);
 */
export function writeIcmpError(
  memory: WireMemory,
  offset: number,
  type: number,
  code: number,
  word: number,
  packet: number,
): number {
  const u8 = memory.u8;
  const quoted = Math.min(ipv4HeaderLength(u8, packet) + ICMP_QUOTED_PAYLOAD_BYTES, ipv4TotalLength(u8, packet));
  const length = ICMP_HEADER_BYTES + quoted;
  u8[offset + ICMP_TYPE] = type;
  u8[offset + ICMP_CODE] = code;
  writeU16(u8, offset + ICMP_CHECKSUM, 0);
  writeU16(u8, offset + ICMP_IDENTIFIER, 0);
  writeU16(u8, offset + ICMP_NEXT_HOP_MTU, word);
  u8.copyWithin(offset + ICMP_HEADER_BYTES, packet, packet + quoted);
  writeU16(u8, offset + ICMP_CHECKSUM, internetChecksum(memory, offset, length));
  return length;
}
