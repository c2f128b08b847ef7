/** What the backend offers a frontend, and what the negotiated bits mean for its rings. */
import { OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../offloads.js';
import { ANY_LENGTH } from '../../virtio/device/rx-queue.js';
import * as f from '../../virtio/features.js';
import { LEGACY_NET_HEADER_BYTES, NET_HEADER_BYTES } from '../../virtio/net-header.js';
import { FRAME_OVERHEAD } from '../../virtio/net-options.js';
import * as p from './protocol.js';
import type { RingFeatures } from './vring.js';

/** What is offered with any offloads. There is no config space (the frontend has its own). */
const FEATURES =
  f.VIRTIO_F_VERSION_1 |
  f.VIRTIO_NET_F_MRG_RXBUF |
  f.VIRTIO_NET_F_MTU |
  f.VIRTIO_F_EVENT_IDX |
  f.VIRTIO_F_INDIRECT_DESC |
  f.VIRTIO_F_RING_PACKED |
  f.VHOST_USER_F_PROTOCOL_FEATURES;

export const OFFERED_PROTOCOL_FEATURES =
  p.PROTOCOL_F_MQ | p.PROTOCOL_F_REPLY_ACK | p.PROTOCOL_F_MTU | p.PROTOCOL_F_RESET_DEVICE | p.PROTOCOL_F_STATUS;

/** Each offload: its bit of drivers/offloads.ts, the one that it depends on (5.1.3.1), and its features. */
const OFFLOADS: readonly (readonly [bit: number, needs: number, host: bigint, guest: bigint])[] = [
  [OFFLOAD_CSUM, 0, f.VIRTIO_NET_F_CSUM, f.VIRTIO_NET_F_GUEST_CSUM],
  [OFFLOAD_TSO4, OFFLOAD_CSUM, f.VIRTIO_NET_F_HOST_TSO4, f.VIRTIO_NET_F_GUEST_TSO4],
  [OFFLOAD_TSO6, OFFLOAD_CSUM, f.VIRTIO_NET_F_HOST_TSO6, f.VIRTIO_NET_F_GUEST_TSO6],
  [OFFLOAD_ECN, OFFLOAD_TSO4 | OFFLOAD_TSO6, f.VIRTIO_NET_F_HOST_ECN, f.VIRTIO_NET_F_GUEST_ECN],
];

/** @param offloads OFFLOAD_ bits: what is offered in both directions */
export function offeredFeatures(queuePairs: number, offloads: number): bigint {
  const offered = withNeeded(offloads);
  let features = FEATURES | (queuePairs > 1 ? f.VIRTIO_NET_F_MQ : 0n);
  for (const [bit, , host, guest] of OFFLOADS) if ((offered & bit) !== 0) features |= host | guest;
  return features;
}

/** OFFLOAD_ bits of the negotiated features of one end. */
function negotiated(features: bigint, end: 'host' | 'guest'): number {
  let offloads = 0;
  for (const [bit, , host, guest] of OFFLOADS) {
    if ((features & (end === 'host' ? host : guest)) !== 0n) offloads |= bit;
  }
  return withNeeded(offloads);
}

/** Leaves out each offload that depends on one that is missing. */
function withNeeded(offloads: number): number {
  let sound = 0;
  for (const [bit, needs] of OFFLOADS) {
    if ((offloads & bit) !== 0 && (needs === 0 || (sound & needs) !== 0)) sound |= bit;
  }
  return sound;
}

export function checkFeatures(features: bigint, offered: bigint): void {
  const unknown = features & ~offered;
  if (unknown !== 0n) throw new Error(`SET_FEATURES: ${f.featureNames(unknown)} not offered`);
}

/** Returns the features if all of them were offered. */
export function checkProtocolFeatures(features: bigint): bigint {
  const unknown = features & ~OFFERED_PROTOCOL_FEATURES;
  if (unknown !== 0n) throw new Error(`SET_PROTOCOL_FEATURES: 0x${unknown.toString(16)} not offered`);
  return features;
}

export function ringFeatures(features: bigint): RingFeatures {
  const mergeable = (features & f.VIRTIO_NET_F_MRG_RXBUF) !== 0n;
  const modern = (features & f.VIRTIO_F_VERSION_1) !== 0n;
  return {
    packed: (features & f.VIRTIO_F_RING_PACKED) !== 0n,
    mergeable,
    // 5.1.6.1: a legacy driver has num_buffers in its header only with MRG_RXBUF.
    headerBytes: modern || mergeable ? NET_HEADER_BYTES : LEGACY_NET_HEADER_BYTES,
    eventIdx: (features & f.VIRTIO_F_EVENT_IDX) !== 0n,
    indirect: (features & f.VIRTIO_F_INDIRECT_DESC) !== 0n,
    hostOffloads: negotiated(features, 'host'),
    guestOffloads: negotiated(features, 'guest'),
  };
}

/** 5.1.4.1: the values that an MTU may have. */
export function checkMtu(mtu: bigint): number {
  if (mtu < 68n || mtu > 65535n) throw new Error(`NET_SET_MTU: ${mtu}; possible are 68 to 65535`);
  return Number(mtu);
}

/** 5.1.4.1: with MTU, the longest frame for the driver is its MTU plus an Ethernet header with a VLAN tag. */
export function longestFrame(features: bigint, mtu: number): number {
  return (features & f.VIRTIO_NET_F_MTU) !== 0n && mtu > 0 ? mtu + FRAME_OVERHEAD : ANY_LENGTH;
}

/** The supported requests without file descriptors. */
export const SUPPORTED_REQUESTS: ReadonlySet<number> = new Set<number>([
  p.VhostUserRequest.GET_FEATURES,
  p.VhostUserRequest.SET_FEATURES,
  p.VhostUserRequest.SET_OWNER,
  p.VhostUserRequest.RESET_OWNER,
  p.VhostUserRequest.SET_VRING_NUM,
  p.VhostUserRequest.SET_VRING_ADDR,
  p.VhostUserRequest.SET_VRING_BASE,
  p.VhostUserRequest.GET_VRING_BASE,
  p.VhostUserRequest.GET_PROTOCOL_FEATURES,
  p.VhostUserRequest.SET_PROTOCOL_FEATURES,
  p.VhostUserRequest.GET_QUEUE_NUM,
  p.VhostUserRequest.SET_VRING_ENABLE,
  p.VhostUserRequest.NET_SET_MTU,
  p.VhostUserRequest.RESET_DEVICE,
  p.VhostUserRequest.SET_STATUS,
  p.VhostUserRequest.GET_STATUS,
]);
