/**
 * Decides what happens to a received frame. A frame is hostile until it has passed: nothing is read beyond the checked
 * length. Each reason to drop a frame has a counter of its own, so the counters always add up to the received frames.
 *
 * The checks come in this order: length, source, destination, EtherType, and then the IP header from front to back.
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
import { ADDRESS_AS_SENT, BROADCAST_AS_SENT, type Host } from './host.js';

export interface FilterOptions {
  readonly acceptBroadcast: boolean;
  readonly acceptMulticast: boolean;
  /** Longest frame that a buffer holds, in bytes. */
  readonly maxFrame: number;
}

// V8 folds local constants: docs/v8.md, "Local constants".
const HEADER_BYTES = ETH_HEADER_BYTES;
const IP_HEADER_BYTES = IPV4_HEADER_BYTES;
const IPV4_TYPE = ETHERTYPE_IPV4_WORD;
const OWN = ADDRESS_AS_SENT;
const OWN_BROADCAST = BROADCAST_AS_SENT;
const SHORTEST = ETH_HEADER_BYTES + IPV4_HEADER_BYTES;
/** First byte of an IPv4 header without options: version 4, five words. */
const PLAIN_IPV4 = 0x45;
// RFC 1122, 3.2.1.3: first bytes of addresses that no station has.
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
   * The short cut for nearly all packets: those from one station to our MAC and IP address, without IP options.
   * @param frame offset of the frame, 2 mod 4
   * @param length bytes of the frame
   * @returns bytes of the IP packet; 0 for every other frame, which is for {@link counterOf} to decide. For a frame
   * with another result than 0, {@link counterOf} returns `rx_delivered`.
   */
  readonly plainPacketBytes: (frame: number, length: number) => number;

  /**
   * A closure (docs/v8.md, "Bursts as closures") that compares words as they lie in memory, so that a field is one
   * load.
   */
  private makePlainPacketBytes(): (frame: number, length: number) => number {
    const { maxFrame } = this;
    return (frame, length) => {
      if (length < SHORTEST || length > maxFrame) return 0;
      const { u16, u32 } = this.memory;
      const { mac, words } = this.host;
      const at = frame >>> 1;
      if (u16[at] !== mac[0] || u16[at + 1] !== mac[1] || u16[at + 2] !== mac[2]) return 0;
      // From a group, or perhaps from our own MAC address: only its last word is compared here.
      if ((u16[at + 3] & 1) !== 0 || u16[at + 5] === mac[2] || u16[at + 6] !== IPV4_TYPE) return 0;
      const ip = (frame + HEADER_BYTES) >>> 2;
      const first = u32[ip] | 0;
      const bytes = ((first >>> 8) & 0xff00) | (first >>> 24);
      if ((first & 0xff) !== PLAIN_IPV4 || bytes < IP_HEADER_BYTES || bytes > length - HEADER_BYTES) return 0;
      const source = u32[ip + 3] | 0;
      const network = source & 0xff;
      if (network === 0 || network === LOOPBACK || network >= FIRST_GROUP) return 0;
      const own = words[OWN];
      if (own === 0 || (u32[ip + 4] | 0) !== own || source === own || source === words[OWN_BROADCAST]) return 0;
      return bytes;
    };
  }

  /**
   * Chooses the one counter that the frame of `length` bytes at `frame` (even) belongs to.
   * @param total bytes of the frame, if it goes on in other buffers
   * @returns the index of the counter: `L2.rx_delivered` for an IP packet for the stack, `L2.rx_arp` for ARP, which is
   * not checked here, otherwise the reason to drop the frame.
   */
  counterOf(frame: number, length: number, total = length): number {
    if (length < ETH_HEADER_BYTES) return L2.rx_drop_runt;
    if (length > this.maxFrame) return L2.rx_drop_too_long;
    const u8 = this.memory.u8;
    const u16 = this.memory.u16;
    const type = ethType(u8, frame);
    const toGroup = (u8[frame] & 1) !== 0;
    if (!toGroup && !sameMac(this.host.mac, 0, u16, frame >>> 1)) return L2.rx_drop_other_mac;
    if ((u8[frame + ETH_SOURCE] & 1) !== 0) return L2.rx_drop_source_mac;
    // ARP from our own MAC address may be a reflection, or speak for another station: arp.ts finds out.
    if (type === ETHERTYPE_ARP) return L2.rx_arp;
    if (sameMac(this.host.mac, 0, u16, (frame + ETH_SOURCE) >>> 1)) return L2.rx_drop_own_source;
    if (type !== ETHERTYPE_IPV4) return counterOfOther(type);
    return this.counterOfIpv4(frame + ETH_HEADER_BYTES, length - ETH_HEADER_BYTES, total - ETH_HEADER_BYTES, toGroup);
  }

  /** `room` bytes are at `ip`, and `whole` bytes with those in other buffers. */
  private counterOfIpv4(ip: number, room: number, whole: number, toGroup: boolean): number {
    if (room < IPV4_HEADER_BYTES) return L2.rx_drop_ip_short;
    const u8 = this.memory.u8;
    if (ipv4Version(u8, ip) !== 4) return L2.rx_drop_ip_version;
    const headerLength = ipv4HeaderLength(u8, ip);
    const totalLength = ipv4TotalLength(u8, ip);
    if (headerLength < IPV4_HEADER_BYTES || headerLength > totalLength) return L2.rx_drop_ip_header_length;
    // The frame may be longer: Ethernet pads to 60 bytes.
    if (totalLength > whole) return L2.rx_drop_ip_total_length;
    if (headerLength > room) return L2.rx_drop_ip_header_length;
    const destination = ipv4Destination(u8, ip);
    if (!this.host.isSource(ipv4Source(u8, ip))) return L2.rx_drop_bad_source;
    // Only what belongs to DHCP gets in now, and that was taken before.
    if (this.host.address === 0) return L2.rx_drop_no_address;
    if (destination === this.host.address) {
      // RFC 1122, 3.3.6: a packet to one host in a broadcast frame is discarded. Otherwise a broadcast storm is
      // possible.
      return toGroup ? L2.rx_drop_link_broadcast : L2.rx_delivered;
    }
    if (this.host.isBroadcast(destination)) return this.acceptBroadcast ? L2.rx_delivered : L2.rx_drop_broadcast;
    if (isIpv4Multicast(destination)) return this.acceptMulticast ? L2.rx_delivered : L2.rx_drop_multicast;
    return L2.rx_drop_other_ip;
  }
}

function counterOfOther(type: number): number {
  if (type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ) return L2.rx_drop_vlan;
  if (type === ETHERTYPE_IPV6) return L2.rx_drop_ipv6;
  return type < ETHERTYPE_MIN ? L2.rx_drop_llc : L2.rx_drop_ethertype;
}
