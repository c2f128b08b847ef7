/**
 * IPv6 (RFC 8200): field offsets from the first byte of the header, and the extension headers that may follow it. What soft
 * RSS needs: the layer itself does not speak IPv6.
 */

export const IPV6_PAYLOAD_LENGTH = 4;
export const IPV6_NEXT_HEADER = 6;
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;
export const IPV6_HEADER_BYTES = 40;
/** Bytes of an address. */
export const IPV6_ADDRESS_BYTES = 16;

/** Extension headers (RFC 8200, 4.1) that begin with the next header's number and their own length. */
const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION_OPTIONS = 60;

/** Of an extension header: its length in units of 8 bytes, the first 8 not counted. */
export const IPV6_EXTENSION_LENGTH = 1;
/** The shortest extension header, and the unit of their lengths. */
export const IPV6_EXTENSION_BYTES = 8;

/** Whether `next` is an extension header that stands in every packet alike. A fragment header is not one of them. */
export function isIpv6Extension(next: number): boolean {
  return next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS;
}
