/**
 * What was negotiated about offloads, as the queues need it: a set of bits in a number. The bits OFFLOAD_CSUM to
 * OFFLOAD_ECN of `drivers/offloads.ts` say what the device does for packets to send; here are the others.
 */
import { OFFLOAD_CHAIN, OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../offloads.js';
import * as f from '../features.js';

/** A packet in several buffers may be described by a table of its own: one descriptor of the ring (2.7.5.3, 2.8.7). */
export const USE_INDIRECT = 1 << 8;
/** Received packets may have a partial checksum, or one that the device has checked. */
export const GUEST_CSUM = 1 << 9;
/** Received packets may be GSO packets of TCP over IPv4. */
export const GUEST_TSO4 = 1 << 10;
/** Received packets may be GSO packets of TCP over IPv6. */
export const GUEST_TSO6 = 1 << 11;
/** Received GSO packets may have CWR. */
export const GUEST_ECN = 1 << 12;

const BITS: readonly (readonly [bigint, number])[] = [
  [f.VIRTIO_NET_F_CSUM, OFFLOAD_CSUM],
  [f.VIRTIO_NET_F_HOST_TSO4, OFFLOAD_TSO4],
  [f.VIRTIO_NET_F_HOST_TSO6, OFFLOAD_TSO6],
  [f.VIRTIO_NET_F_HOST_ECN, OFFLOAD_ECN],
  [f.VIRTIO_F_INDIRECT_DESC, USE_INDIRECT],
  [f.VIRTIO_NET_F_GUEST_CSUM, GUEST_CSUM],
  [f.VIRTIO_NET_F_GUEST_TSO4, GUEST_TSO4],
  [f.VIRTIO_NET_F_GUEST_TSO6, GUEST_TSO6],
  [f.VIRTIO_NET_F_GUEST_ECN, GUEST_ECN],
];

/** The bits for these negotiated features. */
export function offloadBits(features: bigint): number {
  let bits = 0;
  for (const [feature, bit] of BITS) if ((features & feature) !== 0n) bits |= bit;
  return bits;
}

/** What a device that was opened with offloads does for packets to send: OFFLOAD_ bits. */
export function sendOffloads(features: bigint): number {
  const offered = OFFLOAD_CSUM | OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_ECN;
  return OFFLOAD_CHAIN | (offloadBits(features) & offered);
}
