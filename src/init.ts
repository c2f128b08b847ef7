/** Bringing a port up: `init` opens the device, builds the cores or starts their threads, and announces the address. */

import { pinPollingThread } from '../drivers/libc/index.js';
import { LineWriter } from '../drivers/log/line-writer.js';
import type { NetDevice } from '../drivers/net-device.js';
import type { StopSignal } from '../drivers/stop-signal.js';
import type { MulticoreConfig, ResolvedConfig, SingleConfig, TspmdConfig, WaitOptions } from './config.js';
import { allowedCpus, isListed, onlineCpus } from './cpus.js';
import { ConfigError, messageOf } from './errors.js';
import { SingleCore } from './link/single-core.js';
import type { WarningSink } from './link/warnings.js';
import { loadApp } from './load-app.js';
import { openDevice } from './open-device.js';
import type { MulticorePort, Port, SinglePort } from './port.js';
import { resolveConfig } from './resolve-config.js';
import { OneCorePort } from './single-port.js';
import { createStack, type StackModule } from './stack.js';
import { ThreadedPort } from './threads/threaded-port.js';

/** Opens the device of a configuration and brings it up; rejects with one clear line and leaves nothing behind then. */
export type OpenDevice = (config: ResolvedConfig, wait: WaitOptions) => Promise<NetDevice>;

/** What {@link init} takes beside the configuration. */
export interface InitOptions {
  /** Instead of the drivers that come with tspmd: a device of your own. With mode `single` alone. */
  readonly openDevice?: OpenDevice;
  /** The time in milliseconds that ARP and sleeping go by; monotonic. With mode `single` alone. Default: performance.now. */
  readonly clock?: () => number;
  /**
   * Takes the warnings that no listener of the port's `warning` event takes, one line each: all of those before `init`
   * resolves, and the later ones while there is no listener. Default: to stderr, with `tspmd: ` in front.
   */
  readonly warn?: WarningSink;
  /** Ends the wait for a backend (`vhost-user:PATH,server=1`): `init` then rejects. Once a backend is there it has no effect. */
  readonly signal?: StopSignal;
}

/**
 * Sets up the device, its memory and rings, and the cores. With mode `single` there is one core, on the calling thread,
 * which is pinned when `cores` says so, and stays so; otherwise each core is a thread, which runs the app. Called once by
 * the application. The seed's `dpdk_init`.
 *
 * @example
 * await using port = await init({ device: 'vhost-user:/tmp/vm1.sock', ip: '10.0.0.1/24' });
 * const core = port.core();
 *
 * @example The same stack on all cores:
 * const app = new URL('./my-stack.js', import.meta.url);
 * await using port = await init({ device: '0000:00:04.0', ip: '10.0.0.1/24', mode: '2kb', cores: [0, 1, 2, 3], app });
 * await port.run(signal);
 *
 * @returns by `mode`: a {@link SinglePort}, a {@link MulticorePort}, or, where TypeScript does not know the mode, a
 * {@link Port}, whose `mode` tells.
 * @throws (rejects, with nothing left behind) ConfigError with one line per fault; AppError when the app cannot be loaded;
 * DeviceError when the device cannot be opened; AbortedError when the signal ended the wait; CoreError or WorkerError when
 * a thread cannot start.
 */
export function init(config: SingleConfig, options?: InitOptions): Promise<SinglePort>;
export function init(config: MulticoreConfig, options?: InitOptions): Promise<MulticorePort>;
export function init(config: TspmdConfig, options?: InitOptions): Promise<Port>;
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
  if (options.clock !== undefined) {
    throw new ConfigError([`clock: a clock of one's own works with mode 'single' alone`]);
  }
  const cores = usableCpus(resolved.cores, warn);
  const app = { name: resolved.app ?? '', options: resolved.appOptions };
  return ThreadedPort.open({ ...resolved, layer, cores }, app, { warn, signal: options.signal });
}

async function initSingle(
  config: ResolvedConfig,
  module: StackModule | null,
  options: InitOptions,
  warn: WarningSink,
): Promise<SinglePort> {
  // Before the memory is made: its pages come from where this thread runs.
  const [cpu] = config.cores;
  if (cpu !== undefined) await pinTo(cpu);
  const device = await (options.openDevice ?? openDevice)(config, { warn, signal: options.signal });
  try {
    if (device.notice !== '') warn(device.notice);
    let port: OneCorePort | null = null;
    const toPort = (line: string): void => (port === null ? warn(line) : port.warn(line));
    const { clock } = options;
    const core = new SingleCore(device, { ...config, warn: toPort, ...(clock === undefined ? {} : { clock }) });
    const stack = module && createStack(config.app ?? '', module, core, config.appOptions);
    core.announce();
    port = new OneCorePort(config, device, core, stack, warn);
    return port;
  } catch (error) {
    await device.close();
    throw error;
  }
}

/** Pins the calling thread. */
async function pinTo(cpu: number): Promise<void> {
  const online = onlineCpus();
  if (!isListed(online, cpu)) throw new ConfigError([`cores: there is no CPU ${cpu}; this machine has CPUs ${online}`]);
  try {
    await pinPollingThread(cpu);
  } catch (cause) {
    const fault = `cores: ${messageOf(cause)} This machine has CPUs ${online}; this process runs on ${allowedCpus()}`;
    throw new ConfigError([fault], { cause });
  }
}

/** Each thread's CPU, or none where this machine does not have it: the port works all the same. */
function usableCpus(cores: readonly (number | undefined)[], warn: WarningSink): readonly (number | undefined)[] {
  const online = onlineCpus();
  const isThere = (cpu: number | undefined): boolean => cpu !== undefined && isListed(online, cpu);
  const missing = cores.filter((cpu) => cpu !== undefined && !isThere(cpu));
  if (missing.length > 0) {
    warn(
      `cores ${missing.join(', ')}: this machine has CPUs ${online} only; the threads for those it lacks run unpinned`,
    );
  }
  return cores.map((cpu) => (isThere(cpu) ? cpu : undefined));
}
