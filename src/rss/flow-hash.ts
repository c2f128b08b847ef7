/**
 * From a received frame to the hash of its flow, as Microsoft's specification chooses the input: addresses and ports of
 * TCP and UDP, addresses alone of any other IP packet and of every fragment, since only the first has the ports.
 *
 * Frames are hostile: nothing is read that the length does not cover. This is no filter, it only decides who gets the
 * packet; what is wrong in a way that leaves the addresses where they are is hashed by them.
 *
 * - TCP and UDP: addresses and ports.
 * - Addresses alone: any other IP packet; any fragment; a header length below 20; ports that the packet's own or the
 *   frame's length cuts off; in IPv6, an extension header that is not known or cut off, or more than eight of them.
 * - Nothing, {@link NO_HASH}: no IP; more than two VLAN tags; a version that is not the EtherType's; a fixed IP header
 *   that is cut off.
 */
import type { MemoryViews } from '../../drivers/memory/index.js';
import { readU16 } from '../wire/bytes.js';
import {
  ETH_HEADER_BYTES,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_QINQ,
  ETHERTYPE_VLAN,
  etherType,
} from '../wire/ethernet.js';
import {
  IPV4_DESTINATION,
  IPV4_HEADER_BYTES,
  IPV4_SOURCE,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4TotalLength,
  isFragment,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from '../wire/ipv4.js';
import {
  IPV6_DESTINATION,
  IPV6_EXTENSION_BYTES,
  IPV6_EXTENSION_LENGTH,
  IPV6_HEADER_BYTES,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
  isSkippable,
} from '../wire/ipv6.js';
import type { TupleHash } from './tuple-hash.js';

/** Of what has no flow. Entry 0 of the indirection table says who gets it. */
export const NO_HASH = 0;

/** IEEE 802.1Q: type, then priority and VLAN; the type of what follows lies where the frame's own would. */
const VLAN_TAG_BYTES = 4;
const MAX_VLAN_TAGS = 2;
/** RFC 8200, 4.1: each at most once, but for destination options twice. Twice that is generous. */
const MAX_EXTENSION_HEADERS = 8;
/** Source and destination port, at the same place in TCP and UDP. */
const PORTS_BYTES = 4;
const NO_PORTS = -1;

/** Whether the tuple of this protocol has ports. */
export function hasPorts(protocol: number): boolean {
  return protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP;
}

export class FlowHash {
  /** Addresses of an IPv6 packet that does not begin at a multiple of 4: source, destination. */
  private readonly unaligned = new Uint32Array(8);

  constructor(
    private readonly memory: MemoryViews,
    private readonly tuple: TupleHash,
  ) {}

  /** The hash of the Ethernet frame of `length` bytes at `frame`; signed 32 bits. */
  ofFrame(frame: number, length: number): number {
    if (length < ETH_HEADER_BYTES) return NO_HASH;
    const u8 = this.memory.u8;
    let type = etherType(u8, frame);
    let tags = 0;
    while ((type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ) && tags < MAX_VLAN_TAGS * VLAN_TAG_BYTES) {
      tags += VLAN_TAG_BYTES;
      if (length < ETH_HEADER_BYTES + tags) return NO_HASH;
      type = etherType(u8, frame + tags);
    }
    const header = ETH_HEADER_BYTES + tags;
    if (type !== ETHERTYPE_IPV4 && type !== ETHERTYPE_IPV6) return NO_HASH;
    if (length === header || u8[frame + header]! >>> 4 !== (type === ETHERTYPE_IPV4 ? 4 : 6)) return NO_HASH;
    return this.ofPacket(frame + header, length - header);
  }

  /** The hash of the IP packet of `length` bytes at `ip`; signed 32 bits. */
  ofPacket(ip: number, length: number): number {
    if (length < IPV4_HEADER_BYTES) return NO_HASH;
    const version = this.memory.u8[ip]! >>> 4;
    if (version === 4) return this.ofIpv4(ip, length);
    return version === 6 && length >= IPV6_HEADER_BYTES ? this.ofIpv6(ip, length) : NO_HASH;
  }

  private ofIpv4(ip: number, length: number): number {
    const u8 = this.memory.u8;
    const source = this.word(ip + IPV4_SOURCE);
    const destination = this.word(ip + IPV4_DESTINATION);
    const headerLength = ipv4HeaderLength(u8, ip);
    const transport = headerLength + PORTS_BYTES;
    if (
      !hasPorts(ipv4Protocol(u8, ip)) ||
      isFragment(u8, ip) ||
      headerLength < IPV4_HEADER_BYTES ||
      transport > length ||
      transport > ipv4TotalLength(u8, ip)
    ) {
      return this.tuple.ipv4(source, destination);
    }
    return this.tuple.ipv4Ports(source, destination, this.word(ip + headerLength));
  }

  private ofIpv6(ip: number, length: number): number {
    const ports = this.findPortsIpv6(ip, length);
    let words = this.memory.u32;
    let source = (ip + IPV6_SOURCE) >>> 2;
    let destination = (ip + IPV6_DESTINATION) >>> 2;
    if ((ip & 3) !== 0) {
      words = this.unaligned;
      for (let i = 0; i < words.length; i++) words[i] = this.word(ip + IPV6_SOURCE + (i << 2));
      source = 0;
      destination = words.length >>> 1;
    }
    if (ports === NO_PORTS) return this.tuple.ipv6(words, source, destination);
    return this.tuple.ipv6Ports(words, source, destination, this.word(ports));
  }

  /** Where the ports of an IPv6 packet lie, or {@link NO_PORTS}. */
  private findPortsIpv6(ip: number, length: number): number {
    const u8 = this.memory.u8;
    // A jumbogram (RFC 2675) has a length of 0 here: its ports are not looked for.
    const end = ip + Math.min(length, IPV6_HEADER_BYTES + readU16(u8, ip + IPV6_PAYLOAD_LENGTH));
    let next = u8[ip + IPV6_NEXT_HEADER]!;
    let at = ip + IPV6_HEADER_BYTES;
    for (let headers = 0; isSkippable(next); headers++) {
      if (headers === MAX_EXTENSION_HEADERS || at + IPV6_EXTENSION_BYTES > end) return NO_PORTS;
      next = u8[at]!;
      at += (u8[at + IPV6_EXTENSION_LENGTH]! + 1) * IPV6_EXTENSION_BYTES;
    }
    return hasPorts(next) && at + PORTS_BYTES <= end ? at : NO_PORTS;
  }

  /** The memory word of the four bytes at `at`. In our own buffers IP headers begin at a multiple of 4. */
  private word(at: number): number {
    if ((at & 3) === 0) return this.memory.u32[at >>> 2]! | 0;
    const u8 = this.memory.u8;
    return u8[at]! | (u8[at + 1]! << 8) | (u8[at + 2]! << 16) | (u8[at + 3]! << 24);
  }
}
