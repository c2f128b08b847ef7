/**
 * Comparisons of bytes of a frame: `udp[12:4] & 0xffffff00 = 0x3e700`, as in pcap-filter(7). A frame that does not have the
 * protocol, or not the bytes, does not match. Of TCP, UDP, SCTP and ICMP only what lies in IPv4 has bytes here, and no later
 * fragment, as with tcpdump.
 */
import { IPV4_FRAGMENT, IPV4_PROTOCOL } from '../../../drivers/virtio/header-fields.js';
import { arpAt, ipv4At, ipv6At, type Match, read16, read32 } from './frame.js';
import { PROTOCOLS } from './primitives.js';

/** Where the bytes of a protocol begin; -1 when a frame has none. */
type Place = (u8: Uint8Array, at: number, length: number) => number;
/** The number of 1, 2 or 4 bytes. */
type Read = (u8: Uint8Array, at: number) => number;
export type Relation = (value: number, wanted: number) => boolean;

const FRAGMENT_OFFSET = 0x1fff;

/** What stands for numbers in brackets and behind them (pcap-filter(7)). */
const NAMES: Readonly<Record<string, number>> = {
  ...{ icmptype: 0, icmpcode: 1, tcpflags: 13 },
  ...{ 'tcp-fin': 1, 'tcp-syn': 2, 'tcp-rst': 4, 'tcp-push': 8, 'tcp-ack': 16, 'tcp-urg': 32 },
  ...{ 'tcp-ece': 64, 'tcp-cwr': 128 },
  ...{ 'icmp-echoreply': 0, 'icmp-unreach': 3, 'icmp-echo': 8, 'icmp-timxceed': 11 },
};

export const RELATIONS: Readonly<Record<string, Relation>> = {
  '=': (value, wanted) => value === wanted,
  '==': (value, wanted) => value === wanted,
  '!=': (value, wanted) => value !== wanted,
  '<': (value, wanted) => value < wanted,
  '<=': (value, wanted) => value <= wanted,
  '>': (value, wanted) => value > wanted,
  '>=': (value, wanted) => value >= wanted,
};

const READS: Readonly<Record<number, Read>> = { 1: (u8, at) => u8[at], 2: read16, 4: read32 };

/** Which bytes of a frame are compared. */
export interface Accessor {
  readonly protocol: string;
  readonly offset: number;
  readonly size: number;
}

/** Returns a number of the language: decimal, hexadecimal, or a name; -1 when it is none, or has more than 32 bits. */
export function numberOf(text: string): number {
  if (Object.hasOwn(NAMES, text)) return NAMES[text];
  const value = /^(?:0|[1-9]\d*|0x[\da-f]+)$/i.test(text) ? Number(text) : -1;
  return value <= 0xffff_ffff ? value : -1;
}

/** Reads `[12:4]`, `[12]` or `[tcpflags]`; null when it is nothing of this. */
export function accessorOf(protocol: string, brackets: string): Accessor | null {
  const [, start = '', size = '1'] = /^\[\s*([\w-]+)\s*(?::\s*([124])\s*)?\]$/.exec(brackets) ?? [];
  const offset = numberOf(start);
  return offset < 0 || offset > 65_535 ? null : { protocol, offset, size: Number(size) };
}

/** Makes the comparison. @param skip bytes of VLAN tags before the protocol */
export function comparison(accessor: Accessor, mask: number, relation: Relation, wanted: number, skip: number): Match {
  const { protocol, offset, size } = accessor;
  const place = placeOf(protocol, skip);
  const read = READS[size];
  return (u8, at, length) => {
    const start = place(u8, at, length);
    if (start < 0 || start + offset + size > at + length) return false;
    return relation((read(u8, start + offset) & mask) >>> 0, wanted);
  };
}

function placeOf(protocol: string, skip: number): Place {
  if (protocol === 'ether') return (_, at) => at;
  if (protocol === 'ip') return (u8, at, length) => ipv4At(u8, at, length, skip);
  if (protocol === 'ip6') return (u8, at, length) => ipv6At(u8, at, length, skip);
  if (protocol === 'arp') return (u8, at, length) => arpAt(u8, at, length, skip);
  const number = PROTOCOLS[protocol];
  return (u8, at, length) => {
    const ip = ipv4At(u8, at, length, skip);
    if (ip < 0 || u8[ip + IPV4_PROTOCOL] !== number || (read16(u8, ip + IPV4_FRAGMENT) & FRAGMENT_OFFSET) !== 0)
      return -1;
    return ip + (u8[ip] & 15) * 4;
  };
}
