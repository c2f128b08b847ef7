/**
 * IPv4 (RFC 791, 3.1): field offsets from the first byte of the header, readers, the checks before anything of a header is
 * believed, and writers.
 *
 * Offsets and lengths are in bytes. Addresses are 32 bits in a number: readers return them signed, writers take both.
 */
import { readI32, readU16, writeI32, writeU16 } from './bytes.js';
import { foldSum, internetChecksum, updateChecksum } from './checksum.js';
import type { WireMemory } from './memory.js';

export const IPV4_VERSION_IHL = 0;
/** Differentiated services (RFC 2474) in the high six bits, ECN (RFC 3168) in the low two. */
export const IPV4_DSCP_ECN = 1;
export const IPV4_TOTAL_LENGTH = 2;
export const IPV4_IDENTIFICATION = 4;
/** Flags in the high three bits, fragment offset in units of 8 bytes in the low thirteen. */
export const IPV4_FRAGMENT = 6;
export const IPV4_TTL = 8;
export const IPV4_PROTOCOL = 9;
export const IPV4_CHECKSUM = 10;
export const IPV4_SOURCE = 12;
export const IPV4_DESTINATION = 16;
/** A header without options. */
export const IPV4_HEADER_BYTES = 20;

/** Numbers of the protocols above (RFC 1700), the same in IPv6. */
export const IP_PROTOCOL_ICMP = 1;
export const IP_PROTOCOL_TCP = 6;
export const IP_PROTOCOL_UDP = 17;
/** Time to live that we send with (RFC 1700). */
export const IPV4_DEFAULT_TTL = 64;

/** In the 16 bits at {@link IPV4_FRAGMENT}: the datagram must not be fragmented. */
export const IPV4_DONT_FRAGMENT = 0x4000;
/** In the 16 bits at {@link IPV4_FRAGMENT}: this is not the last fragment. */
export const IPV4_MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET_BITS = 0x1fff;
/** Not zero in any fragment of a datagram. */
const FRAGMENT_BITS = IPV4_MORE_FRAGMENTS | FRAGMENT_OFFSET_BITS;

export function ipv4Version(u8: Uint8Array, offset: number): number {
  return u8[offset] >>> 4;
}

/** Bytes of the header: 20 to 60 in a sound packet, otherwise as little as 0. */
export function ipv4HeaderLength(u8: Uint8Array, offset: number): number {
  return (u8[offset] & 0x0f) << 2;
}

/** Bytes of header and payload, as the header says. */
export function ipv4TotalLength(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + IPV4_TOTAL_LENGTH);
}

/** The number that all fragments of one datagram share. */
export function ipv4Identification(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + IPV4_IDENTIFICATION);
}

/** Routers that the packet may still pass. */
export function ipv4Ttl(u8: Uint8Array, offset: number): number {
  return u8[offset + IPV4_TTL];
}

/** What the payload is: {@link IP_PROTOCOL_UDP} and so on. */
export function ipv4Protocol(u8: Uint8Array, offset: number): number {
  return u8[offset + IPV4_PROTOCOL];
}

/** Source address, signed bits. */
export function ipv4Source(u8: Uint8Array, offset: number): number {
  return readI32(u8, offset + IPV4_SOURCE);
}

/** Destination address, signed bits. */
export function ipv4Destination(u8: Uint8Array, offset: number): number {
  return readI32(u8, offset + IPV4_DESTINATION);
}

/** Whether this is a fragment, the first one included. */
export function isIpv4Fragment(u8: Uint8Array, offset: number): boolean {
  return (readU16(u8, offset + IPV4_FRAGMENT) & FRAGMENT_BITS) !== 0;
}

/** Whether more fragments of the datagram follow this one. */
export function hasMoreIpv4Fragments(u8: Uint8Array, offset: number): boolean {
  return (readU16(u8, offset + IPV4_FRAGMENT) & IPV4_MORE_FRAGMENTS) !== 0;
}

/** Where in the datagram's payload the payload of this fragment belongs, in bytes. */
export function ipv4FragmentOffset(u8: Uint8Array, offset: number): number {
  return (readU16(u8, offset + IPV4_FRAGMENT) & FRAGMENT_OFFSET_BITS) << 3;
}

/**
 * Whether `room` bytes at `offset` hold a whole packet that can be believed (RFC 1122, 3.2.1): version 4, a header length
 * and a total length that fit, and a header checksum that is right. Of a packet from a core with layer `ip` all but the
 * checksum is so already: there {@link isIpv4HeaderIntact} is enough.
 */
export function isIpv4Intact(memory: WireMemory, offset: number, room: number): boolean {
  if (room < IPV4_HEADER_BYTES || ipv4Version(memory.u8, offset) !== 4) return false;
  const headerLength = ipv4HeaderLength(memory.u8, offset);
  const totalLength = ipv4TotalLength(memory.u8, offset);
  if (headerLength < IPV4_HEADER_BYTES || headerLength > totalLength || totalLength > room) return false;
  return isIpv4HeaderIntact(memory, offset, headerLength);
}

/** Whether the checksum over the `headerLength` bytes at `offset` is right. The length itself is not checked. */
export function isIpv4HeaderIntact(memory: WireMemory, offset: number, headerLength: number): boolean {
  return internetChecksum(memory, offset, headerLength) === 0;
}

/**
 * Writes a header of 20 bytes with its checksum: {@link IPV4_DEFAULT_TTL}, no options, never a fragment, don't-fragment
 * set. {@link setIpv4Ttl} changes the time to live, {@link writeIpv4Checksum} mends the checksum after other changes.
 *
 * @param offset where the header goes, even for speed
 * @param totalLength bytes of header and payload
 * @param protocol such as {@link IP_PROTOCOL_UDP}
 * @param source an address, signed or unsigned
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
  // RFC 6864, 4.1: an atomic datagram (DF set, no fragment) may have any identification.
  writeU16(u8, offset + IPV4_IDENTIFICATION, 0);
  writeU16(u8, offset + IPV4_FRAGMENT, IPV4_DONT_FRAGMENT);
  u8[offset + IPV4_TTL] = IPV4_DEFAULT_TTL;
  u8[offset + IPV4_PROTOCOL] = protocol;
  writeU16(u8, offset + IPV4_CHECKSUM, 0);
  writeI32(u8, offset + IPV4_SOURCE, source);
  writeI32(u8, offset + IPV4_DESTINATION, destination);
  writeU16(u8, offset + IPV4_CHECKSUM, internetChecksum(memory, offset, IPV4_HEADER_BYTES));
}

/** Computes and stores the checksum of the header at `offset`, options included, after fields of it were changed. */
export function writeIpv4Checksum(memory: WireMemory, offset: number): void {
  const u8 = memory.u8;
  writeU16(u8, offset + IPV4_CHECKSUM, 0);
  writeU16(u8, offset + IPV4_CHECKSUM, internetChecksum(memory, offset, ipv4HeaderLength(u8, offset)));
}

/** Exchanges source and destination. The checksums stay right: a sum does not depend on the order of its words. */
export function swapIpv4Addresses(u8: Uint8Array, offset: number): void {
  const source = readI32(u8, offset + IPV4_SOURCE);
  writeI32(u8, offset + IPV4_SOURCE, readI32(u8, offset + IPV4_DESTINATION));
  writeI32(u8, offset + IPV4_DESTINATION, source);
}

/** Sets the time to live and corrects the header checksum. */
export function setIpv4Ttl(u8: Uint8Array, offset: number, ttl: number): void {
  const protocol = u8[offset + IPV4_PROTOCOL];
  const before = u8[offset + IPV4_TTL];
  u8[offset + IPV4_TTL] = ttl;
  updateChecksum(u8, offset + IPV4_CHECKSUM, (before << 8) | protocol, (ttl << 8) | protocol);
}

/**
 * Partial sum of the pseudo header of UDP (RFC 768) and TCP (RFC 9293, 3.1): addresses, protocol and length of the segment.
 * @param offset where the IP header begins
 * @param length bytes of the segment, its header included
 */
export function ipv4PseudoHeaderSum(u8: Uint8Array, offset: number, protocol: number, length: number): number {
  const addresses =
    readU16(u8, offset + IPV4_SOURCE) +
    readU16(u8, offset + IPV4_SOURCE + 2) +
    readU16(u8, offset + IPV4_DESTINATION) +
    readU16(u8, offset + IPV4_DESTINATION + 2);
  return foldSum(addresses + protocol + length);
}
