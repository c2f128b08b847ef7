/** Writes what is left to the receiver of a packet into the virtio-net header in front of it (virtio 1.2, 5.1.6). */
import { CHECKSUM_PARTIAL, CHECKSUM_VERIFIED, GSO, GSO_ECN, GSO_TCP4 } from '../../../rings/packet-table.js';
import { TCP_DATA_OFFSET } from '../header-fields.js';
import {
  NET_HEADER_CSUM_OFFSET,
  NET_HEADER_CSUM_START,
  NET_HEADER_FLAGS,
  NET_HEADER_GSO_SIZE,
  NET_HEADER_GSO_TYPE,
  NET_HEADER_HDR_LEN,
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from '../net-header.js';
import type { PacketBurst } from './packet-burst.js';

/**
 * Writes the fields for packet i of `burst` into a header of zeros at `u8[at]`.
 * @param flags of the packet, as far as the receiver takes them
 */
export function writeOffloads(u8: Uint8Array, at: number, burst: PacketBurst, i: number, flags: number): void {
  if ((flags & CHECKSUM_PARTIAL) === 0) {
    if ((flags & CHECKSUM_VERIFIED) !== 0) u8[at + NET_HEADER_FLAGS] = VIRTIO_NET_HDR_F_DATA_VALID;
    return;
  }
  const start = burst.csumStart[i];
  u8[at + NET_HEADER_FLAGS] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  setU16(u8, at + NET_HEADER_CSUM_START, start);
  setU16(u8, at + NET_HEADER_CSUM_OFFSET, burst.csumOffset[i]);
  if ((flags & GSO) === 0) return;
  const type = (flags & GSO_TCP4) !== 0 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  u8[at + NET_HEADER_GSO_TYPE] = (flags & GSO_ECN) !== 0 ? type | VIRTIO_NET_HDR_GSO_ECN : type;
  setU16(u8, at + NET_HEADER_GSO_SIZE, burst.gsoSize[i]);
  // 5.1.6.4.1: the length of all headers. The sender may have lied about that of TCP.
  const headers = start + (burst.byteAt(i, start + TCP_DATA_OFFSET) >>> 4) * 4;
  setU16(u8, at + NET_HEADER_HDR_LEN, headers < burst.length[i] ? headers : burst.length[i]);
}

function setU16(u8: Uint8Array, at: number, value: number): void {
  u8[at] = value;
  u8[at + 1] = value >>> 8;
}
