/**
 * The `vdev` of a PMDPort: a DPDK device string, `driver-name,key=value,...`.
 *
 * There are three drivers, each with both of DPDK's names: vhost (`eth_vhost0`, `net_vhost0`) makes a socket for a VM;
 * tap (`net_tap0`, `eth_tap0`) makes an interface of this machine's kernel; af_packet (`net_af_packet0`, `eth_af_packet0`)
 * uses an interface that there is, such as a network card.
 */
import { macOctets } from '../../drivers/mac-address.js';
import { OFFLOAD_CSUM, PORT_OFFLOADS } from '../../drivers/offloads.js';
import { BessError } from '../errors.js';
import { nearest } from '../nearest-name.js';

/** A vhost-user socket. */
export interface VhostVdev {
  readonly driver: 'vhost';
  /** The part of the name that makes it unique: `0` of `eth_vhost0`. */
  readonly unit: string;
  /** Path of the socket. */
  readonly iface: string;
  /** Queue pairs offered to the peer. */
  readonly queues: number;
  /** True: connect to a socket that the peer makes. False: make the socket, and wait for the peer. */
  readonly client: boolean;
  /** OFFLOAD_ bits (drivers/offloads.ts): which unfinished packets the peer may send and get. */
  readonly offloads: number;
  /** Lines for the user about options that are ignored. */
  readonly notes: readonly string[];
}

/** A tap interface. */
export interface TapVdev {
  readonly driver: 'tap';
  /** The part of the name that makes it unique: `0` of `net_tap0`. */
  readonly unit: string;
  /** Name of the interface. */
  readonly iface: string;
  /** The interface's MAC address, six octets; `fixed`: DPDK's fixed address; null: a random address from the kernel. */
  readonly mac: Uint8Array | 'fixed' | null;
  /** OFFLOAD_ bits (drivers/offloads.ts): which unfinished packets the kernel may send. */
  readonly offloads: number;
  readonly queues: 1;
  readonly notes: readonly string[];
}

/** An interface of the kernel, through a raw socket. */
export interface AfPacketVdev {
  readonly driver: 'af_packet';
  /** The part of the name that makes it unique: `0` of `net_af_packet0`. */
  readonly unit: string;
  /** Name of the interface. */
  readonly iface: string;
  /** Frames that are sent pass by the queueing discipline of the interface. */
  readonly bypass: boolean;
  /** OFFLOAD_ bits (drivers/offloads.ts): which unfinished packets the kernel gets. */
  readonly offloads: number;
  readonly queues: 1;
  readonly notes: readonly string[];
}

/** A parsed `vdev` string. */
export type Vdev = VhostVdev | TapVdev | AfPacketVdev;

/** The drivers, as messages list them. */
const VDEV_NAMES = 'eth_vhostN (or net_vhostN), net_tapN (or eth_tapN) and net_af_packetN (or eth_af_packetN)';

/** The longest interface name in bytes: IFNAMSIZ without the final zero. */
const MAX_INTERFACE_NAME = 15;
/** The most queue pairs of DPDK's vhost driver. */
const MAX_QUEUE_PAIRS = 128;

const VHOST_OPTIONS: readonly string[] = ['iface', 'queues', 'client', 'csum', 'tso'];
const TAP_OPTIONS: readonly string[] = ['iface', 'mac', 'csum', 'tso'];
const AF_PACKET_OPTIONS: readonly string[] = ['iface', 'qpairs', 'qdisc_bypass', 'csum', 'tso'];
/** Options of DPDK's af_packet driver that have no effect here: sizes of its rings. */
const RING_OPTIONS: readonly string[] = ['blocksz', 'framesz', 'framecnt'];
/** Octets of a MAC address may have one digit, as in DPDK. */
const MAC_FORM = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i;
/** Options of DPDK's vhost driver that have no effect here. */
const IGNORED = new Set(['dequeue-zero-copy', 'iommu-support', 'postcopy-support', 'linear-buffer', 'ext-buffer']);

function refuse(vdev: string, reason: string): BessError {
  return new BessError('ENODEV', `Cannot attach vdev ${vdev}: ${reason}`);
}

/**
 * Parses a device string. Throws ENODEV, as BESS does, with the reason if the string is wrong; EINVAL if it is empty.
 */
export function parseVdev(vdev: string): Vdev {
  if (vdev === '') throw new BessError('EINVAL', 'No vdev specified');
  const [name, ...pairs] = vdev.split(',');
  const match = /^(?:eth|net)_(vhost|tap|af_packet)([\w-]*)$/.exec(name);
  if (!match) {
    throw refuse(vdev, `no driver for '${name}'; this switch has ${VDEV_NAMES}`);
  }
  const options = new Map<string, string>();
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    if (equals <= 0) throw refuse(vdev, `'${pair}' is not key=value`);
    const key = pair.slice(0, equals);
    if (options.has(key)) throw refuse(vdev, `'${key}' is given twice`);
    options.set(key, pair.slice(equals + 1));
  }
  if (match[1] === 'vhost') return vhost(vdev, match[2], options);
  return match[1] === 'tap' ? tap(vdev, match[2], options) : afPacket(vdev, match[2], options);
}

function vhost(vdev: string, unit: string, options: Map<string, string>): VhostVdev {
  const iface = options.get('iface') ?? '';
  if (iface === '') throw refuse(vdev, "it needs the path of a socket: 'iface=/path/of/the.sock'");
  const queues = Number(options.get('queues') ?? '1');
  if (!(Number.isInteger(queues) && queues >= 1 && queues <= MAX_QUEUE_PAIRS)) {
    throw refuse(vdev, `queues=${options.get('queues')} is not a number from 1 to ${MAX_QUEUE_PAIRS}`);
  }
  const client = flag(vdev, 'client', options.get('client') ?? '0');
  const offloads = offloadsOf(vdev, options);
  const notes: string[] = [];
  for (const [key, value] of options) {
    if (VHOST_OPTIONS.includes(key)) continue;
    if (!IGNORED.has(key)) throw refuse(vdev, unknownOption(key, [...VHOST_OPTIONS, ...IGNORED]));
    if (flag(vdev, key, value)) notes.push(`vdev eth_vhost${unit}: '${key}=1' is ignored by this switch`);
  }
  return { driver: 'vhost', unit, iface, queues, client, offloads, notes };
}

function tap(vdev: string, unit: string, options: Map<string, string>): TapVdev {
  for (const key of options.keys()) {
    if (!TAP_OPTIONS.includes(key)) throw refuse(vdev, unknownOption(key, TAP_OPTIONS));
  }
  // The default name is DPDK's.
  const iface = interfaceName(vdev, options.get('iface') ?? `dtap${unit}`);
  const mac = macOf(vdev, options.get('mac'));
  return { driver: 'tap', unit, iface, mac, offloads: offloadsOf(vdev, options), queues: 1, notes: [] };
}

function afPacket(vdev: string, unit: string, options: Map<string, string>): AfPacketVdev {
  const name = options.get('iface') ?? '';
  if (name === '') throw refuse(vdev, "it needs the name of an interface that there is: 'iface=eth0'");
  const iface = interfaceName(vdev, name);
  const pairs = options.get('qpairs') ?? '1';
  if (pairs !== '1') throw refuse(vdev, `qpairs=${pairs}: this switch has one queue pair for an interface`);
  const notes: string[] = [];
  for (const [key, value] of options) {
    if (AF_PACKET_OPTIONS.includes(key)) continue;
    if (!RING_OPTIONS.includes(key)) throw refuse(vdev, unknownOption(key, [...AF_PACKET_OPTIONS, ...RING_OPTIONS]));
    if (!/^[1-9]\d{0,8}$/.test(value)) throw refuse(vdev, `${key}=${value} is not a number from 1 to 999999999`);
    notes.push(`vdev net_af_packet${unit}: '${key}=${value}' is ignored by this switch, whose rings have one size`);
  }
  const bypass = flag(vdev, 'qdisc_bypass', options.get('qdisc_bypass') ?? '0');
  return { driver: 'af_packet', unit, iface, bypass, offloads: offloadsOf(vdev, options), queues: 1, notes };
}

/** Returns a word that can be the name of an interface. */
function interfaceName(vdev: string, name: string): string {
  if (/^[^\s/]+$/.test(name) && Buffer.byteLength(name) <= MAX_INTERFACE_NAME) return name;
  const form = `1 to ${MAX_INTERFACE_NAME} bytes, no '/' or space`;
  throw refuse(vdev, `'${name}' is not the name of an interface (${form})`);
}

/** What the options `csum` and `tso` leave of a port's offloads. By default it has all of them; in DPDK, `tso` is 0. */
function offloadsOf(vdev: string, options: Map<string, string>): number {
  const csum = flag(vdev, 'csum', options.get('csum') ?? '1');
  const tso = flag(vdev, 'tso', options.get('tso') ?? (csum ? '1' : '0'));
  if (tso && !csum) throw refuse(vdev, 'tso=1 needs csum=1: each segment gets a checksum');
  if (!csum) return 0;
  return tso ? PORT_OFFLOADS : OFFLOAD_CSUM;
}

function macOf(vdev: string, value: string | undefined): Uint8Array | 'fixed' | null {
  if (value === undefined) return null;
  if (value.toLowerCase() === 'fixed') return 'fixed';
  const mac = macOctets(value, MAC_FORM);
  // The lowest bit of the first octet marks a group address. Zeros are not an address.
  if (mac !== null && (mac[0] & 1) === 0 && mac.some((octet) => octet !== 0)) return mac;
  throw refuse(vdev, `mac=${value}: it must be 'fixed' or the MAC address of one station, such as 52:54:00:00:00:09`);
}

function unknownOption(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  return `unknown option '${key}'${meant === undefined ? '' : `, perhaps '${meant}'`}; known are ${known.join(', ')}`;
}

/** Returns the value of an option that is 0 or 1. */
function flag(vdev: string, key: string, value: string): boolean {
  if (value === '0' || value === '1') return value === '1';
  throw refuse(vdev, `${key}=${value}: it must be 0 or 1`);
}
