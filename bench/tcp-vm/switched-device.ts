/**
 * The load's port of an embedded switch that the load's own thread polls: give {@link openSwitchedDevice} to `init`. With
 * a thread of its own, the switch would need a third CPU, besides those of the load and of the server.
 */
import { loadScript } from '../../bess/script/load.js';
import type { Switch } from '../../bess/switch.js';
import { Worker } from '../../bess/worker.js';
import type { NetDevice } from '../../drivers/net-device.js';
import type { ResolvedConfig, WaitOptions } from '../../src/config.js';
import { openDevice } from '../../src/open-device.js';

const SCRIPT = 'forward_script.bess';

/** Time in which the switch of this process moved packets, in ms. */
let busyMs = 0;

export const switchBusyMs = (): number => busyMs;

/**
 * Opens the device of a configuration with `device: 'vhost-user:PATH'`, the port of the load. The switch has a port for
 * the server at {@link serverSocket} of this path. It forwards while the device is polled.
 */
export async function openSwitchedDevice(config: ResolvedConfig, wait: WaitOptions): Promise<NetDevice> {
  const own = config.device.slice('vhost-user:'.length);
  const bess = await loadScript(SCRIPT, { VM1_SOCKET: own, VM2_SOCKET: serverSocket(own) });
  try {
    const device = await openDevice(config, wait);
    pollFirst(device, bess);
    return device;
  } catch (error) {
    await bess.stop();
    throw error;
  }
}

/** Path of the socket of the server's port, by that of the load. */
export const serverSocket = (path: string): string => `${path}.server`;

/** Lets the device poll the switch whenever it is polled itself, and stop it when it is closed. */
function pollFirst(device: NetDevice, bess: Switch): void {
  const worker = new Worker(bess.graph.tasks, 'spin', () => {});
  const rxBurst = device.rxBurst.bind(device);
  const close = device.close.bind(device);
  Object.assign(device, {
    rxBurst(max: number): number {
      const start = performance.now();
      if (worker.poll() > 0) busyMs += performance.now() - start;
      return rxBurst(max);
    },
    async close(): Promise<void> {
      await close();
      await bess.stop();
    },
  });
}
