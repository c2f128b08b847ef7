/** Where the fields lie that segmentation reads and changes: Ethernet (IEEE 802.3, 802.1Q), IP (RFC 791, 8200), TCP (RFC 9293). */
import type { PacketBurst } from './packet-burst.js';

export const TYPE_IPV4 = 0x0800;
export const TYPE_IPV6 = 0x86dd;
const TYPE_VLAN = 0x8100;
const TYPE_QINQ = 0x88a8;
const ETHERNET_TYPE = 12;
const TAG_BYTES = 4;
const MAX_TAGS = 2;

export const IPV4_BYTES = 20;
export const IPV4_TOTAL_LENGTH = 2;
export const IPV4_ID = 4;
export const IPV4_FRAGMENT = 6;
export const IPV4_PROTOCOL = 9;
export const IPV4_CHECKSUM = 10;
export const IPV6_BYTES = 40;
export const IPV6_PAYLOAD_LENGTH = 4;
export const IPV6_NEXT_HEADER = 6;
export const PROTOCOL_TCP = 6;

export const TCP_HEADER_BYTES = 20;
export const TCP_SEQUENCE = 4;
/** The upper half of this byte is the length of the header in words. */
export const TCP_DATA_OFFSET = 12;
export const TCP_FLAGS = 13;
export const TCP_CHECKSUM = 16;
export const TCP_FIN = 0x01;
export const TCP_PSH = 0x08;
export const TCP_CWR = 0x80;

/** Where the EtherType of a packet lies, in bytes from its beginning: behind up to two VLAN tags. */
export function ethernetTypeAt(burst: PacketBurst, packet: number): number {
  let at = ETHERNET_TYPE;
  for (let tags = 0; tags < MAX_TAGS && at + TAG_BYTES + 2 <= burst.length[packet]; tags++) {
    const type = typeAt(burst, packet, at);
    if (type !== TYPE_VLAN && type !== TYPE_QINQ) break;
    at += TAG_BYTES;
  }
  return at;
}

/** The EtherType of a packet, behind up to two VLAN tags. */
export function ethernetType(burst: PacketBurst, packet: number): number {
  return typeAt(burst, packet, ethernetTypeAt(burst, packet));
}

function typeAt(burst: PacketBurst, packet: number, at: number): number {
  return (burst.byteAt(packet, at) << 8) | burst.byteAt(packet, at + 1);
}
