/**
 * What to do with a received frame. It is hostile until it has passed: nothing is read that the checked length does not
 * cover, and each reason to drop is a counter of its own, so that the counters always add up to the frames received.
 *
 * The order is: length, who sent it, who it is for, what it carries, and then the IP header from front to back.
 */

import type { MemoryViews } from '../../drivers/memory/index.js';
import { L2 } from '../counters.js';
import { isIpv4Multicast } from '../wire/address.js';
import {
  ETH_HEADER_BYTES,
  ETH_SOURCE,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV4_WORD,
  ETHERTYPE_IPV6,
  ETHERTYPE_MIN,
  ETHERTYPE_QINQ,
  ETHERTYPE_VLAN,
  ethType,
  sameMac,
} from '../wire/ethernet.js';
import {
  IPV4_HEADER_BYTES,
  ipv4Destination,
  ipv4HeaderLength,
  ipv4Source,
  ipv4TotalLength,
  ipv4Version,
} from '../wire/ipv4.js';
import type { Host } from './host.js';

export interface FilterOptions {
  readonly acceptBroadcast: boolean;
  readonly acceptMulticast: boolean;
  /** Longest frame in bytes that a buffer holds. */
  readonly maxFrame: number;
}

// V8 folds a module's own constants, but loads an imported one from its cell, and checks it, at each use.
const HEADER_BYTES = ETH_HEADER_BYTES;
const IP_HEADER_BYTES = IPV4_HEADER_BYTES;
const IPV4_TYPE = ETHERTYPE_IPV4_WORD;
const SHORTEST = ETH_HEADER_BYTES + IPV4_HEADER_BYTES;
/** Version 4, a header of five words. */
const PLAIN_IPV4 = 0x45;
// RFC 1122, 3.2.1.3: first bytes of what is no station's address.
const LOOPBACK = 127;
const FIRST_GROUP = 224;

export class Filter {
  private readonly acceptBroadcast: boolean;
  private readonly acceptMulticast: boolean;
  private readonly maxFrame: number;

  constructor(
    private readonly memory: MemoryViews,
    private readonly host: Host,
    options: FilterOptions,
  ) {
    this.acceptBroadcast = options.acceptBroadcast;
    this.acceptMulticast = options.acceptMulticast;
    this.maxFrame = options.maxFrame;
    this.plainPacketBytes = this.makePlainPacketBytes();
  }

  /**
   * Bytes of the IP packet in the frame of `length` bytes at `frame` (2 mod 4), where it is what nearly all are: from one station
   * to our MAC and IP address, without IP options. 0 for every other, of which {@link classify} has to say what it is: it
   * would say `rx_delivered` of all for which this is not 0.
   */
  readonly plainPacketBytes: (frame: number, length: number) => number;

  /** A closure over words as they lie in memory: V8 knows whose they are, and a field is one load. */
  private makePlainPacketBytes(): (frame: number, length: number) => number {
    const own = addressWord(this.host.address);
    const broadcast = addressWord(this.host.subnetBroadcast);
    const { maxFrame } = this;
    return (frame, length) => {
      if (length < SHORTEST || length > maxFrame) return 0;
      const { u16, u32 } = this.memory;
      const { mac } = this.host;
      const at = frame >>> 1;
      if (u16[at] !== mac[0] || u16[at + 1] !== mac[1] || u16[at + 2] !== mac[2]) return 0;
      // From a group; or perhaps from ourselves: that a word is the same is not said to be all.
      if ((u16[at + 3] & 1) !== 0 || u16[at + 5] === mac[2] || u16[at + 6] !== IPV4_TYPE) return 0;
      const ip = (frame + HEADER_BYTES) >>> 2;
      const first = u32[ip] | 0;
      const bytes = ((first >>> 8) & 0xff00) | (first >>> 24);
      if ((first & 0xff) !== PLAIN_IPV4 || bytes < IP_HEADER_BYTES || bytes > length - HEADER_BYTES) return 0;
      const source = u32[ip + 3] | 0;
      const network = source & 0xff;
      if (network === 0 || network === LOOPBACK || network >= FIRST_GROUP) return 0;
      if (source === own || source === broadcast || (u32[ip + 4] | 0) !== own) return 0;
      return bytes;
    };
  }

  /**
   * Classifies the frame of `length` bytes at `frame` (even).
   * @returns the index of the one counter that this frame belongs to: `L2.rx_delivered` for an IP packet that is for us,
   * `L2.rx_arp` for ARP (not looked into yet), else the reason to drop it.
   */
  counterOf(frame: number, length: number): number {
    if (length < ETH_HEADER_BYTES) return L2.rx_drop_runt;
    if (length > this.maxFrame) return L2.rx_drop_too_long;
    const u8 = this.memory.u8;
    const u16 = this.memory.u16;
    const type = ethType(u8, frame);
    const toGroup = (u8[frame] & 1) !== 0;
    if (!toGroup && !sameMac(this.host.mac, 0, u16, frame >>> 1)) return L2.rx_drop_other_mac;
    if ((u8[frame + ETH_SOURCE] & 1) !== 0) return L2.rx_drop_source_mac;
    // ARP from our own address is no mere reflection if it speaks for another station: arp.ts looks into it.
    if (type === ETHERTYPE_ARP) return L2.rx_arp;
    if (sameMac(this.host.mac, 0, u16, (frame + ETH_SOURCE) >>> 1)) return L2.rx_drop_own_source;
    if (type !== ETHERTYPE_IPV4) return counterOfOther(type);
    return this.counterOfIpv4(frame + ETH_HEADER_BYTES, length - ETH_HEADER_BYTES, toGroup);
  }

  private counterOfIpv4(ip: number, room: number, toGroup: boolean): number {
    if (room < IPV4_HEADER_BYTES) return L2.rx_drop_ip_short;
    const u8 = this.memory.u8;
    if (ipv4Version(u8, ip) !== 4) return L2.rx_drop_ip_version;
    const headerLength = ipv4HeaderLength(u8, ip);
    const totalLength = ipv4TotalLength(u8, ip);
    if (headerLength < IPV4_HEADER_BYTES || headerLength > totalLength) return L2.rx_drop_ip_header_length;
    // The frame may be longer: Ethernet pads to 60 bytes.
    if (totalLength > room) return L2.rx_drop_ip_total_length;
    const destination = ipv4Destination(u8, ip);
    if (!this.host.isSource(ipv4Source(u8, ip))) return L2.rx_drop_bad_source;
    if (destination === this.host.address) {
      // RFC 1122, 3.3.6: a packet to one host in a frame to all is discarded, or a broadcast storm becomes possible.
      return toGroup ? L2.rx_drop_link_broadcast : L2.rx_delivered;
    }
    if (this.host.isBroadcast(destination)) return this.acceptBroadcast ? L2.rx_delivered : L2.rx_drop_broadcast;
    if (isIpv4Multicast(destination)) return this.acceptMulticast ? L2.rx_delivered : L2.rx_drop_multicast;
    return L2.rx_drop_other_ip;
  }
}

/** The signed word that lies in memory where the address is in a packet. */
function addressWord(value: number): number {
  return new Int32Array(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value).buffer)[0];
}

function counterOfOther(type: number): number {
  if (type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ) return L2.rx_drop_vlan;
  if (type === ETHERTYPE_IPV6) return L2.rx_drop_ipv6;
  return type < ETHERTYPE_MIN ? L2.rx_drop_llc : L2.rx_drop_ethertype;
}
