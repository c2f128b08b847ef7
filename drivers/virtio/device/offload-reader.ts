/**
 * Reads what the sender of a packet leaves to others: the fields of the virtio-net header in front of it (virtio 1.2,
 * 5.1.6.2). Each field is read once, checked, and stored in the burst. The bytes of the packet itself stay the sender's,
 * and may change later: whoever relies on them must copy them first.
 */
import { ETHERNET_HEADER_BYTES } from '../../../rings/buffer-pool.js';
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, GSO_ECN, GSO_TCP4, GSO_TCP6 } from '../../../rings/packet-table.js';
import { OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../offloads.js';
import { TCP_CHECKSUM, TCP_HEADER_BYTES, TYPE_IPV4, TYPE_IPV6 } from '../header-fields.js';
import {
  NET_HEADER_CSUM_OFFSET,
  NET_HEADER_CSUM_START,
  NET_HEADER_FLAGS,
  NET_HEADER_GSO_SIZE,
  NET_HEADER_GSO_TYPE,
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from '../net-header.js';
import { ethernetType } from './ether-type.js';
import type { PacketBurst } from './packet-burst.js';

/**
 * A packet with more segments is refused: whoever cuts it, we or the kernel while we wait, keeps all other ports waiting.
 * Linux's smallest MSS is 48.
 */
export const MAX_GSO_SEGMENTS = 1400;

export class OffloadReader {
  /**
   * @param accepted OFFLOAD_ bits: what the sender may leave to others
   * @param believesChecked whether DATA_VALID means something: from the kernel behind a tap it does; from a driver it must
   *   be ignored (5.1.6.2.2 lists no such flag for transmitted packets)
   * @param takesTunnels whether a GSO packet may lie in a tunnel, so that the IP version of the outer packet says nothing
   */
  constructor(
    private readonly accepted: number,
    private readonly believesChecked = false,
    private readonly takesTunnels = false,
  ) {}

  /**
   * Reads the header at `u8[at]` of the packet that was appended to `burst` last. Returns false when the header is
   * impossible: then the caller takes the packet back.
   */
  read(u8: Uint8Array, at: number, burst: PacketBurst): boolean {
    const i = burst.count - 1;
    const asked = u8[at + NET_HEADER_FLAGS];
    const type = u8[at + NET_HEADER_GSO_TYPE];
    let flags = 0;
    if ((asked & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0) {
      const length = burst.length[i];
      const start = u16(u8, at + NET_HEADER_CSUM_START);
      const field = u16(u8, at + NET_HEADER_CSUM_OFFSET);
      if (start < ETHERNET_HEADER_BYTES || start + field + 2 > length) return false;
      flags = CHECKSUM_PARTIAL;
      if (type !== VIRTIO_NET_HDR_GSO_NONE) {
        const size = u16(u8, at + NET_HEADER_GSO_SIZE);
        const gso = this.gsoFlags(type);
        if (gso === 0 || field !== TCP_CHECKSUM || size === 0) return false;
        if (length - start - TCP_HEADER_BYTES > MAX_GSO_SEGMENTS * size) return false;
        const version = (gso & GSO_TCP4) !== 0 ? TYPE_IPV4 : TYPE_IPV6;
        if (!this.takesTunnels && ethernetType(burst, i) !== version) return false;
        // A packet that is shorter than its segments needs no segmentation. OVS 3.1 sends such packets.
        if (size <= length - start - TCP_HEADER_BYTES) flags |= gso;
        burst.gsoSize[i] = size;
      }
      burst.csumStart[i] = start;
      burst.csumOffset[i] = field;
    } else if (type !== VIRTIO_NET_HDR_GSO_NONE) {
      // 5.1.6.2.1: whoever asks for segmentation must ask for the checksum as well.
      return false;
    } else if (this.believesChecked && (asked & VIRTIO_NET_HDR_F_DATA_VALID) !== 0) {
      flags = CHECKSUM_VERIFIED;
    }
    burst.flags[i] = flags;
    if (flags !== 0) burst.offloaded++;
    return true;
  }

  /** The flags for a gso_type; 0 when it is unknown, or was not negotiated. */
  private gsoFlags(type: number): number {
    const { accepted } = this;
    const ecn = (type & VIRTIO_NET_HDR_GSO_ECN) !== 0;
    if (ecn && (accepted & OFFLOAD_ECN) === 0) return 0;
    const kind = type & ~VIRTIO_NET_HDR_GSO_ECN;
    if (kind === VIRTIO_NET_HDR_GSO_TCPV4 && (accepted & OFFLOAD_TSO4) !== 0) return GSO_TCP4 | (ecn ? GSO_ECN : 0);
    if (kind === VIRTIO_NET_HDR_GSO_TCPV6 && (accepted & OFFLOAD_TSO6) !== 0) return GSO_TCP6 | (ecn ? GSO_ECN : 0);
    return 0;
  }
}

function u16(u8: Uint8Array, at: number): number {
  return u8[at] | (u8[at + 1] << 8);
}
