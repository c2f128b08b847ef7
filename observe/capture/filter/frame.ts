/** What a filter looks at in an Ethernet frame. Everything is checked against the length: frames are of any kind. */
import {
  IPV4_BYTES,
  IPV4_FRAGMENT,
  IPV4_PROTOCOL,
  IPV6_BYTES,
  IPV6_NEXT_HEADER,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TYPE_IPV4,
  TYPE_IPV6,
} from '../../../drivers/virtio/header-fields.js';

/** Whether a frame matches. @param at where the frame begins in `u8` @param length its bytes from there on */
export type Match = (u8: Uint8Array, at: number, length: number) => boolean;

export const TYPE_ARP = 0x0806;
export const PROTOCOL_SCTP = 132;
const ETHERTYPE_AT = 12;
const ETHER_BYTES = 14;
const ARP_BYTES = 28;
const IPV6_FRAGMENT = 44;

export const read16 = (u8: Uint8Array, at: number): number => (u8[at] << 8) | u8[at + 1];
export const read32 = (u8: Uint8Array, at: number): number =>
  ((u8[at] << 24) | (u8[at + 1] << 16) | (u8[at + 2] << 8) | u8[at + 3]) >>> 0;

/** The EtherType behind `skip` bytes of VLAN tags; -1 when the frame is too short. */
export function etherType(u8: Uint8Array, at: number, length: number, skip: number): number {
  return length < ETHER_BYTES + skip ? -1 : read16(u8, at + ETHERTYPE_AT + skip);
}

/** Where the IPv4 header begins; -1 when the frame has none, or not all of it. */
export function ipv4At(u8: Uint8Array, at: number, length: number, skip: number): number {
  if (etherType(u8, at, length, skip) !== TYPE_IPV4 || length < ETHER_BYTES + skip + IPV4_BYTES) return -1;
  return at + ETHER_BYTES + skip;
}

/** Where the ARP packet begins; -1 when the frame has none. */
export function arpAt(u8: Uint8Array, at: number, length: number, skip: number): number {
  if (etherType(u8, at, length, skip) !== TYPE_ARP || length < ETHER_BYTES + skip + ARP_BYTES) return -1;
  return at + ETHER_BYTES + skip;
}

/** Where the IPv6 header begins; -1 when the frame has none, or not all of it. */
export function ipv6At(u8: Uint8Array, at: number, length: number, skip: number): number {
  if (etherType(u8, at, length, skip) !== TYPE_IPV6 || length < ETHER_BYTES + skip + IPV6_BYTES) return -1;
  return at + ETHER_BYTES + skip;
}

/** The protocol of an IP packet, also of an IPv6 fragment; -1 when the frame has none. */
export function protocolOf(u8: Uint8Array, at: number, length: number, skip: number): number {
  const ip = ipv4At(u8, at, length, skip);
  if (ip >= 0) return u8[ip + IPV4_PROTOCOL];
  const ip6 = ipv6At(u8, at, length, skip);
  if (ip6 < 0) return -1;
  const next = u8[ip6 + IPV6_NEXT_HEADER];
  return next === IPV6_FRAGMENT && ip6 + IPV6_BYTES < at + length ? u8[ip6 + IPV6_BYTES] : next;
}

/** Where begins what an IPv4 packet carries; -1 in a later fragment, which has no header of it. */
export function ipv4PayloadAt(u8: Uint8Array, ip: number): number {
  return (read16(u8, ip + IPV4_FRAGMENT) & 0x1fff) === 0 ? ip + (u8[ip] & 0xf) * 4 : -1;
}

/**
 * Where the ports of a protocol are; -1 when there are none: only the first fragment of IPv4 has them.
 * @param wanted number of the protocol; -1: TCP, UDP and SCTP
 */
export function portsAt(u8: Uint8Array, at: number, length: number, skip: number, wanted: number): number {
  const ip = ipv4At(u8, at, length, skip);
  if (ip >= 0) {
    const transport = isPorted(u8[ip + IPV4_PROTOCOL], wanted) ? ipv4PayloadAt(u8, ip) : -1;
    return transport + 4 <= at + length ? transport : -1;
  }
  const ip6 = ipv6At(u8, at, length, skip);
  if (ip6 < 0 || !isPorted(u8[ip6 + IPV6_NEXT_HEADER], wanted)) return -1;
  const transport = ip6 + IPV6_BYTES;
  return transport + 4 <= at + length ? transport : -1;
}

const isPorted = (protocol: number, wanted: number): boolean =>
  wanted < 0
    ? protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP || protocol === PROTOCOL_SCTP
    : protocol === wanted;
