/**
 * Where the fields lie that offloads read and change, and their values: Ethernet (IEEE 802.3, 802.1Q), IP (RFC 791, 8200),
 * TCP (RFC 9293), UDP (RFC 768). `src/wire` has them for stacks; the drivers lie below it.
 */
export const TYPE_IPV4 = 0x0800;
export const TYPE_IPV6 = 0x86dd;
export const TYPE_VLAN = 0x8100;
export const TYPE_QINQ = 0x88a8;
/** Bytes of a VLAN tag. */
export const VLAN_BYTES = 4;

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

export const UDP_HEADER_BYTES = 8;
export const PROTOCOL_UDP = 17;
