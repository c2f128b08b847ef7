/**
 * What a device does for its driver on the way out, as a set of bits: virtio's HOST features. A layer above does in
 * software what is missing.
 */

/** The device computes a checksum: CHECKSUM_PARTIAL of the packet table. */
export const OFFLOAD_CSUM = 1;
/** The device segments TCP over IPv4. With {@link OFFLOAD_CSUM}. */
export const OFFLOAD_TSO4 = 2;
/** The device segments TCP over IPv6. With {@link OFFLOAD_CSUM}. */
export const OFFLOAD_TSO6 = 4;
/** The device segments packets with CWR. With one of the two before. */
export const OFFLOAD_ECN = 8;
/** A packet may lie in several buffers. */
export const OFFLOAD_CHAIN = 16;

/** The longest frame of a GSO packet, in bytes: the longest IP packet, an Ethernet header and one VLAN tag. */
export const MAX_GSO_FRAME_BYTES = 65535 + 18;

/** All offloads that a port of a switch has: checksums, and segmentation of TCP over IPv4 and IPv6, with ECN. */
export const PORT_OFFLOADS = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_ECN;

/** `auto`: use what the device offers. `off`: none, and the shortest way for each packet. */
export type OffloadPolicy = 'auto' | 'off';

const NAMES: readonly (readonly [bit: number, name: string])[] = [
  [OFFLOAD_CSUM, 'csum'],
  [OFFLOAD_TSO4, 'tso4'],
  [OFFLOAD_TSO6, 'tso6'],
  [OFFLOAD_ECN, 'ecn'],
  [OFFLOAD_CHAIN, 'chain'],
];

/** The names of OFFLOAD_ bits, for people: `csum`, `tso4`, `tso6`, `ecn`, `chain`. */
export function offloadNames(offloads: number): string[] {
  return NAMES.filter(([bit]) => (offloads & bit) !== 0).map(([, name]) => name);
}
