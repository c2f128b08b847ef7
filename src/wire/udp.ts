/**
 * UDP (RFC 768): field offsets, readers, a check, and writers. Offsets and lengths are in bytes; field offsets count
 * from the first byte of the UDP header. `ip` is the offset of the IP header, `udp` that of the UDP header.
 */
import { readU16, writeU16 } from './bytes.js';
import { internetChecksum } from './checksum.js';
import { IP_PROTOCOL_UDP, ipv4PseudoHeaderSum } from './ipv4.js';
import type { WireMemory } from './memory.js';

/** Offset of the source port, 16 bits. */
export const UDP_SOURCE_PORT = 0;
/** Offset of the destination port, 16 bits. */
export const UDP_DESTINATION_PORT = 2;
/** Offset of the length of header and payload, 16 bits. */
export const UDP_LENGTH = 4;
/** Offset of the checksum, 16 bits. */
export const UDP_CHECKSUM = 6;
/** Length of the header. */
export const UDP_HEADER_BYTES = 8;

/** Reads the source port. */
export function udpSourcePort(u8: Uint8Array, udp: number): number {
  return readU16(u8, udp + UDP_SOURCE_PORT);
}

/** Reads the destination port. */
export function udpDestinationPort(u8: Uint8Array, udp: number): number {
  return readU16(u8, udp + UDP_DESTINATION_PORT);
}

/** Reads the length of header and payload in bytes, as the header states it. */
export function udpLength(u8: Uint8Array, udp: number): number {
  return readU16(u8, udp + UDP_LENGTH);
}

/** Whether `room` bytes at `udp` hold a datagram by its length field. The checksum is not looked at. */
export function isUdpWhole(u8: Uint8Array, udp: number, room: number): boolean {
  if (room < UDP_HEADER_BYTES) return false;
  const length = udpLength(u8, udp);
  return length >= UDP_HEADER_BYTES && length <= room;
}

/**
 * Whether `room` bytes at `udp` hold a datagram: the length field fits, and the checksum is correct or absent (0,
 * RFC 768).
 */
export function isUdpIntact(memory: WireMemory, ip: number, udp: number, room: number): boolean {
  if (!isUdpWhole(memory.u8, udp, room)) return false;
  if (readU16(memory.u8, udp + UDP_CHECKSUM) === 0) return true;
  const length = udpLength(memory.u8, udp);
  return internetChecksum(memory, udp, length, ipv4PseudoHeaderSum(memory.u8, ip, IP_PROTOCOL_UDP, length)) === 0;
}

/** Swaps the ports. The checksum stays correct, because a sum does not depend on the order of its words. */
export function swapUdpPorts(u8: Uint8Array, udp: number): void {
  const source = udpSourcePort(u8, udp);
  writeU16(u8, udp + UDP_SOURCE_PORT, udpDestinationPort(u8, udp));
  writeU16(u8, udp + UDP_DESTINATION_PORT, source);
}

/**
 * Writes a header with its checksum. The payload and the addresses in the IP header must be in place, because the
 * checksum covers them.
 * @param length bytes of header and payload
 */
export function writeUdpHeader(
  memory: WireMemory,
  ip: number,
  udp: number,
  length: number,
  sourcePort: number,
  destinationPort: number,
): void {
  const u8 = memory.u8;
  writeU16(u8, udp + UDP_SOURCE_PORT, sourcePort);
  writeU16(u8, udp + UDP_DESTINATION_PORT, destinationPort);
  writeU16(u8, udp + UDP_LENGTH, length);
  writeUdpChecksum(memory, ip, udp, length);
}

/**
 * Computes and stores the checksum of a datagram. Call it after you changed the datagram or the IP addresses.
 * @param length bytes of header and payload
 */
export function writeUdpChecksum(memory: WireMemory, ip: number, udp: number, length: number): void {
  const u8 = memory.u8;
  writeU16(u8, udp + UDP_CHECKSUM, 0);
  const sum = internetChecksum(memory, udp, length, ipv4PseudoHeaderSum(u8, ip, IP_PROTOCOL_UDP, length));
  // 0 means "no checksum" (RFC 768).
  writeU16(u8, udp + UDP_CHECKSUM, sum === 0 ? 0xffff : sum);
}
