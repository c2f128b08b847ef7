/** IPv4 (RFC 791): field offsets from the first byte of the header, and the checks before anything of it is believed. */
import type { MemoryViews } from '../../drivers/memory/index.js';
import { readI32, readU16, writeI32, writeU16 } from './bytes.js';
import { foldSum, internetChecksum, updateChecksum } from './checksum.js';

export const IPV4_VERSION_IHL = 0;
export const IPV4_TOTAL_LENGTH = 2;
export const IPV4_IDENTIFICATION = 4;
export const IPV4_FRAGMENT = 6;
export const IPV4_TTL = 8;
export const IPV4_PROTOCOL = 9;
export const IPV4_CHECKSUM = 10;
export const IPV4_SOURCE = 12;
export const IPV4_DESTINATION = 16;
/** A header without options. */
export const IPV4_HEADER_BYTES = 20;

export const IP_PROTOCOL_ICMP = 1;
export const IP_PROTOCOL_TCP = 6;
export const IP_PROTOCOL_UDP = 17;
/** Time to live that we send with (RFC 1700). */
export const IPV4_DEFAULT_TTL = 64;

/** More-fragments flag and fragment offset: not zero in any fragment of a datagram. */
const FRAGMENT_BITS = 0x3fff;
const DONT_FRAGMENT = 0x4000;

export function ipv4Version(u8: Uint8Array, offset: number): number {
  return u8[offset]! >>> 4;
}

/** Bytes of the header: 20 to 60 in a sound packet, else as little as 0. */
export function ipv4HeaderLength(u8: Uint8Array, offset: number): number {
  return (u8[offset]! & 0x0f) << 2;
}

export function ipv4TotalLength(u8: Uint8Array, offset: number): number {
  return readU16(u8, offset + IPV4_TOTAL_LENGTH);
}

export function ipv4Protocol(u8: Uint8Array, offset: number): number {
  return u8[offset + IPV4_PROTOCOL]!;
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

/** Whether the header checksum is right. */
export function isIpv4HeaderIntact(memory: MemoryViews, offset: number, headerLength: number): boolean {
  return internetChecksum(memory, offset, headerLength) === 0;
}

/** Writes a header of 20 bytes with its checksum; never a fragment, don't-fragment set. */
export function writeIpv4Header(
  memory: MemoryViews,
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
  writeU16(u8, offset + IPV4_FRAGMENT, DONT_FRAGMENT);
  u8[offset + IPV4_TTL] = IPV4_DEFAULT_TTL;
  u8[offset + IPV4_PROTOCOL] = protocol;
  writeU16(u8, offset + IPV4_CHECKSUM, 0);
  writeI32(u8, offset + IPV4_SOURCE, source);
  writeI32(u8, offset + IPV4_DESTINATION, destination);
  writeU16(u8, offset + IPV4_CHECKSUM, internetChecksum(memory, offset, IPV4_HEADER_BYTES));
}

/** Exchanges source and destination. The checksum stays right: a sum doesn't know the order of its words. */
export function swapIpv4Addresses(u8: Uint8Array, offset: number): void {
  const source = readI32(u8, offset + IPV4_SOURCE);
  writeI32(u8, offset + IPV4_SOURCE, readI32(u8, offset + IPV4_DESTINATION));
  writeI32(u8, offset + IPV4_DESTINATION, source);
}

/** Sets the time to live and corrects the header checksum. */
export function setIpv4Ttl(u8: Uint8Array, offset: number, ttl: number): void {
  const protocol = u8[offset + IPV4_PROTOCOL]!;
  const before = u8[offset + IPV4_TTL]!;
  u8[offset + IPV4_TTL] = ttl;
  updateChecksum(u8, offset + IPV4_CHECKSUM, (before << 8) | protocol, (ttl << 8) | protocol);
}

/** Partial sum of the pseudo header of UDP and TCP (RFC 768): addresses, protocol and length of the segment. */
export function ipv4PseudoHeaderSum(u8: Uint8Array, offset: number, protocol: number, length: number): number {
  const addresses =
    readU16(u8, offset + IPV4_SOURCE) +
    readU16(u8, offset + IPV4_SOURCE + 2) +
    readU16(u8, offset + IPV4_DESTINATION) +
    readU16(u8, offset + IPV4_DESTINATION + 2);
  return foldSum(addresses + protocol + length);
}
