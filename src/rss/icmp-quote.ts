/**
 * Finds the packet that an ICMP error quotes. A router may have sent the error, so its own addresses do not tell which
 * flow it is about. The transport layer of that flow must get it (RFC 1122, 3.2.2.1).
 */
import { ICMP_HEADER_BYTES, ICMP_QUOTED_PAYLOAD_BYTES, icmpType, isIcmpError } from '../wire/icmp.js';
import {
  IP_PROTOCOL_ICMP,
  IPV4_HEADER_BYTES,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4TotalLength,
  ipv4Version,
  isIpv4Fragment,
} from '../wire/ipv4.js';

/** The result of {@link quotedPacket} when there is no such packet. */
export const NO_QUOTE = -1;

/**
 * Returns the offset of the IPv4 packet that is quoted in the IPv4 packet of `length` bytes at `ip`, or
 * {@link NO_QUOTE}: it is a fragment or no ICMP error, or the quoted header and the 8 bytes behind it are not whole.
 * @param length at least 20
 */
export function quotedPacket(u8: Uint8Array, ip: number, length: number): number {
  if (ipv4Protocol(u8, ip) !== IP_PROTOCOL_ICMP || isIpv4Fragment(u8, ip)) return NO_QUOTE;
  const headerLength = ipv4HeaderLength(u8, ip);
  const icmp = ip + headerLength;
  const quote = icmp + ICMP_HEADER_BYTES;
  const end = ip + Math.min(length, ipv4TotalLength(u8, ip));
  if (headerLength < IPV4_HEADER_BYTES || quote + IPV4_HEADER_BYTES + ICMP_QUOTED_PAYLOAD_BYTES > end) return NO_QUOTE;
  if (!isIcmpError(icmpType(u8, icmp)) || ipv4Version(u8, quote) !== 4) return NO_QUOTE;
  const quotedHeaderLength = ipv4HeaderLength(u8, quote);
  const isWhole =
    quotedHeaderLength >= IPV4_HEADER_BYTES && quote + quotedHeaderLength + ICMP_QUOTED_PAYLOAD_BYTES <= end;
  return isWhole ? quote : NO_QUOTE;
}
