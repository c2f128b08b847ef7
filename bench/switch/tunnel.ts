/** The two ends of the tunnel of the rows `vxlan`, and its packets (RFC 7348). */
import { VXLAN_BYTES, VXLAN_HAS_VNI, VXLAN_PORT } from '../../bess/modules/tunnel/vxlan.js';
import { parseIpv4, parseMac } from '../../src/wire/address.js';
import { writeI32, writeU16 } from '../../src/wire/bytes.js';
import { ETH_HEADER_BYTES, ETHERTYPE_IPV4_WORD, macWords, writeEthHeader } from '../../src/wire/ethernet.js';
import {
  IP_PROTOCOL_UDP,
  IPV4_HEADER_BYTES,
  IPV4_SOURCE,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4TotalLength,
  ipv4Ttl,
  isIpv4Fragment,
  isIpv4Intact,
  writeIpv4Header,
} from '../../src/wire/ipv4.js';
import { type WireMemory, wireMemory } from '../../src/wire/memory.js';
import {
  isUdpIntact,
  UDP_DESTINATION_PORT,
  UDP_HEADER_BYTES,
  UDP_LENGTH,
  UDP_SOURCE_PORT,
  udpDestinationPort,
  udpLength,
  udpSourcePort,
} from '../../src/wire/udp.js';
import type { Endpoint } from '../common/frames.js';

export const VNI = 999;
/** The switch that is measured, and the host that the load plays. */
export const HERE: Endpoint = { ip: '192.0.2.1', mac: '52:54:00:00:01:01' };
export const THERE: Endpoint = { ip: '192.0.2.2', mac: '52:54:00:00:01:02' };

const IP_AT = ETH_HEADER_BYTES;
const UDP_AT = IP_AT + IPV4_HEADER_BYTES;
const VXLAN_AT = UDP_AT + UDP_HEADER_BYTES;
/** Bytes of the headers before the inner frame. */
export const OUTER_BYTES = UDP_AT + VXLAN_BYTES;
/** With the headers of a tunnel, a frame of 1500 bytes must fit. */
export const NETWORK_MTU = 1500 + OUTER_BYTES;
/** A port as senders take them from a hash of the flow. */
const SOURCE_PORT = 0xc123;

/** Makes the packet that carries a frame from one host to the other. Its UDP checksum is 0, as the RFC recommends. */
export function encapsulated(inner: Uint8Array, from: Endpoint, to: Endpoint): Uint8Array {
  const packet = new Uint8Array(OUTER_BYTES + inner.length);
  const memory = wireMemory(packet);
  const [source, destination] = [from, to].map(({ mac }) => macWords(parseMac(mac)));
  writeEthHeader(memory.u16, 0, destination, source, ETHERTYPE_IPV4_WORD);
  const bytes = packet.length - IP_AT;
  writeIpv4Header(memory, IP_AT, bytes, IP_PROTOCOL_UDP, parseIpv4(from.ip), parseIpv4(to.ip));
  writeU16(packet, UDP_AT + UDP_SOURCE_PORT, SOURCE_PORT);
  writeU16(packet, UDP_AT + UDP_DESTINATION_PORT, VXLAN_PORT);
  writeU16(packet, UDP_AT + UDP_LENGTH, packet.length - UDP_AT);
  packet[VXLAN_AT] = VXLAN_HAS_VNI;
  writeI32(packet, VXLAN_AT + 4, VNI << 8);
  packet.set(inner, OUTER_BYTES);
  return packet;
}

/**
 * Whether `length` bytes at `at` are a packet such as `expected`, which {@link encapsulated} made. What senders choose
 * themselves may be anything valid: the source port, the time to live, the identification, the UDP checksum.
 */
export function isEncapsulated(memory: WireMemory, at: number, length: number, expected: Uint8Array): boolean {
  const { u8 } = memory;
  const [ip, udp] = [at + IP_AT, at + UDP_AT];
  const isSame = (begin: number, end: number): boolean =>
    Buffer.compare(u8.subarray(at + begin, at + end), expected.subarray(begin, end)) === 0;
  return (
    length === expected.length &&
    isSame(0, IP_AT) &&
    isIpv4Intact(memory, ip, length - IP_AT) &&
    ipv4HeaderLength(u8, ip) === IPV4_HEADER_BYTES &&
    ipv4TotalLength(u8, ip) === length - IP_AT &&
    !isIpv4Fragment(u8, ip) &&
    ipv4Ttl(u8, ip) > 0 &&
    ipv4Protocol(u8, ip) === IP_PROTOCOL_UDP &&
    isSame(IP_AT + IPV4_SOURCE, UDP_AT) &&
    isUdpIntact(memory, ip, udp, length - UDP_AT) &&
    udpLength(u8, udp) === length - UDP_AT &&
    udpSourcePort(u8, udp) > 0 &&
    udpDestinationPort(u8, udp) === VXLAN_PORT &&
    isSame(VXLAN_AT, length)
  );
}
