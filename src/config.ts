/**
 * What the user configures, checked before anything is opened. All faults are reported at once, one line each.
 */

import { availableParallelism } from 'node:os';
import type { HugepagePolicy } from '../drivers/memory/index.js';
import { isPciAddress } from '../drivers/pci/address.js';
import type { RingLayout } from '../drivers/virtio/net-options.js';
import { defaultBuffers, MAX_BUFFERS, MAX_CORE_BURST, MAX_CORES, planBuffers } from './multicore/plan.js';
import { type ResolvedRss, type RssOptions, resolveRss } from './rss/keys.js';
import type { StackOptions } from './stack.js';
import {
  formatIpv4,
  isIpv4Multicast,
  parseIpv4,
  parseIpv4Interface,
  parseStationMac,
  prefixMask,
} from './wire/address.js';

/** How packets get from the vNIC to the cores: by the core itself, by one kernel-bypass thread (1 KB), or by two. */
export type Mode = 'single' | '1kb' | '2kb';
/** What a loop does that finds nothing: sleep after some microseconds, or never. */
export type IdlePolicy = 'adaptive' | 'spin';
/** What a stack sees: IP packets that are for it, or every frame as it is. */
export type Layer = 'ip' | 'ethernet';

/** Configuration of {@link init}. */
export interface TspmdConfig {
  /**
   * `vhost-user:PATH` (a socket of BESS, OVS, DPDK or `tspmd switch`) or a PCI address such as `0000:00:04.0`. With
   * `vhost-user:PATH,server=1` it is the device that makes the socket and waits until the backend connects, as OVS's
   * dpdkvhostuserclient does.
   */
  device: string;
  /** Own address and prefix length: `10.0.0.1/24`. */
  ip: string;
  /** Own MAC address. Default: the device's; where it has none, one is chosen. */
  mac?: string;
  /** Longest IP packet in bytes, 68 to 9000. Default: the device's, 1500 where it says nothing. */
  mtu?: number;
  /** Default `single`. */
  mode?: Mode;
  /**
   * CPUs to run on. With mode `single` one. With `1kb` the last one receives and sends, with `2kb` the last one receives
   * and the last but one sends; the others run the stack, one core each. Default: not pinned; and as many cores as the
   * machine has CPUs for, at least one for the stack. A CPU that is not there is an error with `single`; with several threads it
   * is warned of, and its thread runs unpinned.
   */
  cores?: readonly number[];
  /** The stack: `echo`, `macswap`, `rxonly`, `txonly`, or the file of a module. Needed with `1kb` and `2kb`. */
  app?: string;
  /** Passed to the app. */
  appOptions?: StackOptions;
  /** How flows are spread over the cores. Default: by the Microsoft key, both directions of a flow to one core. */
  rss?: RssOptions;
  /** When a core's stack fails: its flows go to the others (`redistribute`, the default), or the port stops. */
  onCoreFailure?: 'redistribute' | 'stop';
  /** Packets that a core may send before the others have their turn, 1 to 256. Default 32. */
  coreBurst?: number;
  /** Default `adaptive`. */
  idle?: IdlePolicy;
  /** Neighbours that are never asked for: IP address -> MAC address. Default none. */
  neighbours?: Readonly<Record<string, string>>;
  /** Where packets go whose destination is not on the link. Default: nowhere, they are dropped and counted. */
  gateway?: string;
  /** `auto` (default) falls back to normal pages and says so, `require` fails instead, `never` doesn't try. */
  hugepages?: HugepagePolicy;
  /** Layout of the virtqueues: `auto` (default) leaves it to the driver; a device without packed rings refuses `packed`. */
  ring?: RingLayout;
  /**
   * Packet buffers, 256 to 65536; 2 KiB each, or as much as the MTU needs. Default 4096; with `1kb` and `2kb` 1024 a core of
   * the stack more from the third on.
   */
  buffers?: number;
  /** What the stack sees. Default `ip`. With `ethernet` there is no filter and no ARP. */
  layer?: Layer;
  /** Hand out packets to 255.255.255.255 and to the prefix's broadcast address. Default false: dropped and counted. */
  acceptBroadcast?: boolean;
  /** Hand out packets to 224.0.0.0/4. Default false: dropped and counted. */
  acceptMulticast?: boolean;
}

/** A {@link TspmdConfig} that was checked, with the defaults filled in. Addresses are unsigned numbers. */
export interface ResolvedConfig {
  readonly device: string;
  readonly address: number;
  readonly prefixLength: number;
  readonly mac: Uint8Array | undefined;
  readonly mtu: number | undefined;
  readonly mode: Mode;
  /** CPU of each thread; undefined where it is not pinned. */
  readonly cores: readonly (number | undefined)[];
  /** Cores that run the stack. */
  readonly stackCores: number;
  readonly app: string | undefined;
  readonly appOptions: StackOptions;
  readonly rss: ResolvedRss;
  readonly onCoreFailure: 'redistribute' | 'stop';
  readonly coreBurst: number;
  readonly idle: IdlePolicy;
  readonly neighbours: ReadonlyMap<number, Uint8Array>;
  readonly gateway: number | undefined;
  readonly hugepages: HugepagePolicy;
  readonly ring: RingLayout;
  readonly buffers: number;
  readonly layer: Layer;
  readonly acceptBroadcast: boolean;
  readonly acceptMulticast: boolean;
}

/** The configuration can't work. The message has one line a fault. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly faults: readonly string[]) {
    super(faults.join('\n'));
  }
}

/** RFC 791: every link carries packets of 68 bytes. */
const MIN_MTU = 68;
/** Jumbo frames. */
const MAX_MTU = 9000;
const MIN_BUFFERS = 256;
const DEFAULT_CORE_BURST = 32;

/** Threads beside those of the stack. */
const KERNEL_BYPASS_THREADS: Readonly<Record<Mode, number>> = { single: 0, '1kb': 1, '2kb': 2 };

/** Path of the socket; whether it is the device that makes it, as DPDK's virtio-user has that option. */
export const VHOST_USER_DEVICE = /^vhost-user:(?!,server=[01]$)(.+?)(?:,server=([01]))?$/;

const KNOWN: Readonly<Record<keyof TspmdConfig, true>> = {
  device: true,
  ip: true,
  mac: true,
  mtu: true,
  mode: true,
  cores: true,
  app: true,
  appOptions: true,
  rss: true,
  onCoreFailure: true,
  coreBurst: true,
  idle: true,
  neighbours: true,
  gateway: true,
  hugepages: true,
  ring: true,
  buffers: true,
  layer: true,
  acceptBroadcast: true,
  acceptMulticast: true,
};

/**
 * Checks a configuration and fills in the defaults.
 * @throws ConfigError with one line a fault.
 */
export function resolveConfig(config: TspmdConfig): ResolvedConfig {
  const faults: string[] = [];
  const attempt = <T>(name: string, value: string, parse: (text: string) => T): T | undefined => {
    try {
      if (typeof value !== 'string') throw new TypeError(`${show(value)} is not a text`);
      return parse(value);
    } catch (error) {
      faults.push(`${name}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const oneOf = <T extends string>(name: string, value: T | undefined, choices: readonly [T, ...T[]]): T => {
    if (value === undefined || choices.includes(value)) return value ?? choices[0];
    faults.push(`${name}: ${show(value)} is none of ${choices.join(', ')}`);
    return choices[0];
  };
  const flag = (name: string, value: boolean | undefined): boolean => {
    if (value !== undefined && typeof value !== 'boolean') faults.push(`${name}: ${show(value)} is not true or false`);
    return value === true;
  };
  const integer = (name: string, value: number | undefined, min: number, max: number): number | undefined => {
    if (value !== undefined && !(Number.isInteger(value) && value >= min && value <= max)) {
      faults.push(`${name}: ${show(value)} is not a whole number from ${min} to ${max}`);
    }
    return value;
  };

  for (const key of Object.keys(config)) {
    if (!Object.hasOwn(KNOWN, key)) faults.push(`${key}: unknown option (known are ${Object.keys(KNOWN).join(', ')})`);
  }
  if (typeof config.device !== 'string' || !(VHOST_USER_DEVICE.test(config.device) || isPciAddress(config.device))) {
    faults.push(`device: ${show(config.device)} is neither 'vhost-user:PATH' nor a PCI address such as 0000:00:04.0`);
  }
  const own = attempt('ip', config.ip, parseHost);
  const onLink = (address: number): boolean =>
    own === undefined || ((address ^ own.address) & prefixMask(own.prefixLength)) === 0;

  const mode = oneOf('mode', config.mode, ['single', '1kb', '2kb']);
  const cores: readonly (number | undefined)[] = resolveCores(config.cores, mode, faults);
  const stackCores = stackCoresOf(mode, cores.length);
  if (config.app !== undefined && (typeof config.app !== 'string' || config.app === '')) {
    faults.push(`app: ${show(config.app)} is not the name of an app or a file`);
  } else if (config.app === undefined && mode !== 'single') {
    faults.push(`app: mode '${mode}' runs the stack in threads of its own, and needs the name or file of one`);
  }
  const appOptions = resolveAppOptions(config.appOptions, mode, faults);
  const buffers = integer('buffers', config.buffers, MIN_BUFFERS, MAX_BUFFERS) ?? defaultBuffers(stackCores);
  if (mode !== 'single' && stackCores <= MAX_CORES && buffers >= MIN_BUFFERS && buffers <= MAX_BUFFERS) {
    try {
      planBuffers(stackCores, buffers);
    } catch (error) {
      faults.push(`buffers: ${(error as Error).message}`);
    }
  }
  let rss: ResolvedRss | undefined;
  try {
    rss = resolveRss(config.rss);
  } catch (error) {
    faults.push(`rss: ${(error as Error).message}`);
  }

  const neighbours = new Map<number, Uint8Array>();
  for (const [ip, mac] of Object.entries(config.neighbours ?? {})) {
    const address = attempt('neighbours', ip, parseIpv4);
    const station = attempt(`neighbours: ${ip}`, mac, parseStationMac);
    if (address === undefined || station === undefined) continue;
    if (address === own?.address) faults.push(`neighbours: ${ip} is the own address`);
    else if (!onLink(address)) faults.push(`neighbours: ${ip} is not on the link of ${config.ip}`);
    else neighbours.set(address, station);
  }

  const gateway = config.gateway === undefined ? undefined : attempt('gateway', config.gateway, parseIpv4);
  if (gateway !== undefined) {
    if (gateway === own?.address) faults.push(`gateway: ${config.gateway} is the own address`);
    else if (!onLink(gateway)) faults.push(`gateway: ${config.gateway} is not on the link of ${config.ip}`);
  }

  const resolved = {
    device: config.device,
    address: own?.address ?? 0,
    prefixLength: own?.prefixLength ?? 0,
    mac: config.mac === undefined ? undefined : attempt('mac', config.mac, parseStationMac),
    mtu: integer('mtu', config.mtu, MIN_MTU, MAX_MTU),
    mode,
    cores,
    stackCores,
    app: config.app,
    appOptions,
    rss: rss ?? resolveRss(),
    onCoreFailure: oneOf('onCoreFailure', config.onCoreFailure, ['redistribute', 'stop']),
    coreBurst: integer('coreBurst', config.coreBurst, 1, MAX_CORE_BURST) ?? DEFAULT_CORE_BURST,
    idle: oneOf('idle', config.idle, ['adaptive', 'spin']),
    neighbours,
    gateway,
    hugepages: oneOf('hugepages', config.hugepages, ['auto', 'require', 'never']),
    ring: oneOf('ring', config.ring, ['auto', 'split', 'packed']),
    buffers,
    layer: oneOf('layer', config.layer, ['ip', 'ethernet']),
    acceptBroadcast: flag('acceptBroadcast', config.acceptBroadcast),
    acceptMulticast: flag('acceptMulticast', config.acceptMulticast),
  };
  if (faults.length > 0) throw new ConfigError(faults);
  return resolved;
}

function resolveCores(cores: readonly number[] | undefined, mode: Mode, faults: string[]): readonly number[] {
  if (cores === undefined) return [];
  const sound = Array.isArray(cores) && cores.every((cpu) => Number.isInteger(cpu) && cpu >= 0);
  if (!sound || new Set(cores).size !== cores.length) {
    faults.push(`cores: ${show(cores)} is not a list of different CPU numbers`);
  } else if (mode === 'single' && cores.length > 1) {
    faults.push(`cores: mode 'single' runs on one core, found ${cores.length}`);
  } else if (cores.length > 0 && cores.length <= KERNEL_BYPASS_THREADS[mode]) {
    const needed = KERNEL_BYPASS_THREADS[mode] + 1;
    faults.push(
      `cores: mode '${mode}' needs ${needed} CPUs at least, one of them for the stack; found ${cores.length}`,
    );
  } else if (cores.length > KERNEL_BYPASS_THREADS[mode] + MAX_CORES) {
    faults.push(`cores: ${cores.length} CPUs, where ${MAX_CORES} at most can run the stack`);
  }
  return cores;
}

/** Cores for the stack, where `cores` CPUs are named; 0: none is, take what the machine has. */
function stackCoresOf(mode: Mode, cores: number): number {
  if (mode === 'single') return 1;
  const bypass = KERNEL_BYPASS_THREADS[mode];
  return cores === 0 ? Math.min(MAX_CORES, Math.max(1, availableParallelism() - bypass)) : Math.max(1, cores - bypass);
}

function resolveAppOptions(options: StackOptions | undefined, mode: Mode, faults: string[]): StackOptions {
  if (options === undefined) return {};
  if (typeof options !== 'object' || options === null) {
    faults.push(`appOptions: ${show(options)} is not an object`);
  } else if (mode !== 'single') {
    try {
      structuredClone(options);
    } catch (error) {
      faults.push(`appOptions: they go to other threads, and ${(error as Error).message.split('\n', 1)[0]}`);
    }
  }
  return options;
}

/** An address that an interface can have: not that of the network, a broadcast, a group, or this very host. */
function parseHost(text: string): { address: number; prefixLength: number } {
  const own = parseIpv4Interface(text);
  const { address, prefixLength } = own;
  const host = address & ~prefixMask(prefixLength);
  const first = address >>> 24;
  const reserved =
    first === 0 || first === 127 || first >= 240
      ? 'a reserved address'
      : isIpv4Multicast(address)
        ? 'a multicast group'
        : // RFC 3021: a /31 has two hosts and no network or broadcast address.
          prefixLength < 31 && host === 0
          ? `the network's own address`
          : prefixLength < 31 && (host | prefixMask(prefixLength)) === -1
            ? 'a broadcast address'
            : '';
  if (reserved !== '') throw new TypeError(`${formatIpv4(address)} in '${text}' is ${reserved}, not a host's`);
  return own;
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : (JSON.stringify(value) ?? String(value));
}
