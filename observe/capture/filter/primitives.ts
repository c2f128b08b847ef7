/** The primitives of a filter: each makes a function that looks at one frame. As in pcap-filter(7). */
import {
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TYPE_IPV4,
  TYPE_IPV6,
  TYPE_QINQ,
  TYPE_VLAN,
} from '../../../drivers/virtio/header-fields.js';
import { both, either } from './combine.js';
import {
  arpAt,
  etherType,
  ipv4At,
  type Match,
  PROTOCOL_SCTP,
  portsAt,
  protocolOf,
  read16,
  read32,
  TYPE_ARP,
} from './frame.js';

/** Which end of a packet counts. */
export type Direction = 'src' | 'dst' | 'either' | 'both';

export const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: PROTOCOL_TCP,
  udp: PROTOCOL_UDP,
  sctp: PROTOCOL_SCTP,
};
const ETHERTYPES: Readonly<Record<string, number>> = {
  ip: TYPE_IPV4,
  arp: TYPE_ARP,
  ip6: TYPE_IPV6,
};
const VLAN_TYPES: readonly number[] = [TYPE_VLAN, TYPE_QINQ, 0x9100];
/** Where the addresses are in the IPv4 header, and in an ARP packet. */
const IP_SOURCE = 12;
const IP_DESTINATION = 16;
const ARP_SENDER = 14;
const ARP_TARGET = 24;

function joined(direction: Direction, source: Match, destination: Match): Match {
  if (direction === 'src') return source;
  if (direction === 'dst') return destination;
  return direction === 'both' ? both(source, destination) : either(source, destination);
}

/** `tcp`, `udp`, `icmp`, `sctp`, `ip`, `ip6`, `arp`; undefined for another word. */
export function protocol(word: string, skip: number): Match | undefined {
  const number = Object.hasOwn(PROTOCOLS, word) ? PROTOCOLS[word] : undefined;
  if (number !== undefined) return (u8, at, length) => protocolOf(u8, at, length, skip) === number;
  const type = Object.hasOwn(ETHERTYPES, word) ? ETHERTYPES[word] : undefined;
  return type === undefined ? undefined : (u8, at, length) => etherType(u8, at, length, skip) === type;
}

/**
 * `host` and `net`: an address of the IPv4 header, or of ARP.
 * @param within `ip` or `arp`: only there
 */
export function address(
  direction: Direction,
  wanted: number,
  mask: number,
  skip: number,
  within: 'ip' | 'arp' | null,
): Match {
  const value = (wanted & mask) >>> 0;
  const end =
    (inIp: number, inArp: number): Match =>
    (u8, at, length) => {
      const ip = within === 'arp' ? -1 : ipv4At(u8, at, length, skip);
      if (ip >= 0) return (read32(u8, ip + inIp) & mask) >>> 0 === value;
      const arp = within === 'ip' ? -1 : arpAt(u8, at, length, skip);
      return arp >= 0 && (read32(u8, arp + inArp) & mask) >>> 0 === value;
    };
  return joined(direction, end(IP_SOURCE, ARP_SENDER), end(IP_DESTINATION, ARP_TARGET));
}

/**
 * `port` and `portrange`.
 * @param within number of the protocol; -1: TCP, UDP and SCTP
 */
export function port(direction: Direction, from: number, to: number, skip: number, within: number): Match {
  const end =
    (offset: number): Match =>
    (u8, at, length) => {
      const ports = portsAt(u8, at, length, skip, within);
      if (ports < 0) return false;
      const value = read16(u8, ports + offset);
      return value >= from && value <= to;
    };
  return joined(direction, end(0), end(2));
}

/** `ether host`. @param mac six bytes */
export function station(direction: Direction, mac: Uint8Array): Match {
  const end =
    (offset: number): Match =>
    (u8, at, length) => {
      if (length < 12) return false;
      for (let i = 0; i < 6; i++) if (u8[at + offset + i] !== mac[i]) return false;
      return true;
    };
  return joined(direction, end(6), end(0));
}

/** `vlan`, `vlan ID`: a tag behind `skip` bytes of others. @param id -1: any */
export function vlan(id: number, skip: number): Match {
  return (u8, at, length) =>
    VLAN_TYPES.includes(etherType(u8, at, length, skip)) &&
    (id < 0 || (length >= 16 + skip && (read16(u8, at + 14 + skip) & 0xfff) === id));
}
