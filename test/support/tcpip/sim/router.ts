/** What a router does to packets: tells that they are too long, fragments them, marks them. */

import { parseIpv4 } from '../../../../src/wire/address.js';
import { readU16, writeU16 } from '../../../../src/wire/bytes.js';
import { internetChecksum } from '../../../../src/wire/checksum.js';
import {
  copyMac,
  ETH_HEADER_BYTES,
  ETH_SOURCE,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV4_WORD,
  ethType,
  macWords,
  writeEthHeader,
} from '../../../../src/wire/ethernet.js';
import {
  ICMP_DESTINATION_UNREACHABLE,
  ICMP_FRAGMENTATION_NEEDED,
  ICMP_HEADER_BYTES,
  ICMP_NEXT_HOP_MTU,
} from '../../../../src/wire/icmp.js';
import {
  IP_PROTOCOL_ICMP,
  IPV4_DONT_FRAGMENT,
  IPV4_DSCP_ECN,
  IPV4_FRAGMENT,
  IPV4_HEADER_BYTES,
  IPV4_MORE_FRAGMENTS,
  IPV4_TOTAL_LENGTH,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  writeIpv4Checksum,
  writeIpv4Header,
} from '../../../../src/wire/ipv4.js';
import { wireMemory } from '../../../../src/wire/memory.js';
import type { FramePool } from './frame-pool.js';

/** Where the ICMP messages of routers come from (RFC 5737, 3: an address for documentation). */
export const ROUTER_IP = '192.0.2.1';
const ROUTER_MAC = macWords(Uint8Array.of(2, 0, 192, 0, 2, 1));
/** Bytes of the packet's payload that are quoted (RFC 792). */
const QUOTED_PAYLOAD_BYTES = 8;
const IP = ETH_HEADER_BYTES;
/** Both bits of the ECN field (RFC 3168, 5). */
const CONGESTION_EXPERIENCED = 3;

/** Whether a router may fragment the packet. */
export function mayFragment(frame: Uint8Array): boolean {
  return ethType(frame, 0) === ETHERTYPE_IPV4 && (readU16(frame, IP + IPV4_FRAGMENT) & IPV4_DONT_FRAGMENT) === 0;
}

/**
 * Marks the packet "congestion experienced" if its sender allows it (RFC 3168, 5).
 * @returns whether it did
 */
export function markCongestion(frame: Uint8Array): boolean {
  const field = frame[IP + IPV4_DSCP_ECN]! & CONGESTION_EXPERIENCED;
  if (ethType(frame, 0) !== ETHERTYPE_IPV4 || field === 0 || field === CONGESTION_EXPERIENCED) return false;
  frame[IP + IPV4_DSCP_ECN]! |= CONGESTION_EXPERIENCED;
  writeIpv4Checksum(wireMemory(frame), IP);
  return true;
}

/**
 * Makes the ICMP message that tells the sender of the frame in `slot` the MTU (RFC 1191, 4). Returns null for no IP
 * packet.
 */
export function answerTooBig(frames: FramePool, slot: number, mtu: number): number | null {
  const frame = frames.views[slot]!;
  // RFC 1122, 3.2.2: no error about an ICMP message (an error among them).
  if (ethType(frame, 0) !== ETHERTYPE_IPV4 || ipv4Protocol(frame, IP) === IP_PROTOCOL_ICMP) return null;
  const quoted = ipv4HeaderLength(frame, IP) + QUOTED_PAYLOAD_BYTES;
  const length = IPV4_HEADER_BYTES + ICMP_HEADER_BYTES + quoted;
  const answer = frames.take(ETH_HEADER_BYTES + length);
  const memory = wireMemory(frames.views[answer]!);
  const { u8, u16 } = memory;
  const icmp = IP + IPV4_HEADER_BYTES;
  const sender = new Uint16Array(3);
  copyMac(sender, 0, wireMemory(frame).u16, ETH_SOURCE >>> 1);
  writeEthHeader(u16, 0, sender, ROUTER_MAC, ETHERTYPE_IPV4_WORD);
  writeIpv4Header(memory, IP, length, IP_PROTOCOL_ICMP, parseIpv4(ROUTER_IP), ipv4Source(frame, IP));
  u8.fill(0, icmp, icmp + ICMP_HEADER_BYTES);
  u8[icmp] = ICMP_DESTINATION_UNREACHABLE;
  u8[icmp + 1] = ICMP_FRAGMENTATION_NEEDED;
  writeU16(u8, icmp + ICMP_NEXT_HOP_MTU, mtu);
  u8.set(frame.subarray(IP, IP + quoted), icmp + ICMP_HEADER_BYTES);
  writeU16(u8, icmp + 2, internetChecksum(memory, icmp, ICMP_HEADER_BYTES + quoted));
  return answer;
}

/** Splits the packet in `slot`, which stays the caller's (RFC 791, 2.3). Returns the slots of the fragments. */
export function writeFragments(frames: FramePool, slot: number, mtu: number): number[] {
  const frame = frames.views[slot]!;
  const headerLength = ipv4HeaderLength(frame, IP);
  const payload = ipv4TotalLength(frame, IP) - headerLength;
  const fields = readU16(frame, IP + IPV4_FRAGMENT);
  // All fragments but the last have a multiple of eight bytes.
  const most = (mtu - headerLength) & ~7;
  const fragments: number[] = [];
  for (let at = 0; at < payload; at += most) {
    const bytes = Math.min(most, payload - at);
    const fragment = frames.take(ETH_HEADER_BYTES + headerLength + bytes);
    const memory = wireMemory(frames.views[fragment]!);
    const from = IP + headerLength;
    memory.u8.set(frame.subarray(0, from));
    memory.u8.set(frame.subarray(from + at, from + at + bytes), from);
    writeU16(memory.u8, IP + IPV4_TOTAL_LENGTH, headerLength + bytes);
    const more = at + bytes < payload ? IPV4_MORE_FRAGMENTS : 0;
    writeU16(memory.u8, IP + IPV4_FRAGMENT, (fields + (at >>> 3)) | more);
    writeIpv4Checksum(memory, IP);
    fragments.push(fragment);
  }
  return fragments;
}
