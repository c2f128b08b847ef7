/** `init`: opens the device, makes the core or starts the threads, and announces our address. */
import { pinPollingThread } from '../drivers/libc/index.js';
import { LineWriter } from '../drivers/log/line-writer.js';
import { messageOf } from '../drivers/log/message-of.js';
import type { NetDevice } from '../drivers/net-device.js';
import type { StopSignal } from '../drivers/stop-signal.js';
import type { MulticoreConfig, ResolvedConfig, SingleConfig, TspmdConfig, WaitOptions } from './config.js';
import { allowedCpus, isListed, onlineCpus } from './cpus.js';
import { ConfigError } from './errors.js';
import { Acquisition } from './link/dhcp/acquire.js';
import type { AddressChange } from './link/dhcp/lease.js';
import { SingleCore } from './link/single-core.js';
import type { WarningSink } from './link/warnings.js';
import { loadApp } from './load-app.js';
import { openAnyDevice } from './open-device.js';
import type { MulticorePort, Port, SinglePort } from './port.js';
import { resolveConfig } from './resolve-config.js';
import { OneCorePort } from './single-port.js';
import { createStack, type StackModule } from './stack.js';
import { ThreadedPort } from './threads/threaded-port.js';

/** Opens the device of a configuration. When that fails, it rejects with one clear line and leaves nothing behind. */
export type OpenDevice = (config: ResolvedConfig, wait: WaitOptions) => Promise<NetDevice>;

/** What {@link init} takes beside the configuration. */
export interface InitOptions {
  /** Opens a device of your own, instead of the drivers of tspmd. Only with mode `single`. */
  readonly openDevice?: OpenDevice;
  /** The clock of ARP and sleeping: milliseconds, monotonic. Only with mode `single`. Default: performance.now. */
  readonly clock?: () => number;
  /**
   * Takes the warnings for which the `warning` event has no listener, one line each: all warnings before `init`
   * resolves, and later ones while there is no listener. Default: stderr, with `tspmd: ` in front.
   */
  readonly warn?: WarningSink;
  /**
   * Ends the wait for a backend (`vhost-user:PATH,server=1`) and for an address by DHCP: `init` then rejects. Has no
   * effect afterwards.
   */
  readonly signal?: StopSignal;
}

/**
 * Sets up the device, its memory and rings, and the cores. With mode `single` there is one core on the calling thread,
 * which is pinned if `cores` names a CPU, and stays pinned. With `1kb` and `2kb` each core is a thread that runs the
 * app. The seed's `dpdk_init`.
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
 * @returns a {@link SinglePort} with mode `single`, otherwise a {@link MulticorePort}; a {@link Port}, which is either,
 * when TypeScript does not know the mode. The caller has to stop it.
 * @throws (rejects, and leaves nothing behind) ConfigError with one line per fault; AppError when the app cannot be
 * loaded; DeviceError when the device cannot be opened; LeaseError when no DHCP server gives an address; AbortedError
 * when the signal ended a wait; CoreError or WorkerError when a thread cannot start.
 */
export function init(config: SingleConfig, options?: InitOptions): Promise<SinglePort>;
export function init(config: MulticoreConfig, options?: InitOptions): Promise<MulticorePort>;
export function init(config: TspmdConfig, options?: InitOptions): Promise<Port>;
export async function init(config: TspmdConfig, options: InitOptions = {}): Promise<Port> {
  const resolved = resolveConfig(config);
  const warn = options.warn ?? ((line: string) => LineWriter.of(process.stderr).line(`tspmd: ${line}`));
  // Also loaded here when other threads run it: an error in it is found before a device is opened.
  const module = resolved.app === undefined ? null : await loadApp(resolved.app);
  const layer = config.layer ?? module?.layer ?? resolved.layer;
  const offloads = config.offloads ?? module?.offloads ?? resolved.offloads;
  if (resolved.isDhcp && layer === 'ethernet') {
    throw new ConfigError([`ip: 'dhcp' does not work with an app that takes frames (layer 'ethernet')`]);
  }
  if (resolved.mode === 'single') return initSingle({ ...resolved, layer, offloads }, module, options, warn);
  if (options.openDevice !== undefined) {
    throw new ConfigError([`openDevice: a device of your own works only with mode 'single'`]);
  }
  if (options.clock !== undefined) {
    throw new ConfigError([`clock: a clock of your own works only with mode 'single'`]);
  }
  const cores = usableCpus(resolved.cores, warn);
  const app = { name: resolved.app ?? '', options: resolved.appOptions };
  return ThreadedPort.open({ ...resolved, layer, offloads, cores }, app, { warn, signal: options.signal });
}

async function initSingle(
  config: ResolvedConfig,
  module: StackModule | null,
  options: InitOptions,
  warn: WarningSink,
): Promise<SinglePort> {
  // Pinned before the memory is made, because its pages come from the NUMA node where this thread runs.
  const [cpu] = config.cores;
  if (cpu !== undefined) await pinTo(cpu);
  const device = await (options.openDevice ?? openAnyDevice)(config, { warn, signal: options.signal });
  try {
    if (device.notice !== '') warn(device.notice);
    let port: OneCorePort | null = null;
    const toPort = (line: string): void => (port === null ? warn(line) : port.warn(line));
    const { clock } = options;
    let last: AddressChange | null = null;
    const onAddress = (change: AddressChange): void => {
      last = change;
      port?.addressChanged(change);
    };
    const dhcp = config.isDhcp ? new Acquisition(config.device) : undefined;
    const core = new SingleCore(device, {
      ...config,
      warn: toPort,
      onAddress,
      dhcp,
      ...(clock === undefined ? {} : { clock }),
    });
    if (dhcp !== undefined) {
      const { mtu } = await dhcp.run(core, options.signal);
      if (mtu !== null) core.limitMtu(mtu);
    }
    const stack = module && createStack(config.app ?? '', module, core, config.appOptions);
    core.announce();
    port = new OneCorePort(config, device, core, stack, warn);
    if (last !== null) port.addressChanged(last);
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

/**
 * The CPU of each thread. Undefined, with a warning, for a CPU that this machine does not have: the port works without
 * it.
 */
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
