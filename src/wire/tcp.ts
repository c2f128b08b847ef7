/**
 * TCP (RFC 9293, 3.1): field offsets from the first byte of the TCP header, flags, readers, and its checksum with the
 * pseudo header. Options are not read or written here: they begin at `tcp + TCP_HEADER_BYTES`.
 *
 * Offsets and lengths are in bytes; `ip` is where the IP header begins, `tcp` where the TCP header does. Sequence numbers
 * are 32 bits in a number: readers return them signed, the writer takes both.
 */
import { readI32, readU16, writeI32, writeU16 } from './bytes.js';
import { internetChecksum } from './checksum.js';
import { IP_PROTOCOL_TCP, ipv4PseudoHeaderSum } from './ipv4.js';
import type { WireMemory } from './memory.js';

export const TCP_SOURCE_PORT = 0;
export const TCP_DESTINATION_PORT = 2;
export const TCP_SEQUENCE = 4;
export const TCP_ACKNOWLEDGEMENT = 8;
/** Length of the header in units of four bytes, in the high four bits. */
export const TCP_DATA_OFFSET = 12;
export const TCP_FLAGS = 13;
export const TCP_WINDOW = 14;
export const TCP_CHECKSUM = 16;
export const TCP_URGENT_POINTER = 18;
/** A header without options. */
export const TCP_HEADER_BYTES = 20;

/** Flags; ECE and CWR are those of RFC 3168. */
export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

export function tcpSourcePort(u8: Uint8Array, tcp: number): number {
  return readU16(u8, tcp + TCP_SOURCE_PORT);
}

export function tcpDestinationPort(u8: Uint8Array, tcp: number): number {
  return readU16(u8, tcp + TCP_DESTINATION_PORT);
}

/** Signed bits. */
export function tcpSequence(u8: Uint8Array, tcp: number): number {
  return readI32(u8, tcp + TCP_SEQUENCE);
}

/** Signed bits; it means something with {@link TCP_ACK} alone. */
export function tcpAcknowledgement(u8: Uint8Array, tcp: number): number {
  return readI32(u8, tcp + TCP_ACKNOWLEDGEMENT);
}

/** Bytes of the header with its options: 20 to 60 in a sound segment, otherwise as little as 0. */
export function tcpHeaderLength(u8: Uint8Array, tcp: number): number {
  return (u8[tcp + TCP_DATA_OFFSET] >>> 4) << 2;
}

/** All eight flags: `(tcpFlags(u8, tcp) & TCP_SYN) !== 0`. */
export function tcpFlags(u8: Uint8Array, tcp: number): number {
  return u8[tcp + TCP_FLAGS];
}

/** As it stands there, not scaled (RFC 7323, 2). */
export function tcpWindow(u8: Uint8Array, tcp: number): number {
  return readU16(u8, tcp + TCP_WINDOW);
}

/** Whether `length` bytes at `tcp` are a segment: a header, a header length that fits, and a checksum that is right. */
export function isTcpIntact(memory: WireMemory, ip: number, tcp: number, length: number): boolean {
  if (length < TCP_HEADER_BYTES) return false;
  const headerLength = tcpHeaderLength(memory.u8, tcp);
  if (headerLength < TCP_HEADER_BYTES || headerLength > length) return false;
  return internetChecksum(memory, tcp, length, ipv4PseudoHeaderSum(memory.u8, ip, IP_PROTOCOL_TCP, length)) === 0;
}

/**
 * Writes a header over options and payload that are there already, with its checksum; the urgent pointer is 0. The
 * addresses in the IP header at `ip` must be there, too: the checksum covers them.
 * @param length bytes of header, options and payload
 * @param headerLength bytes of header and options, a multiple of four: {@link TCP_HEADER_BYTES} without options
 * @param flags such as `TCP_SYN | TCP_ACK`
 * @param window as it is to stand there, not scaled
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
 * Computes and stores the checksum of a segment, after something in it or the IP addresses were changed.
 * @param length bytes of header, options and payload
 */
export function writeTcpChecksum(memory: WireMemory, ip: number, tcp: number, length: number): void {
  const u8 = memory.u8;
  writeU16(u8, tcp + TCP_CHECKSUM, 0);
  const sum = internetChecksum(memory, tcp, length, ipv4PseudoHeaderSum(u8, ip, IP_PROTOCOL_TCP, length));
  writeU16(u8, tcp + TCP_CHECKSUM, sum);
}
