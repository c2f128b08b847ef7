/** The kinds of traffic of `steady-tcp.worker.ts`, and what it reports. */

import { OFFLOAD_CHAIN, OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4 } from '../../../../drivers/offloads.js';

const ALL = OFFLOAD_CHAIN | OFFLOAD_CSUM | OFFLOAD_ECN | OFFLOAD_TSO4;

export interface SteadyTcp {
  /** Packets that were sent, by both stacks: segments, or GSO packets. */
  segments: number;
  /** GSO packets that both stacks have received. */
  gso: number;
  /** Bytes that the echo has brought back. */
  bytes: number;
  /** Segments that were sent again. */
  resent: number;
  scavenges: number;
  /** Bytes that were allocated, if nothing was collected meanwhile. */
  allocated: number;
  /** Bytes of heap in use after a full collection, before and after. */
  heapBefore: number;
  heapAfter: number;
}

/** Kinds of traffic: connections, bytes that each has under way, and one in how many rounds a frame is lost. */
export const TRAFFIC = {
  bulk: { connections: 4, size: 40_000, lose: 0, offloads: 0 },
  small: { connections: 16, size: 40, lose: 0, offloads: 0 },
  lossy: { connections: 4, size: 40_000, lose: 20, offloads: 0 },
  chains: { connections: 4, size: 6_000, lose: 0, offloads: ALL },
  'lossy-chains': { connections: 8, size: 6_000, lose: 1000, offloads: ALL },
} as const;
export type Traffic = keyof typeof TRAFFIC;
export const TRAFFIC_KINDS = Object.keys(TRAFFIC) as Traffic[];
