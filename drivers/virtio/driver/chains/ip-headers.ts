/**
 * Where the headers of a frame end: a chain or a GSO packet must have all of them in its first buffer. Every byte may
 * be a lie, and may change at any time; nothing is read beyond the given length.
 */
import { ETHERNET_HEADER_BYTES } from '../../../../rings/buffer-pool.js';
import * as fields from '../../header-fields.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const ETHERNET_BYTES = ETHERNET_HEADER_BYTES;
const TYPE_IP4 = fields.TYPE_IPV4;
const TYPE_IP6 = fields.TYPE_IPV6;
const TYPE_VLAN = fields.TYPE_VLAN;
const VLAN_BYTES = fields.VLAN_BYTES;
const IP4_BYTES = fields.IPV4_BYTES;
const IP6_BYTES = fields.IPV6_BYTES;
/** Bytes of a TCP header without options. */
export const TCP_BYTES = fields.TCP_HEADER_BYTES;
const UDP_BYTES = fields.UDP_HEADER_BYTES;
const PROTOCOL_TCP = fields.PROTOCOL_TCP;
const PROTOCOL_UDP = fields.PROTOCOL_UDP;
/** IPv6 extension headers that may come before the transport header: hop-by-hop, routing, destination (RFC 8200, 4.1). */
const EXTENSIONS: readonly number[] = [0, 43, 60];
const EXTENSION_BYTES = 8;
/** Stands for "no transport header": a fragment that is not the first. No IP protocol has this number (IANA: reserved). */
const PROTOCOL_NONE = 255;

/** Where the checksum lies in a TCP header (RFC 9293, 3.1). */
export const TCP_CHECKSUM_OFFSET = fields.TCP_CHECKSUM;

/** The headers are cut off, or are not what the EtherType says. */
export const CUT_OFF = -1;
/** Not an IP packet. */
export const NOT_IP = 0;

const VERSION_SHIFT = 24;
const PROTOCOL_SHIFT = 16;
const START_MASK = 0xffff;
/** What {@link transportOf} returns for TCP over IPv4 or IPv6, beside where the TCP header begins. */
export const TCP_OVER_IP4 = (4 << VERSION_SHIFT) | (PROTOCOL_TCP << PROTOCOL_SHIFT);
export const TCP_OVER_IP6 = (6 << VERSION_SHIFT) | (PROTOCOL_TCP << PROTOCOL_SHIFT);

/**
 * Where the transport header of the frame at `frame` begins: bytes from the beginning of the frame, with the protocol
 * and the version of IP above them; {@link CUT_OFF} or {@link NOT_IP}. One VLAN tag may come before the IP header.
 * @param length bytes of the frame that are there: 14 or more
 */
export function transportOf(u8: Uint8Array, frame: number, length: number): number {
  let at = ETHERNET_BYTES;
  let type = (u8[frame + at - 2] << 8) | u8[frame + at - 1];
  if (type === TYPE_VLAN) {
    at += VLAN_BYTES;
    if (at > length) return CUT_OFF;
    type = (u8[frame + at - 2] << 8) | u8[frame + at - 1];
  }
  if (type === TYPE_IP4) {
    if (at + IP4_BYTES > length) return CUT_OFF;
    const first = u8[frame + at];
    const bytes = (first & 15) << 2;
    if (first >> 4 !== 4 || bytes < IP4_BYTES || at + bytes > length) return CUT_OFF;
    const isLaterFragment = (u8[frame + at + 6] & 0x1f) !== 0 || u8[frame + at + 7] !== 0;
    const protocol = isLaterFragment ? PROTOCOL_NONE : u8[frame + at + 9];
    return (at + bytes) | (protocol << PROTOCOL_SHIFT) | (4 << VERSION_SHIFT);
  }
  if (type !== TYPE_IP6) return NOT_IP;
  if (at + IP6_BYTES > length || u8[frame + at] >> 4 !== 6) return CUT_OFF;
  let protocol = u8[frame + at + 6];
  at += IP6_BYTES;
  while (protocol === EXTENSIONS[0] || protocol === EXTENSIONS[1] || protocol === EXTENSIONS[2]) {
    if (at + EXTENSION_BYTES > length) return CUT_OFF;
    protocol = u8[frame + at];
    at += (u8[frame + at + 1] + 1) << 3;
    if (at > length) return CUT_OFF;
  }
  return at | (protocol << PROTOCOL_SHIFT) | (6 << VERSION_SHIFT);
}

/** Where the TCP header that begins at `start` ends, in bytes from the beginning of the frame, or {@link CUT_OFF}. */
export function tcpHeaderEnd(u8: Uint8Array, frame: number, start: number, length: number): number {
  if (start + TCP_BYTES > length) return CUT_OFF;
  const bytes = (u8[frame + start + 12] >> 4) << 2;
  return bytes < TCP_BYTES || start + bytes > length ? CUT_OFF : start + bytes;
}

/** Whether all headers of the frame, as far as we know its protocols, lie in its first `length` bytes. */
export function hasHeaders(u8: Uint8Array, frame: number, length: number): boolean {
  if (length < ETHERNET_BYTES) return false;
  const transport = transportOf(u8, frame, length);
  if (transport <= NOT_IP) return transport === NOT_IP;
  const protocol = (transport >> PROTOCOL_SHIFT) & 0xff;
  const start = transport & START_MASK;
  if (protocol === PROTOCOL_TCP) return tcpHeaderEnd(u8, frame, start, length) !== CUT_OFF;
  return protocol !== PROTOCOL_UDP || start + UDP_BYTES <= length;
}
