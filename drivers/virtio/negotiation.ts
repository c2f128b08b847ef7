/**
 * Device initialisation up to FEATURES_OK (virtio 1.2, 3.1.1, steps 1 to 6): the device status and the feature bits.
 */
import { RECEIVE_OFFLOADS } from './control/guest-offloads.js';
import * as f from './features.js';
import { NetConfigSpace } from './net-config.js';
import type { NetDeviceOptions } from './net-options.js';
import type { VirtioTransport } from './transport.js';

/** The device status as the driver writes it. Bits are only added; only a reset clears them (2.1.1). */
export class DeviceStatus {
  private bits = 0;

  constructor(private readonly transport: VirtioTransport) {}

  async reset(): Promise<void> {
    await this.transport.reset();
    this.bits = 0;
  }

  async add(bit: number): Promise<void> {
    this.bits |= bit;
    await this.transport.setStatus(this.bits);
  }
}

/** The control queue and the features that need it (5.1.3.1). */
const CONTROL_FEATURES =
  f.VIRTIO_NET_F_CTRL_VQ | f.VIRTIO_NET_F_CTRL_RX | f.VIRTIO_NET_F_CTRL_MAC_ADDR | f.VIRTIO_NET_F_GUEST_ANNOUNCE;

/** What has fields in the configuration space (5.1.4). */
const CONFIG_FEATURES = f.VIRTIO_NET_F_MAC | f.VIRTIO_NET_F_STATUS | f.VIRTIO_NET_F_MTU | f.VIRTIO_NET_F_SPEED_DUPLEX;

const SEND_OFFLOADS =
  f.VIRTIO_NET_F_CSUM | f.VIRTIO_NET_F_HOST_TSO4 | f.VIRTIO_NET_F_HOST_TSO6 | f.VIRTIO_NET_F_HOST_ECN;

/** Packets in several buffers, in either direction. */
const CHAINS = f.VIRTIO_NET_F_MRG_RXBUF | f.VIRTIO_F_INDIRECT_DESC;

const GUEST_TSO = f.VIRTIO_NET_F_GUEST_TSO4 | f.VIRTIO_NET_F_GUEST_TSO6;
const HOST_TSO = f.VIRTIO_NET_F_HOST_TSO4 | f.VIRTIO_NET_F_HOST_TSO6;

/**
 * Features, and those of which each needs at least one (5.1.3.1). The first of a row may itself need something, so a row
 * comes after those of what it needs.
 */
const NEEDS: readonly (readonly [bigint, bigint])[] = [
  [CONTROL_FEATURES | f.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, f.VIRTIO_NET_F_CTRL_VQ],
  // The device's request to announce is a bit of the status field.
  [f.VIRTIO_NET_F_GUEST_ANNOUNCE, f.VIRTIO_NET_F_STATUS],
  [HOST_TSO, f.VIRTIO_NET_F_CSUM],
  [f.VIRTIO_NET_F_HOST_ECN, HOST_TSO],
  [GUEST_TSO, f.VIRTIO_NET_F_GUEST_CSUM],
  // 5.1.6.3.1: without it each buffer would have to hold 65562 bytes.
  [GUEST_TSO, f.VIRTIO_NET_F_MRG_RXBUF],
  [f.VIRTIO_NET_F_GUEST_ECN, GUEST_TSO],
  [f.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, f.VIRTIO_NET_F_GUEST_CSUM],
];

/** Leaves out the features that lack what they need. */
function withWhatTheyNeed(features: bigint): bigint {
  let kept = features;
  for (const [feature, needed] of NEEDS) if ((kept & needed) === 0n) kept &= ~feature;
  return kept;
}

/**
 * Accepts those of the offered features that this driver can use, and has the device confirm them.
 * @param longestPacket largest IP packet that fits into a receive buffer, in bytes
 * @param receivesOffloads false: what is received must be plain at first, and may change only if the device has a command
 *   for it (CTRL_GUEST_OFFLOADS)
 * @returns the negotiated features
 * @throws Error when the device has no modern interface, lacks packed rings that were asked for, or refuses the choice
 */
export async function negotiateFeatures(
  transport: VirtioTransport,
  status: DeviceStatus,
  options: NetDeviceOptions,
  longestPacket: number,
  receivesOffloads = true,
): Promise<bigint> {
  const { name } = transport;
  const { ring, offloads = 'off', withoutFeatures: without = 0n } = options;
  const offered = await transport.getDeviceFeatures();
  if ((offered & f.VIRTIO_F_VERSION_1) === 0n) {
    throw new Error(
      `${name}: the device does not offer VIRTIO_F_VERSION_1 (it offers ${f.featureNames(offered)}); ` +
        'this driver needs virtio 1.0 or later',
    );
  }
  if (ring === 'packed' && (offered & f.VIRTIO_F_RING_PACKED) === 0n) {
    throw new Error(
      `${name}: packed rings were asked for, but the device does not offer them (it offers ${f.featureNames(offered)})`,
    );
  }
  let wanted = f.VIRTIO_F_VERSION_1 | f.VIRTIO_F_EVENT_IDX | transport.transportFeatures;
  if (offloads === 'auto') {
    wanted |= RECEIVE_OFFLOADS | SEND_OFFLOADS | CHAINS;
    if (transport.hasControlQueue) wanted |= f.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
  }
  // Buffers hold a whole frame, so there is nothing to merge. Without MRG_RXBUF the driver need not read the header,
  // which the device has just written: one cache line less to fetch per packet (5.1.6.4).
  if (options.mergeable) wanted |= f.VIRTIO_NET_F_MRG_RXBUF;
  if (ring === 'packed') wanted |= f.VIRTIO_F_RING_PACKED;
  // On packed rings, a device that works in order gives back a whole batch with one descriptor.
  if ((offered & wanted & ~without & f.VIRTIO_F_RING_PACKED) !== 0n) wanted |= f.VIRTIO_F_IN_ORDER;
  // 3.1.1 and 5.1.4: these describe the configuration space, and are worthless if it cannot be read.
  if (transport.hasConfig) wanted |= CONFIG_FEATURES;
  if (transport.hasControlQueue) wanted |= CONTROL_FEATURES;
  let features = offered & wanted & ~without;
  // 2.8.8: with both, a frame in several buffers may be returned by its last buffer alone. Without offloads frames in
  // several buffers are dropped in any case, because one buffer holds a whole frame.
  const both = f.VIRTIO_F_IN_ORDER | f.VIRTIO_NET_F_MRG_RXBUF;
  if ((features & both) === both) features &= offloads === 'auto' ? ~f.VIRTIO_F_IN_ORDER : ~f.VIRTIO_NET_F_MRG_RXBUF;
  features = withWhatTheyNeed(features);
  if (!receivesOffloads && (features & f.VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) === 0n) features &= ~RECEIVE_OFFLOADS;
  // 5.1.4.2: a driver that accepts MTU must be able to receive packets of that size. 3.1.1 allows it to look
  // beforehand.
  const { mtu } = await NetConfigSpace.read(transport, features & f.VIRTIO_NET_F_MTU);
  if (mtu !== null && mtu > longestPacket) features &= ~f.VIRTIO_NET_F_MTU;
  await transport.setDriverFeatures(features);
  await status.add(f.VIRTIO_STATUS_FEATURES_OK);
  // 2.2.2: the device may refuse the subset. It says so by not keeping the bit.
  if (((await transport.getStatus()) & f.VIRTIO_STATUS_FEATURES_OK) === 0) {
    throw new Error(`${name}: the device refuses the features ${f.featureNames(features)}`);
  }
  return features;
}
