/** UDP (RFC 768): field offsets from the first byte of the UDP header, and its checksum with the pseudo header. */
import type { MemoryViews } from '../../drivers/memory/index.js';
import { readU16, writeU16 } from './bytes.js';
import { internetChecksum } from './checksum.js';
import { IP_PROTOCOL_UDP, ipv4PseudoHeaderSum } from './ipv4.js';

export const UDP_SOURCE_PORT = 0;
export const UDP_DESTINATION_PORT = 2;
export const UDP_LENGTH = 4;
export const UDP_CHECKSUM = 6;
export const UDP_HEADER_BYTES = 8;

export function udpSourcePort(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + UDP_SOURCE_PORT);
}

export function udpDestinationPort(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + UDP_DESTINATION_PORT);
}

/** Header and payload in bytes, as the header says. */
export function udpLength(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + UDP_LENGTH);
}

/**
 * Whether `room` bytes at `udp` hold a datagram: a header, a length field that fits, and a checksum that is right or
 * absent (0, RFC 768). `ip` is the offset of the IP header.
 */
export function isUdpIntact(memory: MemoryViews, ip: number, udp: number, room: number): boolean {
  if (room < UDP_HEADER_BYTES) return false;
  const length = udpLength(memory.u8, udp);
  if (length < UDP_HEADER_BYTES || length > room) return false;
  if (readU16(memory.u8, udp + UDP_CHECKSUM) === 0) return true;
  return internetChecksum(memory, udp, length, ipv4PseudoHeaderSum(memory.u8, ip, IP_PROTOCOL_UDP, length)) === 0;
}

/** Exchanges the ports. The checksum stays right. */
export function swapUdpPorts(u8: Uint8Array, offset: number): void {
  const source = udpSourcePort(u8, offset);
  writeU16(u8, offset + UDP_SOURCE_PORT, udpDestinationPort(u8, offset));
  writeU16(u8, offset + UDP_DESTINATION_PORT, source);
}

/** Writes the header over a payload that is there already, with its checksum; `length` counts header and payload. */
export function writeUdpHeader(
  memory: MemoryViews,
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
  writeU16(u8, udp + UDP_CHECKSUM, 0);
  const sum = internetChecksum(memory, udp, length, ipv4PseudoHeaderSum(u8, ip, IP_PROTOCOL_UDP, length));
  // 0 would mean "no checksum" (RFC 768).
  writeU16(u8, udp + UDP_CHECKSUM, sum === 0 ? 0xffff : sum);
}
