/** Checks the configuration before anything is opened. Reports all faults at once, one line each. */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { isPciAddress } from '../drivers/pci/address.js';
import { type Mode, type ResolvedConfig, TAP_DEVICE, type TspmdConfig, VHOST_USER_DEVICE } from './config.js';
import { ArgumentError, ConfigError } from './errors.js';
import { type HostAddress, hostFault } from './link/host.js';
import { type ResolvedRss, resolveRss } from './rss/keys.js';
import type { StackOptions } from './stack.js';
import { defaultBuffers, MAX_BUFFERS, MAX_CORE_BURST, MAX_CORES, planBuffers } from './threads/shared/buffer-plan.js';
import { formatIpv4, parseIpv4, parseIpv4Interface, parseStationMac, prefixMask } from './wire/address.js';

/** What `ip` is when a server names our address. */
const DHCP = 'dhcp';
/** RFC 791: every link carries packets of 68 bytes. */
const MIN_MTU = 68;
/** For jumbo frames. */
const MAX_MTU = 9000;
const MIN_BUFFERS = 256;
const DEFAULT_CORE_BURST = 32;

/** Kernel-bypass threads of each thread layout. */
const KERNEL_BYPASS_THREADS: Readonly<Record<Mode, number>> = { single: 0, '1kb': 1, '2kb': 2 };

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
  offloads: true,
  buffers: true,
  layer: true,
  acceptBroadcast: true,
  acceptMulticast: true,
};

/**
 * Checks a configuration and fills in the defaults.
 * @throws ConfigError with one line per fault.
 */
export function resolveConfig(config: TspmdConfig): ResolvedConfig {
  if (typeof config !== 'object' || config === null) {
    throw new ConfigError([`config: ${show(config)} is not an object { device, ip, … }`]);
  }
  const faults: string[] = [];
  const attempt = <T>(name: string, value: string, parse: (text: string) => T): T | undefined => {
    try {
      if (typeof value !== 'string') throw new ArgumentError(`${show(value)} is not a text`);
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
  if (typeof config.device !== 'string' || !isDevice(config.device)) {
    faults.push(
      `device: ${show(config.device)} is neither 'vhost-user:PATH' nor 'tap:NAME' nor a PCI address such as 0000:00:04.0`,
    );
  }
  const isDhcp = config.ip === DHCP;
  const own = isDhcp ? undefined : attempt('ip', config.ip, parseHost);
  const onLink = (address: number): boolean =>
    own === undefined || ((address ^ own.address) & prefixMask(own.prefixLength)) === 0;

  const mode = oneOf('mode', config.mode, ['single', '1kb', '2kb']);
  const tap = TAP_DEVICE.exec(String(config.device));
  if (tap !== null && mode !== 'single') faults.push(`device: a tap works only with mode 'single', found '${mode}'`);
  if (tap?.[2] !== undefined) {
    const host = attempt('device: host', tap[2], parseHost);
    if (host !== undefined && host.address === own?.address) faults.push(`device: host ${tap[2]} is our own address`);
  }
  const cores: readonly (number | undefined)[] = resolveCores(config.cores, mode, faults);
  const stackCores = stackCoresOf(mode, cores.length);
  const app = config.app === undefined ? undefined : resolveApp(config.app, faults);
  if (config.app === undefined && mode !== 'single') {
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
    if (address === own?.address) faults.push(`neighbours: ${ip} is our own address`);
    else if (!onLink(address)) faults.push(`neighbours: ${ip} is not on the link of ${config.ip}`);
    else neighbours.set(address, station);
  }

  if (isDhcp && config.gateway !== undefined) {
    faults.push(`gateway: with ip '${DHCP}' the server names the router; leave gateway out`);
  }
  const gateway = config.gateway === undefined ? undefined : attempt('gateway', config.gateway, parseIpv4);
  if (gateway !== undefined) {
    if (gateway === own?.address) faults.push(`gateway: ${config.gateway} is our own address`);
    else if (!onLink(gateway)) faults.push(`gateway: ${config.gateway} is not on the link of ${config.ip}`);
  }

  const resolved = {
    device: config.device,
    address: own?.address ?? 0,
    prefixLength: own?.prefixLength ?? 0,
    isDhcp,
    mac: config.mac === undefined ? undefined : attempt('mac', config.mac, parseStationMac),
    mtu: integer('mtu', config.mtu, MIN_MTU, MAX_MTU),
    mode,
    cores,
    stackCores,
    app,
    appOptions,
    rss: rss ?? resolveRss(),
    onCoreFailure: oneOf('onCoreFailure', config.onCoreFailure, ['redistribute', 'stop']),
    coreBurst: integer('coreBurst', config.coreBurst, 1, MAX_CORE_BURST) ?? DEFAULT_CORE_BURST,
    idle: oneOf('idle', config.idle, ['adaptive', 'spin']),
    neighbours,
    gateway,
    hugepages: oneOf('hugepages', config.hugepages, ['auto', 'require', 'never']),
    ring: oneOf('ring', config.ring, ['auto', 'split', 'packed']),
    offloads: oneOf('offloads', config.offloads, ['off', 'auto']),
    buffers,
    layer: oneOf('layer', config.layer, ['ip', 'ethernet']),
    acceptBroadcast: flag('acceptBroadcast', config.acceptBroadcast),
    acceptMulticast: flag('acceptMulticast', config.acceptMulticast),
  };
  if (faults.length > 0) throw new ConfigError(faults);
  return resolved;
}

function isDevice(device: string): boolean {
  return VHOST_USER_DEVICE.test(device) || TAP_DEVICE.test(device) || isPciAddress(device);
}

/** The name of a sample app, or the path of a file. */
function resolveApp(app: unknown, faults: string[]): string | undefined {
  const isUrl = typeof app === 'object' && app !== null && 'href' in app && typeof app.href === 'string';
  const text = isUrl ? (app.href as string) : app;
  if (typeof text !== 'string' || text === '') {
    faults.push(`app: ${show(app)} is not the name of an app or a file`);
    return undefined;
  }
  if (!isUrl && !text.startsWith('file:')) return text;
  try {
    return fileURLToPath(text);
  } catch (error) {
    faults.push(`app: ${text} names no file of this machine (${(error as Error).message})`);
    return undefined;
  }
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

/** Number of cores of the stack. @param cores how many CPUs are named; 0: as many cores as the machine has CPUs for */
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

/**
 * Checks an address that a port may change to.
 * @param ip with its prefix length: `10.0.0.1/24`
 * @throws ArgumentError when it is not the address of a host, or the gateway is not another host on its link
 */
export function resolveAddress(ip: string, gateway?: string): HostAddress {
  const own = parseHost(ip);
  if (gateway === undefined) return own;
  const router = parseIpv4(gateway);
  if (router === own.address) throw new ArgumentError(`gateway: ${gateway} is our own address`);
  if (((router ^ own.address) & prefixMask(own.prefixLength)) === 0) return { ...own, gateway: router };
  throw new ArgumentError(`gateway: ${gateway} is not on the link of ${ip}`);
}

/**
 * Parses an address that an interface can have: not that of a network, a broadcast, a multicast group or the loopback.
 */
function parseHost(text: string): { address: number; prefixLength: number } {
  const own = parseIpv4Interface(text);
  const fault = hostFault(own.address, own.prefixLength);
  if (fault !== '') throw new ArgumentError(`${formatIpv4(own.address)} in '${text}' is ${fault}, not a host's`);
  return own;
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : (JSON.stringify(value) ?? String(value));
}
