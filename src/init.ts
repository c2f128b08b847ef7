/** Bringing a port up and down: `init` opens the device, builds the core and announces the address. */

import { pinPollingThread } from '../drivers/libc/index.js';
import type { DeviceCounters, NetDevice } from '../drivers/net-device.js';
import { type ResolvedConfig, resolveConfig, type TspmdConfig } from './config.js';
import { openDevice } from './open-device.js';
import { SingleCore } from './single-core.js';
import type { WarningSink } from './warnings.js';

/** Opens the device of a configuration and brings it up; rejects with one clear line and leaves nothing behind then. */
export type OpenDevice = (config: ResolvedConfig) => Promise<NetDevice>;

export interface InitOptions {
  /** Instead of the drivers that come with tspmd: a device of your own. */
  readonly openDevice?: OpenDevice;
  /** Takes one-line warnings about the memory and the network. Default: to stderr, with `tspmd: ` in front. */
  readonly warn?: WarningSink;
}

/** Link state changes: `up` or `down`, and a line that tells why. */
export type LinkListener = (state: 'up' | 'down', reason: string) => void;

/** A device with the cores that work on it. */
export class Port {
  /** Called when the link or the backend goes or comes back. */
  onLink: LinkListener | null = null;
  private stopping: Promise<void> | null = null;

  /** For {@link init} alone. */
  constructor(
    readonly config: ResolvedConfig,
    readonly device: NetDevice,
    readonly cores: readonly SingleCore[],
  ) {
    device.onLink = (state, reason) => {
      if (this.stopping !== null) return;
      if (state === 'up') for (const core of this.cores) core.announce();
      this.onLink?.(state, reason);
    };
    device.onAnnounce = () => {
      if (this.stopping === null) for (const core of this.cores) core.announce();
    };
  }

  /**
   * One of the cores.
   * @throws RangeError when there is no such core.
   */
  core(index = 0): SingleCore {
    const core = this.cores[index];
    if (core === undefined) throw new RangeError(`core ${index}: this port has ${this.cores.length}`);
    return core;
  }

  /** All counters of the layer and the device, by name. */
  counters(): DeviceCounters {
    return this.core(0).counters();
  }

  /** Sends what is still to be sent, ends waits, resets the device and gives everything back. A second call waits too. */
  stop(): Promise<void> {
    if (this.stopping === null) {
      for (const core of this.cores) core.close();
      this.stopping = this.device.close().then(() => {
        // What found no room in the ring is lost now, and counted.
        for (const core of this.cores) core.flush();
      });
    }
    return this.stopping;
  }
}

/**
 * Sets up the device, its memory and rings, and the core. Called once by the application. The seed's `dpdk_init`.
 * With `cores` the calling thread is pinned, and stays so.
 *
 * @example
 * const port = await init({ device: 'vhost-user:/tmp/vm1.sock', ip: '10.0.0.1/24' });
 * const core = port.core(0);
 *
 * @throws ConfigError with one line a fault; or what the device's driver says, one line, with nothing left behind.
 */
export async function init(config: TspmdConfig, options: InitOptions = {}): Promise<Port> {
  const resolved = resolveConfig(config);
  // Before the memory is made: its pages come from where this thread runs.
  const [cpu] = resolved.cores;
  if (cpu !== undefined) await pinPollingThread(cpu);
  const device = await (options.openDevice ?? openDevice)(resolved);
  try {
    const warn = options.warn ?? ((line: string) => process.stderr.write(`tspmd: ${line}\n`));
    if (device.notice !== '') warn(device.notice);
    const core = new SingleCore(device, { ...resolved, warn });
    const port = new Port(resolved, device, [core]);
    core.announce();
    return port;
  } catch (error) {
    await device.close();
    throw error;
  }
}
