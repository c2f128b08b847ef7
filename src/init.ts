/** Bringing a port up: `init` opens the device, builds the cores or starts their threads, and announces the address. */

import { cpus } from 'node:os';
import { pinPollingThread } from '../drivers/libc/index.js';
import { LineWriter } from '../drivers/log/line-writer.js';
import type { NetDevice } from '../drivers/net-device.js';
import { loadApp } from './apps/index.js';
import { ConfigError, type ResolvedConfig, resolveConfig, type TspmdConfig } from './config.js';
import { MultiPort } from './multicore/multi-port.js';
import { openDevice, type WaitOptions } from './open-device.js';
import { type Port, SinglePort } from './port.js';
import { SingleCore } from './single-core.js';
import { createStack, type StackModule } from './stack.js';
import type { WarningSink } from './warnings.js';

/** Opens the device of a configuration and brings it up; rejects with one clear line and leaves nothing behind then. */
export type OpenDevice = (config: ResolvedConfig, wait: WaitOptions) => Promise<NetDevice>;

export interface InitOptions {
  /** Instead of the drivers that come with tspmd: a device of your own. With mode `single` alone. */
  readonly openDevice?: OpenDevice;
  /** Takes one-line warnings about the memory and the network. Default: to stderr, with `tspmd: ` in front. */
  readonly warn?: WarningSink;
  /** Ends the wait for a backend (`vhost-user:PATH,server=1`): `init` then rejects. Once a backend is there it has no effect. */
  readonly signal?: AbortSignal;
}

/**
 * Sets up the device, its memory and rings, and the cores: with mode `single` one on the calling thread, which is pinned
 * when `cores` says so, and stays so; else a thread each, which run the app. Called once by the application. The seed's
 * `dpdk_init`.
 *
 * @example
 * const port = await init({ device: 'vhost-user:/tmp/vm1.sock', ip: '10.0.0.1/24' });
 * const core = port.core(0);
 *
 * @example The same stack on all cores:
 * const app = new URL('./my-stack.js', import.meta.url).pathname;
 * const port = await init({ device: '0000:00:04.0', ip: '10.0.0.1/24', mode: '2kb', cores: [0, 1, 2, 3], app });
 * await port.run(signal);
 *
 * @throws ConfigError with one line a fault; or what the device's driver says, one line, with nothing left behind.
 */
export async function init(config: TspmdConfig, options: InitOptions = {}): Promise<Port> {
  const resolved = resolveConfig(config);
  const warn = options.warn ?? ((line: string) => LineWriter.of(process.stderr).line(`tspmd: ${line}`));
  // Loaded here as well where threads run it: what is wrong with it is found before a device is opened.
  const module = resolved.app === undefined ? null : await loadApp(resolved.app);
  const layer = config.layer ?? module?.layer ?? resolved.layer;
  if (resolved.mode === 'single') return initSingle({ ...resolved, layer }, module, options, warn);
  if (options.openDevice !== undefined) {
    throw new ConfigError([`openDevice: a device of one's own works with mode 'single' alone`]);
  }
  const cores = usableCpus(resolved.cores, warn);
  const app = { name: resolved.app ?? '', options: resolved.appOptions };
  return MultiPort.open({ ...resolved, layer, cores }, app, { warn, signal: options.signal });
}

async function initSingle(
  config: ResolvedConfig,
  module: StackModule | null,
  options: InitOptions,
  warn: WarningSink,
): Promise<Port> {
  // Before the memory is made: its pages come from where this thread runs.
  const [cpu] = config.cores;
  if (cpu !== undefined) await pinPollingThread(cpu);
  const device = await (options.openDevice ?? openDevice)(config, { warn, signal: options.signal });
  try {
    if (device.notice !== '') warn(device.notice);
    const core = new SingleCore(device, { ...config, warn });
    const stack = module && createStack(config.app ?? '', module, core, config.appOptions);
    const port = new SinglePort(config, device, core, stack);
    core.announce();
    return port;
  } catch (error) {
    await device.close();
    throw error;
  }
}

/** Each thread's CPU, or none where this machine does not have it: the port works all the same. */
function usableCpus(cores: readonly (number | undefined)[], warn: WarningSink): readonly (number | undefined)[] {
  const count = cpus().length;
  const missing = cores.filter((cpu) => cpu !== undefined && cpu >= count);
  if (missing.length > 0) {
    warn(
      `cores ${missing.join(', ')}: this machine has CPUs 0 to ${count - 1} only; their threads run unpinned and share those`,
    );
  }
  return cores.map((cpu) => (cpu !== undefined && cpu < count ? cpu : undefined));
}
