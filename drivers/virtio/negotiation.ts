/**
 * Device initialisation up to FEATURES_OK (virtio 1.2, 3.1.1, steps 1 to 6): the device status and the feature bits.
 */
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

/**
 * Accepts those of the offered features that this driver can use, and has the device confirm them.
 * @param longestPacket largest IP packet that fits into a receive buffer, in bytes
 * @returns the negotiated features
 * @throws Error when the device has no modern interface, lacks packed rings that were asked for, or refuses the choice
 */
export async function negotiateFeatures(
  transport: VirtioTransport,
  status: DeviceStatus,
  options: NetDeviceOptions,
  longestPacket: number,
): Promise<bigint> {
  const { name } = transport;
  const { ring, withoutFeatures: without = 0n } = options;
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
  // Buffers hold a whole frame, so there is nothing to merge. Without MRG_RXBUF the driver need not read the header,
  // which the device has just written: one cache line less to fetch per packet (5.1.6.4).
  if (options.mergeable) wanted |= f.VIRTIO_NET_F_MRG_RXBUF;
  if (ring === 'packed') wanted |= f.VIRTIO_F_RING_PACKED;
  // On packed rings, a device that works in order gives back a whole batch with one descriptor.
  if ((offered & wanted & ~without & f.VIRTIO_F_RING_PACKED) !== 0n) wanted |= f.VIRTIO_F_IN_ORDER;
  // 3.1.1 and 5.1.4: these three describe the configuration space, and are worthless if it cannot be read.
  if (transport.hasConfig) wanted |= f.VIRTIO_NET_F_MAC | f.VIRTIO_NET_F_STATUS | f.VIRTIO_NET_F_MTU;
  if (transport.hasControlQueue && (offered & ~without & f.VIRTIO_NET_F_CTRL_VQ) !== 0n) wanted |= CONTROL_FEATURES;
  // The device's request to announce is a bit of the status field.
  if ((wanted & offered & f.VIRTIO_NET_F_STATUS) === 0n) wanted &= ~f.VIRTIO_NET_F_GUEST_ANNOUNCE;
  let features = offered & wanted & ~without;
  // 2.8.8: with both, a frame in several buffers may be returned by its last buffer alone. Such frames are dropped in
  // any case, because one buffer holds a whole frame.
  if ((features & f.VIRTIO_F_IN_ORDER) !== 0n) features &= ~f.VIRTIO_NET_F_MRG_RXBUF;
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
