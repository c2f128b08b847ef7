/**
 * VXLANDecap: takes the headers of Ethernet, IPv4, UDP and VXLAN off (BESS: vxlan_decap.cc; RFC 7348). What is left are the
 * inner frames, where they lie. A packet that is not what its headers say is dropped, and counted by reason.
 *
 * The UDP checksum is not checked: RFC 7348, 4.1, allows that, and the inner packet has checksums of its own. Reserved bits
 * are ignored, as the RFC wants. The script compares the VNI and the senders' addresses (BPF).
 */
import { ethernetType } from '../../../drivers/virtio/device/ether-type.js';
import type { PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import {
  IPV4_BYTES as IPV4_HEADER_BYTES,
  TCP_HEADER_BYTES,
  TYPE_IPV4,
  TYPE_IPV6,
  PROTOCOL_UDP as UDP,
  UDP_HEADER_BYTES,
} from '../../../drivers/virtio/header-fields.js';
import { ETHERNET_HEADER_BYTES } from '../../../rings/buffer-pool.js';
import { CHECKSUM_PARTIAL, GSO, GSO_ECN, GSO_TCP4 } from '../../../rings/packet-table.js';
import { Batch, emptyBurst } from '../batch.js';
import type { Attribute, Metadata } from '../metadata/attribute.js';
import { InnerFrame } from './inner-frame.js';
import { Reason, TunnelModule } from './tunnel-module.js';
import { FRAGMENT_FIELDS, VXLAN_HAS_VNI as HAS_VNI, swapped, VXLAN_BYTES } from './vxlan.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const ETHERNET_BYTES = ETHERNET_HEADER_BYTES;
const IPV4_BYTES = IPV4_HEADER_BYTES;
const UDP_BYTES = UDP_HEADER_BYTES;
/** UDP and VXLAN. */
const TUNNEL_BYTES = VXLAN_BYTES;
const VXLAN_HAS_VNI = HAS_VNI;
/** Flags of a packet that stays one for many segments. */
const KEPT_GSO = GSO | GSO_ECN;
const PROTOCOL_UDP = UDP;
/** The longest headers: IPv4 with 40 bytes of options. */
const MOST_BYTES = ETHERNET_BYTES + 60 + TUNNEL_BYTES;
const LEAST_BYTES = ETHERNET_BYTES + IPV4_BYTES + TUNNEL_BYTES;
const IPV4_IN_MEMORY = swapped(TYPE_IPV4);
/** More fragments, and the offset, as they lie in memory. */
const FRAGMENT_IN_MEMORY = swapped(FRAGMENT_FIELDS);

export class VxlanDecap extends TunnelModule {
  override readonly className = 'VXLANDecap';
  override readonly writes: readonly Attribute[];
  private readonly tunnelSource: Int32Array;
  private readonly tunnelDestination: Int32Array;
  private readonly tunnelId: Int32Array;
  private readonly inner = new InnerFrame();
  private readonly burst = emptyBurst();
  private readonly out = new Batch();
  /** The headers of a packet that has them in several segments, or at an odd place. */
  private readonly gathered: { readonly u8: Uint8Array; readonly u16: Uint16Array };
  /** Of the packet that {@link check} has found good: the bytes in front of the inner frame, its length, the UDP port. */
  private skip = 0;
  private innerBytes = 0;
  private port = 0;

  constructor(name: string, metadata: Metadata) {
    super(name);
    this.writes = ['tun_ip_src', 'tun_ip_dst', 'tun_id'].map((each) => metadata.attribute(each, 4));
    [this.tunnelSource, this.tunnelDestination, this.tunnelId] = this.writes.map(({ words }) => words);
    const buffer = new ArrayBuffer(MOST_BYTES + 6);
    this.gathered = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer) };
  }

  override process(batch: Batch): void {
    const { burst, out, writes } = this;
    for (let i = 0; i < writes.length; i++) writes[i].write();
    const from = batch.burst;
    burst.memory = from.memory;
    burst.segments = 0;
    burst.offloaded = 0;
    out.beginOver(burst, batch);
    for (let i = 0; i < batch.count; i++) {
      const packet = batch.indices[i];
      const reason = this.take(from, packet);
      if (reason < 0) out.add(packet);
      else this.drop(batch, packet, reason);
    }
    if (out.count > 0) this.emit(0, out);
  }

  /** Appends the inner frame of a packet to the burst. Returns -1, or why that is not possible. */
  private take(from: PacketBurst, packet: number): number {
    const first = from.firstSegment[packet];
    const there = from.segmentLength[first];
    const at = from.segmentOffset[first];
    const length = from.length[packet];
    let reason: number;
    if ((at & 1) === 0 && (there >= MOST_BYTES || there === length)) {
      const { u8, u16 } = from.memory;
      reason = this.check(u8, u16, at, packet, length);
    } else {
      from.gather(packet, this.gathered.u8);
      reason = this.check(this.gathered.u8, this.gathered.u16, 0, packet, length);
    }
    if (reason >= 0) return reason;
    const { burst } = this;
    const segments = burst.segments;
    this.takeSegments(from, packet);
    reason = this.inner.isInTunnel(burst, packet, this.port) ? Reason.nested : -1;
    if (reason < 0 && from.offloaded !== 0) reason = this.takeOffloads(from, packet);
    if (reason >= 0) burst.segments = segments;
    return reason;
  }

  /**
   * Checks the headers at an even offset, and keeps what they say. Returns -1, or what is wrong. Each field is read once,
   * because the sender may change it meanwhile.
   */
  private check(u8: Uint8Array, u16: Uint16Array, at: number, packet: number, length: number): number {
    if (length < LEAST_BYTES) return Reason.truncated;
    const h = at >>> 1;
    if (u16[h + 6] !== IPV4_IN_MEMORY) return Reason.badIp;
    const version = u8[at + ETHERNET_BYTES];
    const ipBytes = (version & 15) * 4;
    if (version >>> 4 !== 4 || ipBytes < IPV4_BYTES) return Reason.badIp;
    const total = swapped(u16[h + 8]);
    if (total < ipBytes + TUNNEL_BYTES || ETHERNET_BYTES + total > length) return Reason.truncated;
    if (!isIpv4Sum(u16, h + 7, ipBytes)) return Reason.badIp;
    if ((u16[h + 10] & FRAGMENT_IN_MEMORY) !== 0) return Reason.fragment;
    if (u8[at + ETHERNET_BYTES + 9] !== PROTOCOL_UDP) return Reason.badUdp;
    const udp = (at + ETHERNET_BYTES + ipBytes) >>> 1;
    const udpBytes = swapped(u16[udp + 2]);
    if (udpBytes < UDP_BYTES || udpBytes > total - ipBytes) return Reason.badUdp;
    if (udpBytes < TUNNEL_BYTES + ETHERNET_BYTES) return Reason.truncated;
    if ((u16[udp + 4] & VXLAN_HAS_VNI) === 0) return Reason.badFlags;
    this.skip = ETHERNET_BYTES + ipBytes + TUNNEL_BYTES;
    this.innerBytes = udpBytes - TUNNEL_BYTES;
    this.port = swapped(u16[udp + 1]);
    this.tunnelSource[packet] = u16[h + 13] | (u16[h + 14] << 16);
    this.tunnelDestination[packet] = u16[h + 15] | (u16[h + 16] << 16);
    // The VNI is in the first three bytes of a word; in tun_id it is in the last three.
    this.tunnelId[packet] = (u16[udp + 6] << 8) | (u16[udp + 7] << 24);
    return -1;
  }

  /** Appends the segments of the inner frame: without the headers, and without what lies behind the frame. */
  private takeSegments(from: PacketBurst, packet: number): void {
    const { burst } = this;
    let { skip } = this;
    let left = this.innerBytes;
    let next = burst.segments;
    burst.firstSegment[packet] = next;
    for (let s = from.firstSegment[packet]; left > 0; s++) {
      const length = from.segmentLength[s];
      if (length <= skip) {
        skip -= length;
        continue;
      }
      const bytes = length - skip < left ? length - skip : left;
      burst.segmentOffset[next] = from.segmentOffset[s] + skip;
      burst.segmentLength[next] = bytes;
      skip = 0;
      left -= bytes;
      next++;
    }
    burst.firstSegment[packet + 1] = next;
    burst.segments = next;
    burst.length[packet] = this.innerBytes;
    burst.flags[packet] = 0;
  }

  /**
   * What the sender leaves to others of the inner packet stays so. A checksum of the outer one is of no use any more.
   * Returns -1, or why the packet must be dropped.
   */
  private takeOffloads(from: PacketBurst, packet: number): number {
    const { burst, skip, innerBytes } = this;
    const flags = from.flags[packet] & (CHECKSUM_PARTIAL | KEPT_GSO);
    if ((flags & CHECKSUM_PARTIAL) === 0) return -1;
    const start = from.csumStart[packet] - skip;
    const isGso = (flags & GSO) !== 0;
    if (start < 0 && !isGso) return -1;
    const offset = from.csumOffset[packet];
    if (start < ETHERNET_BYTES || start + offset + 2 > innerBytes) return Reason.badOffload;
    if (isGso) {
      const type = (flags & GSO_TCP4) !== 0 ? TYPE_IPV4 : TYPE_IPV6;
      if (ethernetType(burst, packet) !== type) return Reason.badOffload;
      if (from.gsoSize[packet] > innerBytes - start - TCP_HEADER_BYTES) return Reason.badOffload;
      burst.gsoSize[packet] = from.gsoSize[packet];
    }
    burst.flags[packet] = flags;
    burst.csumStart[packet] = start;
    burst.csumOffset[packet] = offset;
    burst.offloaded++;
    return -1;
  }
}

/** Whether the sum over an IPv4 header is that of a right checksum (RFC 1071). @param at the header's first half word */
function isIpv4Sum(u16: Uint16Array, at: number, bytes: number): boolean {
  let sum = 0;
  for (let i = at; i < at + (bytes >>> 1); i++) sum += u16[i];
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16) === 0xffff;
}
