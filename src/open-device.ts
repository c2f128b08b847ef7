/** From the name of a device to its driver: the one place in src/ that knows which transports there are. */
import { pciAddress } from '../drivers/pci/address.js';
import { VhostUserFrontend } from '../drivers/transports/vhost-user/frontend.js';
import { VirtioPciTransport } from '../drivers/transports/virtio-pci/transport.js';
import { VfioFunction } from '../drivers/vfio/function.js';
import { type NetDeviceOptions, VirtioNetDevice } from '../drivers/virtio/net-device.js';
import type { VirtioTransport } from '../drivers/virtio/transport.js';
import type { ResolvedConfig } from './config.js';

const VHOST_USER = 'vhost-user:';

/** Opens `config.device` and brings it up. Rejects with one clear line; nothing is left behind then. */
export async function openDevice(
  config: ResolvedConfig,
  more: Partial<NetDeviceOptions> = {},
): Promise<VirtioNetDevice> {
  const seesAll = config.layer === 'ethernet';
  return VirtioNetDevice.open(transportFor(config.device), {
    mac: config.mac,
    mtu: config.mtu,
    buffers: config.buffers,
    hugepages: config.hugepages,
    ring: config.ring,
    promiscuous: seesAll,
    allMulticast: seesAll || config.acceptMulticast,
    ...more,
  });
}

function transportFor(device: string): VirtioTransport {
  if (device.startsWith(VHOST_USER)) return new VhostUserFrontend(device.slice(VHOST_USER.length));
  const address = pciAddress(device);
  return new VirtioPciTransport(address, () => VfioFunction.open(address));
}
