/** From the name of a device to its driver: the one place in src/ that knows which transports there are. */
import type { NetDevice } from '../drivers/net-device.js';
import { VhostUserFrontend } from '../drivers/transports/vhost-user/frontend.js';
import { VirtioNetDevice } from '../drivers/virtio/net-device.js';
import type { ResolvedConfig } from './config.js';

const VHOST_USER = 'vhost-user:';
const MAX_QUEUE_SIZE = 1024;

/** Opens `config.device` and brings it up. Rejects with one clear line; nothing is left behind then. */
export async function openDevice(config: ResolvedConfig): Promise<NetDevice> {
  if (!config.device.startsWith(VHOST_USER)) {
    throw new Error(
      `device ${config.device}: PCI devices cannot be driven by this version yet; use vhost-user:PATH, a socket of ` +
        "'tspmd switch', BESS, OVS-DPDK or DPDK",
    );
  }
  // A quarter of the buffers in each ring leaves half of them to the stack.
  let queueSize = MAX_QUEUE_SIZE;
  while (queueSize * 4 > config.buffers) queueSize /= 2;
  return VirtioNetDevice.open(new VhostUserFrontend(config.device.slice(VHOST_USER.length)), {
    mac: config.mac,
    mtu: config.mtu,
    buffers: config.buffers,
    queueSize,
    hugepages: config.hugepages,
  });
}
