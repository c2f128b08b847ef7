/**
 * TCP (RFC 9293, 3.1): field offsets, flags, readers, a check, and writers. Options begin at `tcp + TCP_HEADER_BYTES`;
 * this file neither reads nor writes them.
 *
 * Offsets and lengths are in bytes; field offsets count from the first byte of the TCP header. `ip` is the offset of
 * the IP header, `tcp` that of the TCP header. A sequence number is 32 bits in a number: readers return it signed, the
 * writer takes it signed or unsigned.
 */
import { readI32, readU16, writeI32, writeU16 } from './bytes.js';
import { internetChecksum } from './checksum.js';
import { IP_PROTOCOL_TCP, ipv4PseudoHeaderSum } from './ipv4.js';
import type { WireMemory } from './memory.js';

/** Offset of the source port, 16 bits. */
export const TCP_SOURCE_PORT = 0;
/** Offset of the destination port, 16 bits. */
export const TCP_DESTINATION_PORT = 2;
/** Offset of the sequence number, 32 bits. */
export const TCP_SEQUENCE = 4;
/** Offset of the acknowledgement number, 32 bits. */
export const TCP_ACKNOWLEDGEMENT = 8;
/** Offset of the length of the header in units of four bytes (high four bits). */
export const TCP_DATA_OFFSET = 12;
/** Offset of the flags, 8 bits. */
export const TCP_FLAGS = 13;
/** Offset of the window, 16 bits. */
export const TCP_WINDOW = 14;
/** Offset of the checksum, 16 bits. */
export const TCP_CHECKSUM = 16;
/** Offset of the urgent pointer, 16 bits. */
export const TCP_URGENT_POINTER = 18;
/** Length of a header without options. */
export const TCP_HEADER_BYTES = 20;

/** Flag: the sender has no more data. */
export const TCP_FIN = 0x01;
/** Flag: synchronize sequence numbers. */
export const TCP_SYN = 0x02;
/** Flag: reset the connection. */
export const TCP_RST = 0x04;
/** Flag: push the data to the application. */
export const TCP_PSH = 0x08;
/** Flag: the acknowledgement number is valid. */
export const TCP_ACK = 0x10;
/** Flag: the urgent pointer is valid. */
export const TCP_URG = 0x20;
/** Flag: ECN echo (RFC 3168). */
export const TCP_ECE = 0x40;
/** Flag: congestion window reduced (RFC 3168). */
export const TCP_CWR = 0x80;

/** Reads the source port. */
export function tcpSourcePort(u8: Uint8Array, tcp: number): number {
  return readU16(u8, tcp + TCP_SOURCE_PORT);
}

/** Reads the destination port. */
export function tcpDestinationPort(u8: Uint8Array, tcp: number): number {
  return readU16(u8, tcp + TCP_DESTINATION_PORT);
}

/** Reads the sequence number, as a signed number. */
export function tcpSequence(u8: Uint8Array, tcp: number): number {
  return readI32(u8, tcp + TCP_SEQUENCE);
}

/** Reads the acknowledgement number, as a signed number. It is valid only when {@link TCP_ACK} is set. */
export function tcpAcknowledgement(u8: Uint8Array, tcp: number): number {
  return readI32(u8, tcp + TCP_ACKNOWLEDGEMENT);
}

/** Reads the length of the header with its options in bytes: 20 to 60 in an intact segment, 0 to 60 in any other. */
export function tcpHeaderLength(u8: Uint8Array, tcp: number): number {
  return (u8[tcp + TCP_DATA_OFFSET] >>> 4) << 2;
}

/** Reads all eight flags. `(tcpFlags(u8, tcp) & TCP_SYN) !== 0` tests one. */
export function tcpFlags(u8: Uint8Array, tcp: number): number {
  return u8[tcp + TCP_FLAGS];
}

/** Reads the window as the field has it, not scaled (RFC 7323, 2). */
export function tcpWindow(u8: Uint8Array, tcp: number): number {
  return readU16(u8, tcp + TCP_WINDOW);
}

/** Whether `length` bytes at `tcp` are a segment: the header length fits, and the checksum is correct. */
export function isTcpIntact(memory: WireMemory, ip: number, tcp: number, length: number): boolean {
  if (length < TCP_HEADER_BYTES) return false;
  const headerLength = tcpHeaderLength(memory.u8, tcp);
  if (headerLength < TCP_HEADER_BYTES || headerLength > length) return false;
  return internetChecksum(memory, tcp, length, ipv4PseudoHeaderSum(memory.u8, ip, IP_PROTOCOL_TCP, length)) === 0;
}

/**
 * Writes a header with its checksum. Options, payload, and the addresses in the IP header must be in place, because the
 * checksum covers them. The urgent pointer becomes 0.
 * @param length bytes of header, options and payload
 * @param headerLength bytes of header and options, a multiple of four: {@link TCP_HEADER_BYTES} without options
 * @param flags such as `TCP_SYN | TCP_ACK`
 * @param window the value of the field, not scaled
 */
export function writeTcpHeader(
  memory: WireMemory,
  ip: number,
  tcp: number,
  length: number,
  headerLength: number,
  sourcePort: number,
  destinationPort: number,
  sequence: number,
  acknowledgement: number,
  flags: number,
  window: number,
): void {
  const u8 = memory.u8;
  writeU16(u8, tcp + TCP_SOURCE_PORT, sourcePort);
  writeU16(u8, tcp + TCP_DESTINATION_PORT, destinationPort);
  writeI32(u8, tcp + TCP_SEQUENCE, sequence);
  writeI32(u8, tcp + TCP_ACKNOWLEDGEMENT, acknowledgement);
  u8[tcp + TCP_DATA_OFFSET] = headerLength << 2;
  u8[tcp + TCP_FLAGS] = flags;
  writeU16(u8, tcp + TCP_WINDOW, window);
  writeU16(u8, tcp + TCP_URGENT_POINTER, 0);
  writeTcpChecksum(memory, ip, tcp, length);
}

/**
 * Computes and stores the checksum of a segment. Call it after you changed the segment or the IP addresses.
 * @param length bytes of header, options and payload
 */
export function writeTcpChecksum(memory: WireMemory, ip: number, tcp: number, length: number): void {
  const u8 = memory.u8;
  writeU16(u8, tcp + TCP_CHECKSUM, 0);
  const sum = internetChecksum(memory, tcp, length, ipv4PseudoHeaderSum(u8, ip, IP_PROTOCOL_TCP, length));
  writeU16(u8, tcp + TCP_CHECKSUM, sum);
}
