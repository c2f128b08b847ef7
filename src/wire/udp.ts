/**
 * UDP (RFC 768): field offsets from the first byte of the UDP header, readers, and its checksum with the pseudo header.
 * Offsets and lengths are in bytes; `ip` is where the IP header begins, `udp` where the UDP header does.
 */
import { readU16, writeU16 } from './bytes.js';
import { internetChecksum } from './checksum.js';
import { IP_PROTOCOL_UDP, ipv4PseudoHeaderSum } from './ipv4.js';
import type { WireMemory } from './memory.js';

export const UDP_SOURCE_PORT = 0;
export const UDP_DESTINATION_PORT = 2;
export const UDP_LENGTH = 4;
export const UDP_CHECKSUM = 6;
export const UDP_HEADER_BYTES = 8;

export function udpSourcePort(u8: Uint8Array, udp: number): number {
  return readU16(u8, udp + UDP_SOURCE_PORT);
}

export function udpDestinationPort(u8: Uint8Array, udp: number): number {
  return readU16(u8, udp + UDP_DESTINATION_PORT);
}

/** Header and payload in bytes, as the header says. */
export function udpLength(u8: Uint8Array, udp: number): number {
  return readU16(u8, udp + UDP_LENGTH);
}

/**
 * Whether `room` bytes at `udp` hold a datagram: a header, a length field that fits, and a checksum that is right or
 * absent (0, RFC 768).
 */
export function isUdpIntact(memory: WireMemory, ip: number, udp: number, room: number): boolean {
  if (room < UDP_HEADER_BYTES) return false;
  const length = udpLength(memory.u8, udp);
  if (length < UDP_HEADER_BYTES || length > room) return false;
  if (readU16(memory.u8, udp + UDP_CHECKSUM) === 0) return true;
  return internetChecksum(memory, udp, length, ipv4PseudoHeaderSum(memory.u8, ip, IP_PROTOCOL_UDP, length)) === 0;
}

/** Exchanges the ports. The checksum stays right: a sum does not depend on the order of its words. */
export function swapUdpPorts(u8: Uint8Array, udp: number): void {
  const source = udpSourcePort(u8, udp);
  writeU16(u8, udp + UDP_SOURCE_PORT, udpDestinationPort(u8, udp));
  writeU16(u8, udp + UDP_DESTINATION_PORT, source);
}

/**
 * Writes the header over a payload that is there already, with its checksum. The addresses in the IP header at `ip` must be
 * there, too: the checksum covers them.
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
 * Computes and stores the checksum of a datagram, after its header, its payload or the IP addresses were changed.
 * @param length bytes of header and payload
 */
export function writeUdpChecksum(memory: WireMemory, ip: number, udp: number, length: number): void {
  const u8 = memory.u8;
  writeU16(u8, udp + UDP_CHECKSUM, 0);
  const sum = internetChecksum(memory, udp, length, ipv4PseudoHeaderSum(u8, ip, IP_PROTOCOL_UDP, length));
  // 0 would mean "no checksum" (RFC 768).
  writeU16(u8, udp + UDP_CHECKSUM, sum === 0 ? 0xffff : sum);
}
