/**
 * What the user configures, checked before anything is opened. All faults are reported at once, one line each.
 */

import type { HugepagePolicy } from '../drivers/memory/index.js';
import { isPciAddress } from '../drivers/pci/address.js';
import {
  formatIpv4,
  isMulticastIpv4,
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
  /** `vhost-user:PATH` (a socket of BESS, OVS, DPDK or `tspmd switch`) or a PCI address such as `0000:00:04.0`. */
  device: string;
  /** Own address and prefix length: `10.0.0.1/24`. */
  ip: string;
  /** Own MAC address. Default: the device's; where it has none, one is chosen. */
  mac?: string;
  /** Longest IP packet in bytes, 68 to 9000. Default: the device's, 1500 where it says nothing. */
  mtu?: number;
  /** Default `single`. */
  mode?: Mode;
  /** CPUs to run on, one a core. Default: one core, not pinned. */
  cores?: readonly number[];
  /** Default `adaptive`. */
  idle?: IdlePolicy;
  /** Neighbours that are never asked for: IP address -> MAC address. Default none. */
  neighbours?: Readonly<Record<string, string>>;
  /** Where packets go whose destination is not on the link. Default: nowhere, they are dropped and counted. */
  gateway?: string;
  /** `auto` (default) falls back to normal pages and says so, `require` fails instead, `never` doesn't try. */
  hugepages?: HugepagePolicy;
  /** Packet buffers, 256 to 65536; 2 KiB each, or as much as the MTU needs. Default 4096. */
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
  readonly cores: readonly number[];
  readonly idle: IdlePolicy;
  readonly neighbours: ReadonlyMap<number, Uint8Array>;
  readonly gateway: number | undefined;
  readonly hugepages: HugepagePolicy;
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
const MAX_BUFFERS = 65536;
const DEFAULT_BUFFERS = 4096;

const VHOST_USER = /^vhost-user:.+/;

const KNOWN: Readonly<Record<keyof TspmdConfig, true>> = {
  device: true,
  ip: true,
  mac: true,
  mtu: true,
  mode: true,
  cores: true,
  idle: true,
  neighbours: true,
  gateway: true,
  hugepages: true,
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
  if (typeof config.device !== 'string' || !(VHOST_USER.test(config.device) || isPciAddress(config.device))) {
    faults.push(`device: ${show(config.device)} is neither 'vhost-user:PATH' nor a PCI address such as 0000:00:04.0`);
  }
  const own = attempt('ip', config.ip, parseHost);
  const onLink = (address: number): boolean =>
    own === undefined || ((address ^ own.address) & prefixMask(own.prefixLength)) === 0;

  const mode = oneOf('mode', config.mode, ['single', '1kb', '2kb']);
  if (mode !== 'single') faults.push(`mode: '${mode}' is not available yet; use 'single'`);
  const cores = resolveCores(config.cores, mode, faults);

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
    idle: oneOf('idle', config.idle, ['adaptive', 'spin']),
    neighbours,
    gateway,
    hugepages: oneOf('hugepages', config.hugepages, ['auto', 'require', 'never']),
    buffers: integer('buffers', config.buffers, MIN_BUFFERS, MAX_BUFFERS) ?? DEFAULT_BUFFERS,
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
  }
  return cores;
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
      : isMulticastIpv4(address)
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
