/** To which flow a frame belongs: protocol, source and destination. Frames are of any kind; everything is checked. */
import {
  IPV4_PROTOCOL,
  IPV6_BYTES,
  TYPE_IPV4,
  TYPE_IPV6,
  TYPE_QINQ,
  TYPE_VLAN,
} from '../../drivers/virtio/header-fields.js';
import { etherType, ipv4At, portsAt, protocolOf, read16, TYPE_ARP } from '../capture/filter/frame.js';

export interface FlowEnds {
  /** `tcp`, `udp`, `icmp`, `ip-50`, `arp`, or an EtherType: `0x88cc`. */
  readonly protocol: string;
  /** `10.0.0.2:40000`, without port where there is none; a MAC address where there is no IP. */
  readonly source: string;
  readonly destination: string;
}

const TAG_BYTES = 4;
const MAX_TAGS = 2;
const ETHER_BYTES = 14;
const IPV4_SOURCE = 12;
const IPV4_DESTINATION = 16;
const IPV6_SOURCE = 8;
const IPV6_DESTINATION = 24;
const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp6', 132: 'sctp' };

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

function mac(u8: Uint8Array, at: number): string {
  return Array.from(u8.subarray(at, at + 6), (byte) => hex(byte, 2)).join(':');
}

const ipv4 = (u8: Uint8Array, at: number): string => `${u8[at]}.${u8[at + 1]}.${u8[at + 2]}.${u8[at + 3]}`;

/** An IPv6 address, the longest run of zeros shortened (RFC 5952). */
function ipv6(u8: Uint8Array, at: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => read16(u8, at + 2 * i).toString(16)).join(':');
  let [begin, end] = [0, 0];
  for (const { 0: run, index } of groups.matchAll(/\b0(?::0)+\b/g)) {
    if (run.length > end - begin) [begin, end] = [index, index + run.length];
  }
  if (end === 0) return groups;
  const before = groups.slice(0, begin).replace(/:$/, '');
  const after = groups.slice(end).replace(/^:/, '');
  return `${before}::${after}`;
}

/** @param at where the frame begins in `u8` @param length its bytes from there on */
export function flowEnds(u8: Uint8Array, at: number, length: number): FlowEnds {
  let skip = 0;
  let type = etherType(u8, at, length, skip);
  while ((type === TYPE_VLAN || type === TYPE_QINQ) && skip < MAX_TAGS * TAG_BYTES) {
    skip += TAG_BYTES;
    type = etherType(u8, at, length, skip);
  }
  const number = protocolOf(u8, at, length, skip);
  const ip4 = type === TYPE_IPV4 ? ipv4At(u8, at, length, skip) : -1;
  const ip6 = type === TYPE_IPV6 && length >= ETHER_BYTES + skip + IPV6_BYTES ? at + ETHER_BYTES + skip : -1;
  if (ip4 < 0 && ip6 < 0) return linkEnds(u8, at, length, type);
  const ports = portsAt(u8, at, length, skip, -1);
  const hasPorts = ports >= 0;
  const end = (ipAt4: number, ipAt6: number, port: number): string => {
    const address = ip4 >= 0 ? ipv4(u8, ip4 + ipAt4) : ipv6(u8, ip6 + ipAt6);
    if (!hasPorts) return address;
    return ip4 >= 0 ? `${address}:${read16(u8, ports + port)}` : `[${address}]:${read16(u8, ports + port)}`;
  };
  return {
    protocol: PROTOCOLS[number] ?? `ip-${ip4 >= 0 ? u8[ip4 + IPV4_PROTOCOL] : number}`,
    source: end(IPV4_SOURCE, IPV6_SOURCE, 0),
    destination: end(IPV4_DESTINATION, IPV6_DESTINATION, 2),
  };
}

function linkEnds(u8: Uint8Array, at: number, length: number, type: number): FlowEnds {
  if (length < ETHER_BYTES) return { protocol: 'short', source: '', destination: '' };
  return {
    protocol: type === TYPE_ARP ? 'arp' : `0x${hex(Math.max(type, 0), 4)}`,
    source: mac(u8, at + 6),
    destination: mac(u8, at),
  };
}
