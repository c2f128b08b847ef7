/**
 * What `console.log` shows of a packet, a core and a port: one line, instead of all of their memory. The symbol is
 * Node's `util.inspect.custom`, which is in the global symbol registry.
 */
import type { MemoryViews } from '../drivers/memory/index.js';
import type { Layer } from './config.js';
import { formatIpv4, formatMac } from './wire/address.js';
import { ARP_BYTES, ARP_REQUEST, arpOperation, arpSenderIp, arpTargetIp, isArp } from './wire/arp.js';
import {
  ETH_DESTINATION,
  ETH_HEADER_BYTES,
  ETH_SOURCE,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ethType,
} from './wire/ethernet.js';
import {
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  IPV4_HEADER_BYTES,
  ipv4Destination,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  ipv4Version,
  isIpv4Fragment,
} from './wire/ipv4.js';

export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** How many bytes of a packet are shown. */
const SHOWN_BYTES = 16;
const PROTOCOLS: Readonly<Record<number, string>> = {
  [IP_PROTOCOL_ICMP]: 'ICMP',
  [IP_PROTOCOL_TCP]: 'TCP',
  [IP_PROTOCOL_UDP]: 'UDP',
};

/** What is shown of a packet. */
export interface ShownPacket {
  readonly handle: number;
  readonly offset: number;
  readonly length: number;
  readonly capacity: number;
  /** With those of the buffers that follow. */
  readonly totalLength: number;
}

/** What is shown of a core. */
export interface ShownCore {
  readonly index: number;
  readonly count: number;
  readonly address: number;
  readonly mac: Uint8Array;
  readonly layer: Layer;
  readonly mtu: number;
  readonly isAsleep: boolean;
}

/** `PacketBuffer 17: 98 bytes, the stack's: IPv4 10.0.0.1 > 10.0.0.2 ICMP; 45 00 00 62 …` */
export function packetText({ u8 }: MemoryViews, packet: ShownPacket, isIp: boolean, isStacks: boolean): string {
  const { handle, offset, capacity } = packet;
  const length = Math.max(0, Math.min(packet.length, capacity));
  const owner = isStacks ? `the stack's` : `not the stack's (released, sent or never taken)`;
  const more = packet.totalLength === packet.length ? '' : ` of ${packet.totalLength} in several buffers`;
  const head = `PacketBuffer ${handle}: ${packet.length} bytes${more}, ${owner}`;
  if (length === 0) return `${head}: empty, room for ${capacity} bytes`;
  const first = Array.from(u8.subarray(offset, offset + Math.min(length, SHOWN_BYTES)), hex).join(' ');
  const what = isIp ? ipText(u8, offset, length) : frameText(u8, offset, length);
  return `${head}: ${what}; ${first}${length > SHOWN_BYTES ? ' …' : ''}`;
}

/** `Core 0 of 2: 10.0.0.1 at 52:54:00:00:00:01, layer ip, MTU 1500, awake` */
export function coreText({ index, count, address, mac, layer, mtu, isAsleep }: ShownCore): string {
  const place = `${formatIpv4(address)} at ${formatMac(mac)}`;
  return `Core ${index} of ${count}: ${place}, layer ${layer}, MTU ${mtu}, ${isAsleep ? 'asleep' : 'awake'}`;
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0');

function frameText(u8: Uint8Array, frame: number, length: number): string {
  if (length < ETH_HEADER_BYTES) return 'shorter than an Ethernet header';
  const type = ethType(u8, frame);
  const macs = `${formatMac(u8, frame + ETH_SOURCE)} > ${formatMac(u8, frame + ETH_DESTINATION)}`;
  const at = frame + ETH_HEADER_BYTES;
  const left = length - ETH_HEADER_BYTES;
  if (type === ETHERTYPE_IPV4) return `${macs}, ${ipText(u8, at, left)}`;
  if (type === ETHERTYPE_ARP && left >= ARP_BYTES && isArp(u8, at, left)) return `${macs}, ${arpText(u8, at)}`;
  return `${macs}, EtherType 0x${type.toString(16).padStart(4, '0')}`;
}

function arpText(u8: Uint8Array, at: number): string {
  const kind = arpOperation(u8, at) === ARP_REQUEST ? 'request' : 'reply';
  return `ARP ${kind} ${formatIpv4(arpSenderIp(u8, at))} > ${formatIpv4(arpTargetIp(u8, at))}`;
}

function ipText(u8: Uint8Array, at: number, length: number): string {
  const version = ipv4Version(u8, at);
  if (version !== 4) return `IP version ${version}`;
  if (length < IPV4_HEADER_BYTES) return 'shorter than an IPv4 header';
  const protocol = ipv4Protocol(u8, at);
  const name = PROTOCOLS[protocol] ?? `protocol ${protocol}`;
  const addresses = [ipv4Source(u8, at), ipv4Destination(u8, at)].map(formatIpv4);
  if (isIpv4Fragment(u8, at)) return `IPv4 ${addresses.join(' > ')} ${name}, a fragment`;
  const ports = at + ipv4HeaderLength(u8, at);
  const hasPorts = (protocol === IP_PROTOCOL_UDP || protocol === IP_PROTOCOL_TCP) && ports + 4 <= at + length;
  if (!hasPorts) return `IPv4 ${addresses.join(' > ')} ${name}`;
  const shown = addresses.map((address, i) => `${address}:${(u8[ports + 2 * i] << 8) | u8[ports + 2 * i + 1]}`);
  return `${name} ${shown.join(' > ')}`;
}
