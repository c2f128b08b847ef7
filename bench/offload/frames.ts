/**
 * Makes the frames of the rows `bulk`: TCP, whose checksum has the sum of the pseudo header only, as virtio's NEEDS_CSUM
 * wants it. The payload is a pattern that repeats every 64 bytes of the frame.
 */
import { parseIpv4, parseMac } from '../../src/wire/address.js';
import { writeU16 } from '../../src/wire/bytes.js';
import { foldSum } from '../../src/wire/checksum.js';
import { ETH_HEADER_BYTES, ETHERTYPE_IPV4_WORD, macWords, writeEthHeader } from '../../src/wire/ethernet.js';
import { IP_PROTOCOL_TCP, IPV4_HEADER_BYTES, ipv4PseudoHeaderSum, writeIpv4Header } from '../../src/wire/ipv4.js';
import { wireMemory } from '../../src/wire/memory.js';
import { TCP_ACK, TCP_CHECKSUM, TCP_HEADER_BYTES, writeTcpHeader } from '../../src/wire/tcp.js';
import { macBehind } from '../common/embedded-switch.js';
import { RECEIVER_IP, SENDER_IP } from './rows.js';

/** Bytes of payload per segment: what a TCP with timestamps sends over an MTU of 1500. */
export const SEGMENT_BYTES = 1448;
/**
 * Segments of a GSO packet. OVS-DPDK takes no longer frames: with the headroom of DPDK's buffers, a frame has to fit into
 * 65,535 bytes.
 */
const SEGMENTS = 45;
/** Where the TCP header begins in a frame. */
export const TCP_AT = ETH_HEADER_BYTES + IPV4_HEADER_BYTES;
/** NOP, NOP, timestamps (RFC 7323, appendix A). */
const OPTIONS = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0];
/** Bytes of all headers of a frame. */
export const HEADER_BYTES = TCP_AT + TCP_HEADER_BYTES + OPTIONS.length;
export const GSO_FRAME_BYTES = HEADER_BYTES + SEGMENTS * SEGMENT_BYTES;
export const PLAIN_FRAME_BYTES = HEADER_BYTES + SEGMENT_BYTES;

/** The payload repeats after so many bytes. */
export const PATTERN_BYTES = 64;

/** The byte at a place of every frame, behind its headers. */
export const patternAt = (place: number): number => ((place % PATTERN_BYTES) * 37 + 11) & 0xff;

const SOURCE_PORT = 40_000;
const DESTINATION_PORT = 5001;
const WINDOW = 65_535;

/**
 * Makes a frame from the sender to the receiver.
 * @param bytes its length without FCS, at least {@link HEADER_BYTES}
 */
export function tcpFrame(bytes: number): Uint8Array {
  const frame = new Uint8Array(bytes);
  const memory = wireMemory(frame);
  const length = bytes - TCP_AT;
  writeEthHeader(memory.u16, 0, macOf(1), macOf(0), ETHERTYPE_IPV4_WORD);
  const ip = ETH_HEADER_BYTES;
  writeIpv4Header(memory, ip, bytes - ip, IP_PROTOCOL_TCP, parseIpv4(SENDER_IP), parseIpv4(RECEIVER_IP));
  const headers = TCP_HEADER_BYTES + OPTIONS.length;
  frame.set(OPTIONS, TCP_AT + TCP_HEADER_BYTES);
  for (let i = HEADER_BYTES; i < bytes; i++) frame[i] = patternAt(i);
  writeTcpHeader(memory, ip, TCP_AT, length, headers, SOURCE_PORT, DESTINATION_PORT, 1, 1, TCP_ACK, WINDOW);
  const pseudoHeader = ipv4PseudoHeaderSum(frame, ip, IP_PROTOCOL_TCP, length);
  writeU16(frame, TCP_AT + TCP_CHECKSUM, foldSum(pseudoHeader));
  return frame;
}

const macOf = (port: number): Uint16Array => macWords(parseMac(macBehind(port)));

const PCAP_MAGIC = 0xa1b2c3d4;
const LINKTYPE_ETHERNET = 1;
const PCAP_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;

/** Makes a pcap file with `count` copies of a frame. */
export function pcapOf(frame: Uint8Array, count: number): Uint8Array {
  const file = Buffer.alloc(PCAP_HEADER_BYTES + count * (RECORD_HEADER_BYTES + frame.length));
  file.writeUInt32LE(PCAP_MAGIC, 0);
  file.writeUInt16LE(2, 4);
  file.writeUInt16LE(4, 6);
  file.writeUInt32LE(2 ** 18, 16);
  file.writeUInt32LE(LINKTYPE_ETHERNET, 20);
  for (let i = 0, at = PCAP_HEADER_BYTES; i < count; i++, at += RECORD_HEADER_BYTES + frame.length) {
    file.writeUInt32LE(frame.length, at + 8);
    file.writeUInt32LE(frame.length, at + 12);
    file.set(frame, at + RECORD_HEADER_BYTES);
  }
  return file;
}
