/** From the name of a device to its driver: the one place in src/ that knows which transports there are. */
import { pciAddress } from '../drivers/pci/address.js';
import { VhostUserFrontend } from '../drivers/transports/vhost-user/frontend.js';
import { VirtioPciTransport } from '../drivers/transports/virtio-pci/transport.js';
import { VfioFunction } from '../drivers/vfio/function.js';
import { type NetDeviceOptions, VirtioNetDevice } from '../drivers/virtio/net-device.js';
import type { VirtioTransport } from '../drivers/virtio/transport.js';
import { type ResolvedConfig, VHOST_USER_DEVICE } from './config.js';
import type { WarningSink } from './warnings.js';

/** Of a device that a backend has yet to connect to. */
export interface WaitOptions {
  /** Ends the wait: opening the device then fails. */
  readonly signal?: AbortSignal | undefined;
  /** Told when it begins. */
  readonly warn: WarningSink;
}

/** Opens `config.device` and brings it up. Rejects with one clear line; nothing is left behind then. */
export async function openDevice(
  config: ResolvedConfig,
  wait: WaitOptions,
  more: Partial<NetDeviceOptions> = {},
): Promise<VirtioNetDevice> {
  const seesAll = config.layer === 'ethernet';
  return VirtioNetDevice.open(transportFor(config.device, wait), {
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

function transportFor(device: string, { signal, warn }: WaitOptions): VirtioTransport {
  const [, path, server] = device.match(VHOST_USER_DEVICE) ?? [];
  if (path !== undefined) return new VhostUserFrontend(path, { server: server === '1', signal, onWait: warn });
  const address = pciAddress(device);
  return new VirtioPciTransport(address, () => VfioFunction.open(address));
}
