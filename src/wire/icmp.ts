/**
 * ICMP (RFC 792): field offsets from the first byte of the message, readers and writers of echo and error messages.
 * Offsets and lengths are in bytes.
 */
import { readU16, writeU16 } from './bytes.js';
import { internetChecksum, updateChecksum } from './checksum.js';
import { ipv4HeaderLength, ipv4TotalLength } from './ipv4.js';
import type { WireMemory } from './memory.js';

export const ICMP_TYPE = 0;
export const ICMP_CODE = 1;
export const ICMP_CHECKSUM = 2;
/** Of an echo message. */
export const ICMP_IDENTIFIER = 4;
/** Of an echo message. */
export const ICMP_SEQUENCE = 6;
/** Of {@link ICMP_FRAGMENTATION_NEEDED}: the longest packet that fits (RFC 1191, 4). */
export const ICMP_NEXT_HOP_MTU = 6;
/** What an echo message carries begins here, and in an error message the packet that caused it. */
export const ICMP_HEADER_BYTES = 8;

/** Types. */
export const ICMP_ECHO_REPLY = 0;
export const ICMP_DESTINATION_UNREACHABLE = 3;
export const ICMP_ECHO_REQUEST = 8;
export const ICMP_TIME_EXCEEDED = 11;

/** Codes of {@link ICMP_DESTINATION_UNREACHABLE}. */
export const ICMP_PROTOCOL_UNREACHABLE = 2;
export const ICMP_PORT_UNREACHABLE = 3;
export const ICMP_FRAGMENTATION_NEEDED = 4;

/** What an error message quotes of the payload of the packet that caused it (RFC 792): the ports are in it. */
const QUOTED_PAYLOAD_BYTES = 8;

export function icmpType(u8: Uint8Array, offset: number): number {
  return u8[offset + ICMP_TYPE];
}

export function icmpCode(u8: Uint8Array, offset: number): number {
  return u8[offset + ICMP_CODE];
}

/** Of an echo message: which of the sender's pings it belongs to. */
export function icmpIdentifier(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + ICMP_IDENTIFIER);
}

/** Of an echo message: its number. */
export function icmpSequence(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + ICMP_SEQUENCE);
}

/** Of {@link ICMP_FRAGMENTATION_NEEDED}: the longest packet that fits, in bytes; 0 from a router older than RFC 1191. */
export function icmpNextHopMtu(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + ICMP_NEXT_HOP_MTU);
}

/** Whether `length` bytes at `offset` are a message whose checksum is right. */
export function isIcmpIntact(memory: WireMemory, offset: number, length: number): boolean {
  return length >= ICMP_HEADER_BYTES && internetChecksum(memory, offset, length) === 0;
}

/**
 * Writes the header of an echo request over a payload that is there already.
 * @param length bytes of header and payload
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

/** Turns an echo request into its reply: the type changes and the checksum with it, the rest stays (RFC 1122, 3.2.2.6). */
export function makeIcmpEchoReply(u8: Uint8Array, offset: number): void {
  const code = u8[offset + ICMP_CODE];
  const type = u8[offset + ICMP_TYPE];
  u8[offset + ICMP_TYPE] = ICMP_ECHO_REPLY;
  updateChecksum(u8, offset + ICMP_CHECKSUM, (type << 8) | code, (ICMP_ECHO_REPLY << 8) | code);
}

/**
 * Writes an error message that quotes the packet that caused it: its IP header and eight bytes more. Whether one may be
 * sent is for the caller to know (RFC 1122, 3.2.2): never about an ICMP error, a broadcast, a multicast or a fragment other
 * than the first.
 *
 * @param type {@link ICMP_DESTINATION_UNREACHABLE} or {@link ICMP_TIME_EXCEEDED}
 * @param word the second half of the header's last four bytes: the MTU with {@link ICMP_FRAGMENTATION_NEEDED}, otherwise 0
 * @param packet where the IP header of the packet begins, in the same memory; an intact packet in another buffer
 * @returns bytes of the message, 36 to 76
 * @example Nobody listens at the port of the packet at `ip`:
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
  const quoted = Math.min(ipv4HeaderLength(u8, packet) + QUOTED_PAYLOAD_BYTES, ipv4TotalLength(u8, packet));
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
