/** From the name of a device to its driver: the only place in src/ that knows the transports. */

import { messageOf } from '../drivers/log/message-of.js';
import type { NetDevice } from '../drivers/net-device.js';
import { pciAddress } from '../drivers/pci/address.js';
import { TapNetDevice } from '../drivers/transports/tap-net-device.js';
import { VhostUserFrontend } from '../drivers/transports/vhost-user/frontend.js';
import { VirtioPciTransport } from '../drivers/transports/virtio-pci/transport.js';
import { VfioFunction } from '../drivers/vfio/vfio-function.js';
import type { VirtioTransport } from '../drivers/virtio/transport.js';
import { type NetDeviceOptions, VirtioNetDevice } from '../drivers/virtio/virtio-net-device.js';
import { type ResolvedConfig, TAP_DEVICE, VHOST_USER_DEVICE, type WaitOptions } from './config.js';
import { AbortedError, DeviceError } from './errors.js';
import { parseIpv4Interface } from './wire/address.js';

/**
 * Opens the device of a port with mode `single`: a virtio device, or a tap interface. When that fails, nothing is left
 * behind.
 * @throws (rejects) as {@link openDevice}
 */
export async function openAnyDevice(config: ResolvedConfig, wait: WaitOptions): Promise<NetDevice> {
  const [, name, host] = config.device.match(TAP_DEVICE) ?? [];
  if (name === undefined) return openDevice(config, wait);
  const { mac, mtu, buffers, offloads } = config;
  try {
    return TapNetDevice.open(name, {
      ...{ mac, mtu, buffers, offloads, spin: config.idle === 'spin' },
      // No device reads the memory, so hugepages would gain next to nothing.
      hugepages: config.hugepages === 'auto' ? 'never' : config.hugepages,
      host: host === undefined ? undefined : parseIpv4Interface(host),
    });
  } catch (cause) {
    throw new DeviceError(messageOf(cause), { cause });
  }
}

/**
 * Opens the virtio device `config.device` and brings it up. When that fails, nothing is left behind.
 * @throws (rejects) DeviceError with one line, AbortedError when the signal ended the wait.
 */
export async function openDevice(
  config: ResolvedConfig,
  wait: WaitOptions,
  more: Partial<NetDeviceOptions> = {},
): Promise<VirtioNetDevice> {
  const seesAll = config.layer === 'ethernet';
  try {
    return await VirtioNetDevice.open(transportFor(config.device, wait), {
      mac: config.mac,
      mtu: config.mtu,
      buffers: config.buffers,
      hugepages: config.hugepages,
      ring: config.ring,
      offloads: config.offloads,
      promiscuous: seesAll,
      allMulticast: seesAll || config.acceptMulticast,
      ...more,
    });
  } catch (cause) {
    if (wait.signal?.aborted) throw new AbortedError(messageOf(cause), { cause });
    throw new DeviceError(messageOf(cause), { cause });
  }
}

function transportFor(device: string, { signal, warn }: WaitOptions): VirtioTransport {
  const [, path, server] = device.match(VHOST_USER_DEVICE) ?? [];
  if (path !== undefined) return new VhostUserFrontend(path, { server: server === '1', signal, onWait: warn });
  const address = pciAddress(device);
  return new VirtioPciTransport(address, () => VfioFunction.open(address));
}
