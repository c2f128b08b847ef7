/** Device initialisation up to FEATURES_OK (virtio 1.2, 3.1.1, steps 1 to 6): the device status and the feature bits. */
import * as f from './features.js';
import { NetConfigSpace } from './net-config.js';
import type { NetDeviceOptions } from './net-options.js';
import type { VirtioTransport } from './transport.js';

/** The device status as the driver writes it: bits are only ever added; a reset alone clears them (2.1.1). */
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

/** Commands, and what needs them; each only with CTRL_VQ (5.1.3.1). */
const CONTROL_FEATURES =
  f.VIRTIO_NET_F_CTRL_VQ | f.VIRTIO_NET_F_CTRL_RX | f.VIRTIO_NET_F_CTRL_MAC_ADDR | f.VIRTIO_NET_F_GUEST_ANNOUNCE;

/**
 * Accepts what the device offers of what this driver can use, and has the device confirm it.
 * @param longestPacket bytes of an IP packet that a receive buffer holds
 * @throws Error when the device has no modern interface, or refuses the choice.
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
        'only virtio 1.0 and later devices are driven here',
    );
  }
  if (ring === 'packed' && (offered & f.VIRTIO_F_RING_PACKED) === 0n) {
    throw new Error(
      `${name}: packed rings asked for, the device does not offer them (it offers ${f.featureNames(offered)})`,
    );
  }
  let wanted = f.VIRTIO_F_VERSION_1 | f.VIRTIO_F_EVENT_IDX | transport.transportFeatures;
  // A buffer holds a whole frame, so there is nothing to merge; and without it no packet's header need be looked at, which
  // the device has just written: one line less to fetch from its cache (5.1.6.4).
  if (options.mergeable) wanted |= f.VIRTIO_NET_F_MRG_RXBUF;
  if (ring === 'packed') wanted |= f.VIRTIO_F_RING_PACKED;
  // On packed rings a device that keeps the order gives a whole batch back by one descriptor.
  if ((offered & wanted & ~without & f.VIRTIO_F_RING_PACKED) !== 0n) wanted |= f.VIRTIO_F_IN_ORDER;
  // 3.1.1 and 5.1.4: these are statements about the configuration space; where it cannot be read they are worthless.
  if (transport.hasConfig) wanted |= f.VIRTIO_NET_F_MAC | f.VIRTIO_NET_F_STATUS | f.VIRTIO_NET_F_MTU;
  if (transport.hasControlQueue && (offered & ~without & f.VIRTIO_NET_F_CTRL_VQ) !== 0n) wanted |= CONTROL_FEATURES;
  // The request to announce is a bit of the status.
  if ((wanted & offered & f.VIRTIO_NET_F_STATUS) === 0n) wanted &= ~f.VIRTIO_NET_F_GUEST_ANNOUNCE;
  let features = offered & wanted & ~without;
  // 2.8.8: with both, a frame over several buffers may be given back by the last of them alone. Such frames are dropped here
  // anyway: buffers hold a whole one.
  if ((features & f.VIRTIO_F_IN_ORDER) !== 0n) features &= ~f.VIRTIO_NET_F_MRG_RXBUF;
  // 5.1.4.2: who accepts MTU must be able to receive packets of that size; 3.1.1 allows to look before.
  const { mtu } = await NetConfigSpace.read(transport, features & f.VIRTIO_NET_F_MTU);
  if (mtu !== null && mtu > longestPacket) features &= ~f.VIRTIO_NET_F_MTU;
  await transport.setDriverFeatures(features);
  await status.add(f.VIRTIO_STATUS_FEATURES_OK);
  // 2.2.2: the device may refuse the subset, and says so by not keeping the bit.
  if (((await transport.getStatus()) & f.VIRTIO_STATUS_FEATURES_OK) === 0) {
    throw new Error(`${name}: the device refuses the features ${f.featureNames(features)}`);
  }
  return features;
}
