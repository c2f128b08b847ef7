/** All targets by name. A target's code is loaded when it is asked for: what others need is not instrumented in vain. */
import type { FuzzTarget } from '../target.js';

const TARGETS: Readonly<Record<string, () => Promise<FuzzTarget>>> = {
  'split-driver-rx': async () => (await import('./driver-rx.js')).driverRx(false),
  'split-driver-tx': async () => (await import('./driver-tx.js')).driverTx(false),
  'split-device-tx': async () => (await import('./device-tx.js')).deviceTx(false),
  'split-device-rx': async () => (await import('./device-rx.js')).deviceRx(false),
  'packed-driver-rx': async () => (await import('./driver-rx.js')).driverRx(true),
  'packed-driver-tx': async () => (await import('./driver-tx.js')).driverTx(true),
  'packed-device-tx': async () => (await import('./device-tx.js')).deviceTx(true),
  'packed-device-rx': async () => (await import('./device-rx.js')).deviceRx(true),
  'split-driver-rx-offload': async () => (await import('./driver-rx.js')).driverRx(false, true),
  'packed-driver-rx-offload': async () => (await import('./driver-rx.js')).driverRx(true, true),
  'split-driver-tx-offload': async () => (await import('./driver-tx.js')).driverTx(false, true),
  'packed-driver-tx-offload': async () => (await import('./driver-tx.js')).driverTx(true, true),
  'layer-offload': async () => (await import('./layer-offload.js')).layerOffload,
  'switch-offload': async () => (await import('./switch-offload.js')).switchOffload,
  vxlan: async () => (await import('./vxlan.js')).vxlan,
  'vhost-user': async () => (await import('./vhost-user.js')).vhostUser,
  'vhost-user-replies': async () => (await import('./vhost-user-replies.js')).vhostUserReplies,
  'memory-table': async () => (await import('./memory-table.js')).memoryTable,
  'control-queue': async () => (await import('./control-queue.js')).controlQueue,
  'virtio-pci': async () => (await import('./virtio-pci.js')).virtioPci,
  frames: async () => (await import('./frames.js')).frames,
  neighbours: async () => (await import('./neighbours.js')).neighbours,
  'neighbour-policy': async () => (await import('./neighbour-policy.js')).neighbourPolicy,
  'http-requests': async () => (await import('./http.js')).httpRequests,
  'http-responses': async () => (await import('./http.js')).httpResponses,
  'ip-fragments': async () => (await import('./ip-fragments.js')).ipFragments,
  icmp: async () => (await import('./icmp.js')).icmp,
  'tcp-segments': async () => (await import('./tcp-segments.js')).tcpSegments,
  'tcp-options': async () => (await import('./tcp-options.js')).tcpOptions,
  dhcp: async () => (await import('./dhcp.js')).dhcp,
  dns: async () => (await import('./dns.js')).dns,
  control: async () => (await import('./control.js')).control,
  'bess-script': async () => (await import('./bess-script.js')).bessScript,
};

export const TARGET_NAMES = Object.keys(TARGETS);

/** Throws when there is no target of that name. */
export function loadTarget(name: string): Promise<FuzzTarget> {
  if (!Object.hasOwn(TARGETS, name)) {
    throw new Error(`no target '${name}'; there are: ${TARGET_NAMES.join(', ')}`);
  }
  return TARGETS[name]!();
}
