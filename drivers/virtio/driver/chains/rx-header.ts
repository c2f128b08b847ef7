/**
 * The virtio-net header of a received packet (virtio 1.2, 5.1.6 and 5.1.6.4): checked against what was negotiated and
 * against the frame, and brought into the packet table.
 */
import { ETHERNET_HEADER_BYTES, FRAME_OFFSET } from '../../../../rings/buffer-pool.js';
import * as table from '../../../../rings/packet-table.js';
import type { MemoryViews } from '../../../memory/index.js';
import * as header from '../../net-header.js';
import { GUEST_CSUM, GUEST_ECN, GUEST_TSO4, GUEST_TSO6 } from '../offload-bits.js';
import { CUT_OFF, TCP_CHECKSUM_OFFSET, TCP_OVER_IP4, TCP_OVER_IP6, tcpHeaderEnd, transportOf } from './ip-headers.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const NEEDS_CSUM = header.VIRTIO_NET_HDR_F_NEEDS_CSUM;
const DATA_VALID = header.VIRTIO_NET_HDR_F_DATA_VALID;
const GSO_NONE = header.VIRTIO_NET_HDR_GSO_NONE;
const GSO_ECN_BIT = header.VIRTIO_NET_HDR_GSO_ECN;
const { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, CSUM_START, CSUM_OFFSET, GSO_SIZE, GSO_TCP4, GSO_TCP6, GSO_ECN } = table;
const ETHERNET_BYTES = ETHERNET_HEADER_BYTES;
const HEADER_OFFSET = FRAME_OFFSET - header.NET_HEADER_BYTES;

/** The header contradicts the negotiation, or the frame. */
export const BAD = -1;

export class RxHeaderReader {
  private readonly u8: Uint8Array;
  private readonly u16: Uint16Array;
  /** What was negotiated: bits of `offload-bits.ts`. */
  features = 0;

  /** @param words of the packet table */
  constructor(
    memory: MemoryViews,
    private readonly words: Int32Array,
  ) {
    this.u8 = memory.u8;
    this.u16 = memory.u16;
  }

  /**
   * Reads the header of a packet, and writes what belongs to its flags into its entry of the packet table. The device
   * may change the header at any time, so each field is read once.
   * @param buffer where the packet's first buffer begins, in bytes
   * @param entry index of its entry in the table
   * @param length bytes of the frame in its first buffer: 14 or more
   * @param isChain whether other buffers follow
   * @returns flags of the packet table, without CHAIN, or {@link BAD}
   */
  read(buffer: number, entry: number, length: number, isChain: boolean): number {
    const { u16, words } = this;
    const at = (buffer + HEADER_OFFSET) >> 1;
    // Two fields of a byte each.
    const flagsAndGso = u16[at + (header.NET_HEADER_FLAGS >> 1)];
    const gso = flagsAndGso >> 8;
    const hasCsum = (this.features & GUEST_CSUM) !== 0;
    if ((flagsAndGso & NEEDS_CSUM) === 0) {
      // 5.1.6.4.1: a device that segments also sets NEEDS_CSUM. 5.1.6.4.2: flags that were not negotiated are ignored.
      if (gso !== GSO_NONE) return BAD;
      return hasCsum && (flagsAndGso & DATA_VALID) !== 0 ? CHECKSUM_VERIFIED : 0;
    }
    if (!hasCsum) return BAD;
    const start = u16[at + (header.NET_HEADER_CSUM_START >> 1)];
    const offset = u16[at + (header.NET_HEADER_CSUM_OFFSET >> 1)];
    if (start < ETHERNET_BYTES || start + offset + 2 > length) return BAD;
    words[entry + CSUM_START] = start;
    words[entry + CSUM_OFFSET] = offset;
    if (gso === GSO_NONE) return CHECKSUM_PARTIAL;
    const size = u16[at + (header.NET_HEADER_GSO_SIZE >> 1)];
    words[entry + GSO_SIZE] = size;
    const kind = this.gsoFlags(gso);
    if (kind === BAD || size === 0 || offset !== TCP_CHECKSUM_OFFSET) return BAD;
    const frame = buffer + FRAME_OFFSET;
    const tcp = ((kind & GSO_TCP4) !== 0 ? TCP_OVER_IP4 : TCP_OVER_IP6) | start;
    if (transportOf(this.u8, frame, length) !== tcp) return BAD;
    const end = tcpHeaderEnd(this.u8, frame, start, length);
    // A packet without payload is no segment.
    if (end === CUT_OFF || (end === length && !isChain)) return BAD;
    return CHECKSUM_PARTIAL | kind;
  }

  /** The table's flags for the field gso_type, if such packets were negotiated. */
  private gsoFlags(gso: number): number {
    const { features } = this;
    const ecn = (gso & GSO_ECN_BIT) !== 0 ? GSO_ECN : 0;
    if (ecn !== 0 && (features & GUEST_ECN) === 0) return BAD;
    const type = gso & ~GSO_ECN_BIT;
    if (type === header.VIRTIO_NET_HDR_GSO_TCPV4 && (features & GUEST_TSO4) !== 0) return GSO_TCP4 | ecn;
    if (type === header.VIRTIO_NET_HDR_GSO_TCPV6 && (features & GUEST_TSO6) !== 0) return GSO_TCP6 | ecn;
    return BAD;
  }
}
