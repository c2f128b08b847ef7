/**
 * IPv6 (RFC 8200): field offsets and extension headers, as far as soft RSS needs them. The layer does not support IPv6.
 * Offsets are in bytes and count from the first byte of the header.
 */

/** Offset of the payload length, 16 bits. */
export const IPV6_PAYLOAD_LENGTH = 4;
/** Offset of the number of the header that follows, 8 bits: a protocol or an extension header. */
export const IPV6_NEXT_HEADER = 6;
/** Offset of the source address. */
export const IPV6_SOURCE = 8;
/** Offset of the destination address. */
export const IPV6_DESTINATION = 24;
/** Length of the header without extension headers. */
export const IPV6_HEADER_BYTES = 40;
/** Length of an address. */
export const IPV6_ADDRESS_BYTES = 16;

/** Numbers of the extension headers (RFC 8200, 4.1) that begin with the next header's number and their own length. */
const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION_OPTIONS = 60;

/** Offset in an extension header of its length in units of eight bytes, the first eight not counted; 8 bits. */
export const IPV6_EXTENSION_LENGTH = 1;
/** Length of the shortest extension header, and the unit of their lengths. */
export const IPV6_EXTENSION_BYTES = 8;

/**
 * Whether `next` is the number of an extension header that can be skipped by its length. A fragment header is not.
 */
export function isIpv6Extension(next: number): boolean {
  return next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS;
}
