/**
 * SpoofGuard: lets a VM send only from its own addresses. A script puts it behind a port's input module. Packets that
 * pass leave by gate 0, all others by gate 1. If gate 1 is not connected, these are dropped and counted. BESS has no
 * such module.
 *
 * Each packet is copied out of the VM's memory before the check, and the copy goes on. Otherwise the VM could change an
 * address after the check. So SpoofGuard costs one more copy per packet.
 */
import { formatMac, MAC_BYTES as MAC_ADDRESS_BYTES } from '../../drivers/mac-address.js';
import { MAX_BURST } from '../../drivers/virtio/device/packet-burst.js';
import { ETHERNET_HEADER_BYTES } from '../../rings/buffer-pool.js';
import { CHECKSUM_PARTIAL } from '../../rings/packet-table.js';
import { BessError } from '../errors.js';
import { Batch, emptyBurst } from './batch.js';
import { Module } from './module.js';

/** Output gate of packets that pass. */
const PASSED = 0;
/** Output gate of all other packets. */
const REFUSED = 1;
/**
 * Memory per packet: the longest frame that a port takes (MAX_FRAME_BYTES, 65553), at the same place modulo 8 as the
 * original.
 */
const SLOT_BYTES = 65600;
// V8 folds local constants: docs/v8.md, "Local constants".
const MAC_BYTES = MAC_ADDRESS_BYTES;
const ETHERNET_BYTES = ETHERNET_HEADER_BYTES;
/** Fields of Ethernet (IEEE 802.3), VLAN tags (802.1Q), ARP (RFC 826), IPv4 (RFC 791): offsets in the header. */
const ETHERNET_SOURCE = 6;
const ETHERNET_TYPE = 12;
const TAG_BYTES = 4;
const MAX_TAGS = 2;
const TYPE_IPV4 = 0x0800;
const TYPE_ARP = 0x0806;
const TYPE_VLAN = 0x8100;
const TYPE_QINQ = 0x88a8;
const ARP_BYTES = 28;
const ARP_SENDER_MAC = 8;
const ARP_SENDER_IP = 14;
const IPV4_BYTES = 20;
const IPV4_SOURCE = 12;
/** The first bytes of ARP for IPv4 over Ethernet: hardware type 1, protocol IPv4, addresses of 6 and 4 bytes. */
const ARP_HEAD = [0, 1, 8, 0, 6, 4];

/** Returns an IPv4 address as a signed 32-bit integer. Throws EINVAL if the text is not an IPv4 address. */
export function parseIpv4(text: string): number {
  const octets = text.split('.');
  const ok = octets.length === 4 && octets.every((octet) => /^\d{1,3}$/.test(octet) && Number(octet) <= 255);
  if (!ok) throw new BessError('EINVAL', `${text} is not an IPv4 address`);
  return octets.reduce((sum, octet) => (sum << 8) | Number(octet), 0);
}

export class SpoofGuard extends Module {
  override readonly className = 'SpoofGuard';
  override readonly outputGates = 2;
  private readonly burst = emptyBurst();
  private readonly passed = new Batch();
  private readonly refused = new Batch();
  private readonly u8: Uint8Array;
  private readonly ips: Int32Array;

  /**
   * Throws EINVAL for the MAC address of a group.
   * @param mac the VM's MAC address, six octets
   * @param ips the VM's IPv4 addresses, from {@link parseIpv4}; if there are none, IPv4 addresses are not checked
   */
  constructor(
    name: string,
    private readonly mac: Uint8Array,
    ips: readonly number[],
  ) {
    super(name);
    if (mac.length !== MAC_BYTES || (mac[0] & 1) !== 0) {
      throw new BessError('EINVAL', "'mac' must be the address of one station, not of a group");
    }
    this.ips = Int32Array.from(ips);
    const buffer = new SharedArrayBuffer(MAX_BURST * SLOT_BYTES);
    this.u8 = new Uint8Array(buffer);
    this.burst.memory = { u8: this.u8, u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
  }

  override describe(): string {
    const ips = Array.from(this.ips, (ip) => [ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255].join('.'));
    return [formatMac(this.mac), ...ips].join(' ');
  }

  override process(batch: Batch): void {
    const { burst, passed, refused } = this;
    burst.clear();
    for (let i = 0; i < batch.count; i++) this.copyOut(batch, batch.indices[i]);
    if (batch.burst.offloaded !== 0) this.copyOffloads(batch);
    passed.beginOver(burst, batch);
    refused.beginOver(burst, batch);
    for (let i = 0; i < batch.count; i++) {
      const packet = batch.indices[i];
      if (this.isOwn(packet)) passed.add(packet);
      else refused.add(packet);
    }
    if (passed.count > 0) this.emit(PASSED, passed);
    if (refused.count > 0) this.emit(REFUSED, refused);
  }

  /** Copies a packet, in one piece, into memory that the VM cannot write. It keeps its number, which metadata belongs to. */
  private copyOut(batch: Batch, packet: number): void {
    const from = batch.burst;
    const start = packet * SLOT_BYTES + (from.segmentOffset[from.firstSegment[packet]] & 7);
    const bytes = from.copyTo(packet, this.burst.memory, start);
    // Each packet has one segment, of the same number.
    this.burst.count = packet;
    this.burst.segments = packet;
    this.burst.push(start, bytes);
  }

  /** Copies what the VM leaves to others; the code that filled the burst has checked it. */
  private copyOffloads(batch: Batch): void {
    const from = batch.burst;
    const { burst } = this;
    for (let i = 0; i < batch.count; i++) {
      const packet = batch.indices[i];
      burst.flags[packet] = from.flags[packet];
      burst.gsoSize[packet] = from.gsoSize[packet];
      burst.csumStart[packet] = from.csumStart[packet];
      burst.csumOffset[packet] = from.csumOffset[packet];
      if (burst.flags[packet] !== 0) burst.offloaded++;
    }
  }

  /** Whether all source addresses of a copied frame belong to the VM, and stay as they are. */
  private isOwn(packet: number): boolean {
    const frame = this.burst.segmentOffset[packet];
    const length = this.burst.length[packet];
    if (length < ETHERNET_BYTES || !this.isOwnMac(frame + ETHERNET_SOURCE)) return false;
    let header = ETHERNET_BYTES;
    let type = this.u16(frame + ETHERNET_TYPE);
    while (type === TYPE_VLAN || type === TYPE_QINQ) {
      header += TAG_BYTES;
      if (header > ETHERNET_BYTES + MAX_TAGS * TAG_BYTES || length < header) return false;
      type = this.u16(frame + header - 2);
    }
    if (type === TYPE_ARP) {
      return this.isOwnArp(frame + header, length - header) && this.leaves(packet, header + ARP_BYTES);
    }
    if (type !== TYPE_IPV4) return this.leaves(packet, header);
    return (
      length - header >= IPV4_BYTES &&
      this.isOwnIp(frame + header + IPV4_SOURCE) &&
      this.leaves(packet, header + IPV4_BYTES)
    );
  }

  /**
   * Whether the first `bytes` of a packet stay as they are when its partial checksum is completed: a VM chooses where the
   * sum goes, and which sum it is, so it could write an address that was checked.
   */
  private leaves(packet: number, bytes: number): boolean {
    const { burst } = this;
    const isPartial = burst.offloaded !== 0 && (burst.flags[packet] & CHECKSUM_PARTIAL) !== 0;
    return !isPartial || burst.csumStart[packet] >= bytes;
  }

  private isOwnArp(arp: number, length: number): boolean {
    if (length < ARP_BYTES) return false;
    for (let i = 0; i < ARP_HEAD.length; i++) if (this.u8[arp + i] !== ARP_HEAD[i]) return false;
    return this.isOwnMac(arp + ARP_SENDER_MAC) && this.isOwnIp(arp + ARP_SENDER_IP);
  }

  private isOwnMac(at: number): boolean {
    const { u8, mac } = this;
    for (let i = 0; i < MAC_BYTES; i++) if (u8[at + i] !== mac[i]) return false;
    return true;
  }

  /** Also true for 0.0.0.0, from which ARP probes (RFC 5227, 2.1.1) and DHCP clients send. */
  private isOwnIp(at: number): boolean {
    const { ips } = this;
    if (ips.length === 0) return true;
    const ip = (this.u16(at) << 16) | this.u16(at + 2);
    for (let i = 0; i < ips.length; i++) if (ips[i] === ip) return true;
    return ip === 0;
  }

  /** Reads 16 bits in network order. */
  private u16(at: number): number {
    return (this.u8[at] << 8) | this.u8[at + 1];
  }
}
