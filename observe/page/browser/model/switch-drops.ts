/** Why a switch drops packets: what its counters call the reasons, and what metrics, docs/observe.md and people do. */

/** By the name in the summary of its counters (`Drops` in bess/stats.ts). */
export const SWITCH_REASONS = {
  full: 'peer_full',
  noPeer: 'no_peer',
  interfaceDown: 'interface_down',
  unknownDestination: 'unknown_destination',
  deadend: 'unconnected_gate',
  sink: 'sink',
  tunnel: 'tunnel',
} as const;

/** Why a module of a tunnel drops packets, by the names of its counters, and in the words of captures. */
export const TUNNEL_REASONS = {
  truncated: 'it is shorter than its headers, or than they say',
  badIp: 'its outer header is not a sound one of IPv4',
  fragment: 'the outer packet is a fragment',
  badUdp: 'the outer packet is not of UDP, or has a wrong length',
  badFlags: 'its VXLAN header has no VNI',
  nested: 'the inner frame is one of VXLAN itself',
  tooLong: 'with its headers it is too long',
  badOffload: 'what its sender asks for does not fit the packet',
} as const;

export type TunnelReason = keyof typeof TUNNEL_REASONS;

/** What the device of a port, or the kernel for it, counts when it drops what a peer sent. */
export const RECEIVED_DROP = /^in_(bad|too|kernelDropped)/;
