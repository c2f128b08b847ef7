/** ICMP echo (RFC 792, p. 14): field offsets from the first byte of the ICMP message, and the writer of one. */
import type { MemoryViews } from '../../drivers/memory/index.js';
import { readU16, writeU16 } from './bytes.js';
import { internetChecksum, updateChecksum } from './checksum.js';

export const ICMP_TYPE = 0;
export const ICMP_CODE = 1;
export const ICMP_CHECKSUM = 2;
export const ICMP_IDENTIFIER = 4;
export const ICMP_SEQUENCE = 6;
export const ICMP_HEADER_BYTES = 8;

export const ICMP_ECHO_REPLY = 0;
export const ICMP_ECHO_REQUEST = 8;

export function icmpType(u8: Uint8Array, offset: number): number {
  return u8[offset + ICMP_TYPE]!;
}

export function icmpIdentifier(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + ICMP_IDENTIFIER);
}

export function icmpSequence(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + ICMP_SEQUENCE);
}

/** Whether the checksum over the whole message of `length` bytes is right. */
export function isIcmpIntact(memory: MemoryViews, offset: number, length: number): boolean {
  return internetChecksum(memory, offset, length) === 0;
}

/** Writes the header of an echo request over a payload that is there already; `length` counts both. */
export function writeIcmpEchoRequest(
  memory: MemoryViews,
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
  const code = u8[offset + ICMP_CODE]!;
  const type = u8[offset + ICMP_TYPE]!;
  u8[offset + ICMP_TYPE] = ICMP_ECHO_REPLY;
  updateChecksum(u8, offset + ICMP_CHECKSUM, (type << 8) | code, (ICMP_ECHO_REPLY << 8) | code);
}
