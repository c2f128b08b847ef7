/**
 * The headers of a packet that stands for many TCP segments: where they end, and what differs from segment to segment
 * (virtio 1.2, 5.1.6.2; RFC 9293, 3.1; RFC 791; RFC 8200, 3; RFC 3168, 6.1.2).
 */
import { GSO_TCP4, GSO_TCP6 } from '../../../rings/packet-table.js';
import { readI32, readU16, writeI32, writeU16 } from '../../wire/bytes.js';
import { foldSum } from '../../wire/checksum.js';
import {
  ETH_HEADER_BYTES,
  ETH_TYPE,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_QINQ,
  ETHERTYPE_VLAN,
} from '../../wire/ethernet.js';
import {
  IP_PROTOCOL_TCP,
  IPV4_HEADER_BYTES,
  IPV4_IDENTIFICATION,
  IPV4_TOTAL_LENGTH,
  ipv4HeaderLength,
  ipv4Identification,
  ipv4Protocol,
  ipv4TotalLength,
  ipv4Version,
  isIpv4Fragment,
  writeIpv4Checksum,
} from '../../wire/ipv4.js';
import { IPV6_HEADER_BYTES, IPV6_PAYLOAD_LENGTH } from '../../wire/ipv6.js';
import type { WireMemory } from '../../wire/memory.js';
import {
  TCP_CHECKSUM,
  TCP_CWR,
  TCP_FIN,
  TCP_FLAGS,
  TCP_HEADER_BYTES,
  TCP_PSH,
  TCP_SEQUENCE,
  tcpHeaderLength,
} from '../../wire/tcp.js';

/** What {@link ipHeaderAt} returns for a frame that is not IP. */
export const NOT_IP = -1;
const VLAN_TAG_BYTES = 4;
const MAX_VLAN_TAGS = 2;

/**
 * Where the IP header begins in the frame of `length` bytes at `frame`, in bytes; {@link NOT_IP} if there is none.
 */
export function ipHeaderAt(u8: Uint8Array, frame: number, length: number): number {
  let at = ETH_HEADER_BYTES;
  for (let tags = 0; tags <= MAX_VLAN_TAGS && at + IPV4_HEADER_BYTES <= length; tags++) {
    const type = readU16(u8, frame + at - ETH_HEADER_BYTES + ETH_TYPE);
    if (type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6) return at;
    if (type !== ETHERTYPE_VLAN && type !== ETHERTYPE_QINQ) return NOT_IP;
    at += VLAN_TAG_BYTES;
  }
  return NOT_IP;
}

/**
 * How long the headers of a packet are that is to be cut into segments, up to the payload of TCP.
 * @param packet where the packet begins
 * @param length bytes of the packet that lie there: the headers must be among them
 * @param total bytes of the whole packet
 * @param ip where the IP header begins, in bytes from `packet`
 * @param tcp where the TCP header begins, in bytes from `packet`
 * @param flags of the packet table: which version of IP it is
 * @returns 0 when the headers do not fit together: version, protocol, a fragment, a length
 */
export function headerBytes(
  u8: Uint8Array,
  packet: number,
  length: number,
  total: number,
  ip: number,
  tcp: number,
  flags: number,
): number {
  if (tcp + TCP_HEADER_BYTES > length) return 0;
  const at = packet + ip;
  const version = ipv4Version(u8, at);
  if ((flags & GSO_TCP4) !== 0 && version === 4) {
    const isWhole = ipv4TotalLength(u8, at) === total - ip && !isIpv4Fragment(u8, at);
    const bytes = ipv4HeaderLength(u8, at);
    if (!isWhole || bytes < IPV4_HEADER_BYTES || ip + bytes !== tcp || ipv4Protocol(u8, at) !== IP_PROTOCOL_TCP)
      return 0;
  } else if ((flags & GSO_TCP6) !== 0 && version === 6) {
    if (ip + IPV6_HEADER_BYTES > tcp || readU16(u8, at + IPV6_PAYLOAD_LENGTH) !== total - ip - IPV6_HEADER_BYTES)
      return 0;
  } else {
    return 0;
  }
  const tcpBytes = tcpHeaderLength(u8, packet + tcp);
  return tcpBytes < TCP_HEADER_BYTES || tcp + tcpBytes > length ? 0 : tcp + tcpBytes;
}

/**
 * Makes the headers of one segment out of a copy of the packet's headers. The checksum field of TCP gets the sum of the
 * pseudo header; the sum over the segment is still to be added.
 * @param at where the copy begins
 * @param ip where the IP header begins, in bytes from `at`
 * @param tcp where the TCP header begins, in bytes from `at`
 * @param total bytes of the whole packet
 * @param done bytes of payload in the segments before
 * @param index number of the segment, from 0
 * @param bytes of the segment with its headers
 * @param isLast whether no segment follows
 */
export function writeSegmentHeaders(
  memory: WireMemory,
  at: number,
  ip: number,
  tcp: number,
  total: number,
  done: number,
  index: number,
  bytes: number,
  isLast: boolean,
): void {
  const { u8 } = memory;
  const ipHeader = at + ip;
  if (ipv4Version(u8, ipHeader) === 4) {
    writeU16(u8, ipHeader + IPV4_TOTAL_LENGTH, bytes - ip);
    writeU16(u8, ipHeader + IPV4_IDENTIFICATION, ipv4Identification(u8, ipHeader) + index);
    writeIpv4Checksum(memory, ipHeader);
  } else {
    writeU16(u8, ipHeader + IPV6_PAYLOAD_LENGTH, bytes - ip - IPV6_HEADER_BYTES);
  }
  const tcpHeader = at + tcp;
  writeI32(u8, tcpHeader + TCP_SEQUENCE, readI32(u8, tcpHeader + TCP_SEQUENCE) + done);
  if (index > 0) u8[tcpHeader + TCP_FLAGS] &= ~TCP_CWR;
  if (!isLast) u8[tcpHeader + TCP_FLAGS] &= ~(TCP_FIN | TCP_PSH);
  // The length is the only word of the pseudo header that differs. So its addresses need not be found: with a routing
  // header of IPv6 the destination is not the one in the IP header.
  const pseudo = readU16(u8, tcpHeader + TCP_CHECKSUM);
  writeU16(u8, tcpHeader + TCP_CHECKSUM, foldSum(pseudo + (~(total - tcp) & 0xffff) + bytes - tcp));
}
