/**
 * IPv4 (RFC 791, 3.1): field offsets, readers, checks, and writers.
 *
 * Offsets and lengths are in bytes; field offsets count from the first byte of the header. An address is 32 bits in a
 * number: readers return it signed, writers take it signed or unsigned.
 */
import { readI32, readU16, writeI32, writeU16 } from './bytes.js';
import { foldSum, internetChecksum, updateChecksum } from './checksum.js';
import type { WireMemory } from './memory.js';

/** Offset of the version (high four bits) and the header length in units of four bytes (low four bits). */
export const IPV4_VERSION_IHL = 0;
/** Offset of differentiated services (RFC 2474, high six bits) and ECN (RFC 3168, low two bits). */
export const IPV4_DSCP_ECN = 1;
/** Offset of the total length, 16 bits. */
export const IPV4_TOTAL_LENGTH = 2;
/** Offset of the identification, 16 bits. */
export const IPV4_IDENTIFICATION = 4;
/** Offset of the flags (high three bits) and the fragment offset in units of eight bytes (low thirteen bits). */
export const IPV4_FRAGMENT = 6;
/** Offset of the time to live, 8 bits. */
export const IPV4_TTL = 8;
/** Offset of the payload's protocol, 8 bits. */
export const IPV4_PROTOCOL = 9;
/** Offset of the header checksum, 16 bits. */
export const IPV4_CHECKSUM = 10;
/** Offset of the source address. */
export const IPV4_SOURCE = 12;
/** Offset of the destination address. */
export const IPV4_DESTINATION = 16;
/** Length of a header without options. */
export const IPV4_HEADER_BYTES = 20;

/** Protocol number of ICMP (RFC 1700). */
export const IP_PROTOCOL_ICMP = 1;
/** Protocol number of TCP (RFC 1700), in IPv4 and IPv6. */
export const IP_PROTOCOL_TCP = 6;
/** Protocol number of UDP (RFC 1700), in IPv4 and IPv6. */
export const IP_PROTOCOL_UDP = 17;
/** The time to live of packets that we send (RFC 1700). */
export const IPV4_DEFAULT_TTL = 64;

/** Flag in the 16 bits at {@link IPV4_FRAGMENT}: routers must not fragment the datagram. */
export const IPV4_DONT_FRAGMENT = 0x4000;
/** Flag in the 16 bits at {@link IPV4_FRAGMENT}: more fragments of the datagram follow. */
export const IPV4_MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET_BITS = 0x1fff;
/** Every fragment of a datagram has at least one of these bits. */
const FRAGMENT_BITS = IPV4_MORE_FRAGMENTS | FRAGMENT_OFFSET_BITS;

/** Reads the version: 4 in an IPv4 packet. */
export function ipv4Version(u8: Uint8Array, offset: number): number {
  return u8[offset] >>> 4;
}

/** Reads the length of the header in bytes: 20 to 60 in an intact packet, 0 to 60 in any other. */
export function ipv4HeaderLength(u8: Uint8Array, offset: number): number {
  return (u8[offset] & 0x0f) << 2;
}

/** Reads the length of header and payload in bytes, as the header states it. */
export function ipv4TotalLength(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + IPV4_TOTAL_LENGTH);
}

/** Reads the ECN bits (RFC 3168, 5): 0 not capable, 1 and 2 capable, 3 congestion experienced. */
export function ipv4Ecn(u8: Uint8Array, offset: number): number {
  return u8[offset + IPV4_DSCP_ECN] & 3;
}

/** Reads the identification, which all fragments of one datagram share. */
export function ipv4Identification(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + IPV4_IDENTIFICATION);
}

/** Reads the time to live: how many routers the packet may still pass. */
export function ipv4Ttl(u8: Uint8Array, offset: number): number {
  return u8[offset + IPV4_TTL];
}

/** Reads the protocol of the payload, such as {@link IP_PROTOCOL_UDP}. */
export function ipv4Protocol(u8: Uint8Array, offset: number): number {
  return u8[offset + IPV4_PROTOCOL];
}

/** Reads the source address, as a signed number. */
export function ipv4Source(u8: Uint8Array, offset: number): number {
  return readI32(u8, offset + IPV4_SOURCE);
}

/** Reads the destination address, as a signed number. */
export function ipv4Destination(u8: Uint8Array, offset: number): number {
  return readI32(u8, offset + IPV4_DESTINATION);
}

/** Whether the packet is a fragment, the first one included. */
export function isIpv4Fragment(u8: Uint8Array, offset: number): boolean {
  return (readU16(u8, offset + IPV4_FRAGMENT) & FRAGMENT_BITS) !== 0;
}

/** Whether more fragments of the datagram follow this one. */
export function hasMoreIpv4Fragments(u8: Uint8Array, offset: number): boolean {
  return (readU16(u8, offset + IPV4_FRAGMENT) & IPV4_MORE_FRAGMENTS) !== 0;
}

/** Reads the place of this fragment's payload in the payload of the datagram, in bytes. */
export function ipv4FragmentOffset(u8: Uint8Array, offset: number): number {
  return (readU16(u8, offset + IPV4_FRAGMENT) & FRAGMENT_OFFSET_BITS) << 3;
}

/**
 * Whether `room` bytes at `offset` hold a whole, intact packet (RFC 1122, 3.2.1): the version is 4, the header length
 * and the total length fit, and the header checksum is correct.
 *
 * A core with layer `ip` checks all of this except the checksum: for its packets {@link isIpv4HeaderIntact} is enough.
 */
export function isIpv4Intact(memory: WireMemory, offset: number, room: number): boolean {
  if (room < IPV4_HEADER_BYTES || ipv4Version(memory.u8, offset) !== 4) return false;
  const headerLength = ipv4HeaderLength(memory.u8, offset);
  const totalLength = ipv4TotalLength(memory.u8, offset);
  if (headerLength < IPV4_HEADER_BYTES || headerLength > totalLength || totalLength > room) return false;
  return isIpv4HeaderIntact(memory, offset, headerLength);
}

/** Whether the checksum over the `headerLength` bytes at `offset` is correct. It does not check the length. */
export function isIpv4HeaderIntact(memory: WireMemory, offset: number, headerLength: number): boolean {
  return internetChecksum(memory, offset, headerLength) === 0;
}

/**
 * Writes a header of 20 bytes with its checksum. The header has {@link IPV4_DEFAULT_TTL}, no options, and the flag
 * "don't fragment". {@link setIpv4Ttl} changes the time to live; call {@link writeIpv4Checksum} after other changes.
 *
 * @param offset of the header's first byte; an even offset is faster
 * @param totalLength bytes of header and payload
 * @param protocol such as {@link IP_PROTOCOL_UDP}
 * @param source an address, signed or unsigned
 * @param destination an address, signed or unsigned
 */
export function writeIpv4Header(
  memory: WireMemory,
  offset: number,
  totalLength: number,
  protocol: number,
  source: number,
  destination: number,
): void {
  const u8 = memory.u8;
  u8[offset] = 0x45;
  u8[offset + 1] = 0;
  writeU16(u8, offset + IPV4_TOTAL_LENGTH, totalLength);
  // RFC 6864, 4.1: an atomic datagram ("don't fragment" set, not a fragment) may have any identification.
  writeU16(u8, offset + IPV4_IDENTIFICATION, 0);
  writeU16(u8, offset + IPV4_FRAGMENT, IPV4_DONT_FRAGMENT);
  u8[offset + IPV4_TTL] = IPV4_DEFAULT_TTL;
  u8[offset + IPV4_PROTOCOL] = protocol;
  writeU16(u8, offset + IPV4_CHECKSUM, 0);
  writeI32(u8, offset + IPV4_SOURCE, source);
  writeI32(u8, offset + IPV4_DESTINATION, destination);
  writeU16(u8, offset + IPV4_CHECKSUM, internetChecksum(memory, offset, IPV4_HEADER_BYTES));
}

/** Computes and stores the checksum of the header at `offset`, options included. Call it after you changed a field. */
export function writeIpv4Checksum(memory: WireMemory, offset: number): void {
  const u8 = memory.u8;
  writeU16(u8, offset + IPV4_CHECKSUM, 0);
  writeU16(u8, offset + IPV4_CHECKSUM, internetChecksum(memory, offset, ipv4HeaderLength(u8, offset)));
}

/**
 * Swaps source and destination. All checksums stay correct, because a sum does not depend on the order of its words.
 */
export function swapIpv4Addresses(u8: Uint8Array, offset: number): void {
  const source = readI32(u8, offset + IPV4_SOURCE);
  writeI32(u8, offset + IPV4_SOURCE, readI32(u8, offset + IPV4_DESTINATION));
  writeI32(u8, offset + IPV4_DESTINATION, source);
}

/** Sets the time to live (0 to 255) and corrects the header checksum. */
export function setIpv4Ttl(u8: Uint8Array, offset: number, ttl: number): void {
  const protocol = u8[offset + IPV4_PROTOCOL];
  const before = u8[offset + IPV4_TTL];
  u8[offset + IPV4_TTL] = ttl;
  updateChecksum(u8, offset + IPV4_CHECKSUM, (before << 8) | protocol, (ttl << 8) | protocol);
}

/**
 * Computes the partial sum of the pseudo header of UDP (RFC 768) and TCP (RFC 9293, 3.1): addresses, protocol and
 * length.
 * @param offset of the IP header's first byte
 * @param protocol {@link IP_PROTOCOL_UDP} or {@link IP_PROTOCOL_TCP}
 * @param length bytes of the datagram or segment, its header included
 */
export function ipv4PseudoHeaderSum(u8: Uint8Array, offset: number, protocol: number, length: number): number {
  const addresses =
    readU16(u8, offset + IPV4_SOURCE) +
    readU16(u8, offset + IPV4_SOURCE + 2) +
    readU16(u8, offset + IPV4_DESTINATION) +
    readU16(u8, offset + IPV4_DESTINATION + 2);
  return foldSum(addresses + protocol + length);
}
