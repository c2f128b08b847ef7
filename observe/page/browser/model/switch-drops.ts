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

/** What the device of a port, or the kernel for it, counts when it drops what a peer sent. */
export const RECEIVED_DROP = /^in_(bad|too|kernelDropped)/;
