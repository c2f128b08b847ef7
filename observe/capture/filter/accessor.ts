/**
 * Comparisons of bytes of a frame: `udp[12:4] & 0xffffff00 = 0x3e700`, as in pcap-filter(7). A frame that does not have the
 * protocol, or not the bytes, does not match. Of TCP, UDP, SCTP and ICMP only what lies in IPv4 has bytes here, and no later
 * fragment, as with tcpdump.
 */
import { IPV4_PROTOCOL } from '../../../drivers/virtio/header-fields.js';
import { arpAt, ipv4At, ipv4PayloadAt, ipv6At, type Match, read16, read32 } from './frame.js';
import { PROTOCOLS } from './primitives.js';

/** What stands for numbers in brackets and behind them (pcap-filter(7)). */
const NAMES: Readonly<Record<string, number>> = {
  ...{ icmptype: 0, icmpcode: 1, tcpflags: 13 },
  ...{ 'tcp-fin': 1, 'tcp-syn': 2, 'tcp-rst': 4, 'tcp-push': 8, 'tcp-ack': 16, 'tcp-urg': 32 },
  ...{ 'tcp-ece': 64, 'tcp-cwr': 128 },
  ...{ 'icmp-echoreply': 0, 'icmp-unreach': 3, 'icmp-echo': 8, 'icmp-timxceed': 11 },
};

/** The relations, as bits: less, equal, greater. */
const LESS = 1;
const EQUAL = 2;
const GREATER = 4;
export const RELATIONS: Readonly<Record<string, number>> = {
  ...{ '=': EQUAL, '==': EQUAL, '!=': LESS | GREATER },
  ...{ '<': LESS, '<=': LESS | EQUAL, '>': GREATER, '>=': GREATER | EQUAL },
};

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

/**
 * Makes the comparison.
 * @param relation one of {@link RELATIONS} @param skip bytes of VLAN tags before the protocol
 */
export function comparison(accessor: Accessor, mask: number, relation: number, wanted: number, skip: number): Match {
  const { protocol, offset, size } = accessor;
  // The number of a protocol over IPv4; below 0: another place.
  const number = PROTOCOLS[protocol] ?? PLACES[protocol];
  return (u8, at, length) => {
    const start = placeOf(u8, at, length, skip, number);
    if (start < 0 || start + offset + size > at + length) return false;
    const from = start + offset;
    const word = size === 4 ? read32(u8, from) : size === 2 ? read16(u8, from) : u8[from];
    const value = (word & mask) >>> 0;
    return (relation & (value === wanted ? EQUAL : value < wanted ? LESS : GREATER)) !== 0;
  };
}

const PLACES: Readonly<Record<string, number>> = { ether: -1, ip: -2, ip6: -3, arp: -4 };

/** Where the bytes of a protocol begin; -1 when a frame has none. */
function placeOf(u8: Uint8Array, at: number, length: number, skip: number, protocol: number): number {
  if (protocol === -1) return at;
  if (protocol === -3) return ipv6At(u8, at, length, skip);
  if (protocol === -4) return arpAt(u8, at, length, skip);
  const ip = ipv4At(u8, at, length, skip);
  if (ip < 0 || protocol === -2) return ip;
  return u8[ip + IPV4_PROTOCOL] === protocol ? ipv4PayloadAt(u8, ip) : -1;
}
