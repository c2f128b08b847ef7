/** The formats that a tunnel adds: VXLAN over UDP (RFC 7348), IPv4 (RFC 791), Ethernet. */

/** Bytes of the headers of UDP and VXLAN together. */
export const VXLAN_BYTES = 16;
/** The UDP port of VXLAN (RFC 7348, 5). */
export const VXLAN_PORT = 4789;
/** The flag I: the header has a VNI. */
export const VXLAN_HAS_VNI = 0x08;
/** The longest IPv4 packet. */
export const MAX_IPV4_BYTES = 65_535;

/** The fields of IPv4 that say which part of a packet it is: more fragments, and the offset. */
export const FRAGMENT_FIELDS = 0x3fff;

/** The two bytes of a number the other way round: in memory it is then in network order. */
export const swapped = (value: number): number => ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
