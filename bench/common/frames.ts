/**
 * Makes the frames that benchmarks send: UDP to the discard port (RFC 863), as those of testpmd's txonly and flowgen.
 */
import { parseIpv4, parseMac } from '../../src/wire/address.js';
import {
  copyMac,
  ETH_HEADER_BYTES,
  ETHERTYPE_IPV4_WORD,
  macWords,
  writeEthSourceAndType,
} from '../../src/wire/ethernet.js';
import { IP_PROTOCOL_UDP, IPV4_HEADER_BYTES, writeIpv4Header } from '../../src/wire/ipv4.js';
import { writeUdpHeader } from '../../src/wire/udp.js';

export interface Endpoint {
  readonly ip: string;
  readonly mac: string;
}

const DISCARD_PORT = 9;

/**
 * Makes a UDP frame.
 * @param bytes length of the frame without FCS, at least 42
 */
export function udpFrame(bytes: number, from: Endpoint, to: Endpoint, port = DISCARD_PORT): Uint8Array {
  // Two bytes in front of the frame put the IP header at a multiple of four, as in a packet buffer.
  const start = 2;
  const room = new ArrayBuffer((start + bytes + 3) & ~3);
  const memory = { u8: new Uint8Array(room), u16: new Uint16Array(room), u32: new Uint32Array(room) };
  const ip = start + ETH_HEADER_BYTES;
  const udp = ip + IPV4_HEADER_BYTES;
  copyMac(memory.u16, start >>> 1, macWords(parseMac(to.mac)), 0);
  writeEthSourceAndType(memory.u16, start, macWords(parseMac(from.mac)), ETHERTYPE_IPV4_WORD);
  writeIpv4Header(memory, ip, start + bytes - ip, IP_PROTOCOL_UDP, parseIpv4(from.ip), parseIpv4(to.ip));
  writeUdpHeader(memory, ip, udp, start + bytes - udp, DISCARD_PORT, port);
  return memory.u8.slice(start, start + bytes);
}
