/**
 * What a tunnel has to know of the frame that it carries: a hash of the flow, which becomes the source port (RFC 7348, 5),
 * and whether the frame itself is one of VXLAN.
 *
 * Nothing is believed: the frame is the sender's, and may change while it is read. Every access lies within the frame.
 */
import type { PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import {
  TYPE_IPV4 as IPV4,
  IPV4_BYTES as IPV4_HEADER_BYTES,
  TYPE_IPV6 as IPV6,
  IPV6_BYTES,
  PROTOCOL_TCP as TCP,
  TYPE_QINQ,
  TYPE_VLAN,
  PROTOCOL_UDP as UDP,
  VLAN_BYTES,
} from '../../../drivers/virtio/header-fields.js';
import { read16 } from '../../../observe/capture/filter/frame.js';
import { ETHERNET_HEADER_BYTES } from '../../../rings/buffer-pool.js';
import { FRAGMENT_FIELDS, VXLAN_HAS_VNI as HAS_VNI, swapped } from './vxlan.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const ETHERNET_BYTES = ETHERNET_HEADER_BYTES;
const IPV4_BYTES = IPV4_HEADER_BYTES;
const PROTOCOL_TCP = TCP;
const PROTOCOL_UDP = UDP;
const VXLAN_HAS_VNI = HAS_VNI;
const TYPE_IPV4 = IPV4;
const TYPE_IPV6 = IPV6;
/** EtherType of IPv4 as it lies in memory. */
const IPV4_IN_MEMORY = swapped(TYPE_IPV4);
/** Headers of Ethernet, IPv4 without options, UDP and VXLAN. */
const USUAL_BYTES = ETHERNET_BYTES + IPV4_BYTES + 16;
/** Headers of Ethernet with two tags, IPv4 with all options, UDP and VXLAN: more of a frame is not looked at. */
const MOST_BYTES = 98;
const MAX_TAGS = 2;
const FRAGMENT = FRAGMENT_FIELDS;
const FRAGMENT_IN_MEMORY = swapped(FRAGMENT);

/** Mixes a word into a hash (the steps of MurmurHash3's finisher). */
function mixed(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, 0x85ebca6b);
  return h ^ (h >>> 15);
}

export class InnerFrame {
  /** A hash of the addresses, the protocol and the ports of the frame; without IP, of its MAC addresses. */
  hash = 0;
  /** Whether the frame is a packet to the UDP port of the tunnel with a VXLAN header. */
  isVxlan = false;
  private readonly gathered = new Uint8Array(new ArrayBuffer(MOST_BYTES));

  /**
   * Looks at a packet of at least 14 bytes.
   * @param port the UDP port of VXLAN
   */
  read(burst: PacketBurst, packet: number, port: number): void {
    const first = burst.firstSegment[packet];
    const at = burst.segmentOffset[first];
    const there = burst.segmentLength[first];
    const { u8, u16 } = burst.memory;
    const h = at >>> 1;
    // The usual packet: IPv4 without options, TCP or UDP, in one piece.
    if ((at & 1) === 0 && there >= USUAL_BYTES && u16[h + 6] === IPV4_IN_MEMORY && u8[at + ETHERNET_BYTES] === 0x45) {
      const protocol = u8[at + 23];
      const isPlain = (u16[h + 10] & FRAGMENT_IN_MEMORY) === 0;
      const hasPorts = isPlain && (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP);
      const ports = hasPorts ? u16[h + 17] | (u16[h + 18] << 16) : 0;
      const source = u16[h + 13] | (u16[h + 14] << 16);
      const destination = u16[h + 15] | (u16[h + 16] << 16);
      this.hash = mixed(mixed(mixed(protocol, source), destination), ports);
      this.isVxlan =
        protocol === PROTOCOL_UDP &&
        isPlain &&
        u16[h + 18] === swapped(port) &&
        (u8[at + ETHERNET_BYTES + IPV4_BYTES + 8] & VXLAN_HAS_VNI) !== 0;
      return;
    }
    const length = burst.length[packet];
    const wanted = length < MOST_BYTES ? length : MOST_BYTES;
    if (there >= wanted) this.parse(u8, at, wanted, port);
    else this.parse(this.gathered, 0, burst.gather(packet, this.gathered), port);
  }

  /** Whether a packet of at least 14 bytes is itself one of VXLAN: as {@link read}, without the hash of the usual packet. */
  isInTunnel(burst: PacketBurst, packet: number, port: number): boolean {
    const first = burst.firstSegment[packet];
    const at = burst.segmentOffset[first];
    const { u8, u16 } = burst.memory;
    const h = at >>> 1;
    if ((at & 1) === 0 && burst.segmentLength[first] >= USUAL_BYTES && u16[h + 6] === IPV4_IN_MEMORY) {
      const isUsual = u8[at + ETHERNET_BYTES] === 0x45;
      if (isUsual && (u8[at + 23] !== PROTOCOL_UDP || u16[h + 18] !== swapped(port))) return false;
    }
    this.read(burst, packet, port);
    return this.isVxlan;
  }

  /** As {@link read}, for any frame. @param length bytes of the frame that may be looked at */
  private parse(u8: Uint8Array, at: number, length: number, port: number): void {
    let ip = ETHERNET_BYTES;
    let type = read16(u8, at + ip - 2);
    for (let tags = 0; tags < MAX_TAGS && (type === TYPE_VLAN || type === TYPE_QINQ); tags++) {
      ip += VLAN_BYTES;
      if (ip > length) break;
      type = read16(u8, at + ip - 2);
    }
    this.isVxlan = false;
    let transport = 0;
    let protocol = 0;
    let hash = 0;
    if (type === TYPE_IPV4 && ip + IPV4_BYTES <= length) {
      protocol = u8[at + ip + 9];
      hash = hashOf(u8, at + ip + 12, 8, protocol);
      const isPlain = (read16(u8, at + ip + 6) & FRAGMENT) === 0;
      const ipBytes = (u8[at + ip] & 15) * 4;
      if (isPlain && ipBytes >= IPV4_BYTES) transport = ip + ipBytes;
    } else if (type === TYPE_IPV6 && ip + IPV6_BYTES <= length) {
      protocol = u8[at + ip + 6];
      hash = hashOf(u8, at + ip + 8, 32, protocol);
      transport = ip + IPV6_BYTES;
    } else {
      hash = hashOf(u8, at, 12, 0);
    }
    if (transport > 0 && transport + 4 <= length && (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP)) {
      hash = hashOf(u8, at + transport, 4, hash);
      this.isVxlan =
        protocol === PROTOCOL_UDP &&
        transport + 16 <= length &&
        read16(u8, at + transport + 2) === port &&
        (u8[at + transport + 8] & VXLAN_HAS_VNI) !== 0;
    }
    this.hash = hash;
  }
}

/** Mixes `bytes` bytes, a multiple of 4, into a hash. */
function hashOf(u8: Uint8Array, at: number, bytes: number, initial: number): number {
  let hash = initial;
  for (let i = at; i < at + bytes; i += 4) {
    hash = mixed(hash, u8[i] | (u8[i + 1] << 8) | (u8[i + 2] << 16) | (u8[i + 3] << 24));
  }
  return hash;
}
