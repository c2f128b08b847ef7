/**
 * From a received frame to the hash of its flow. What is hashed follows Microsoft's specification:
 *
 * - Addresses and ports: TCP and UDP.
 * - Only addresses: any other IP packet; any fragment, because only the first one has the ports; a header length below
 *   20; ports that the length of the packet or of the frame cuts off; in IPv6, an extension header that is unknown or
 *   cut off, or more than eight.
 * - As the packets that answer the quoted packet: an ICMP error, so that it reaches the core of the flow that it is
 *   about (icmp-quote.ts). Microsoft's specification does not have this.
 * - Nothing, {@link NO_HASH}: no IP; more than two VLAN tags; an IP version that does not fit the EtherType; a fixed IP
 *   header that is cut off.
 *
 * Frames are hostile: nothing is read beyond the length. This is not a filter, it only chooses the core: a wrong packet
 * whose addresses are in their place is hashed by them.
 */
import { type MemoryViews, signedWords } from '../../drivers/memory/index.js';
import { readU16 } from '../wire/bytes.js';
import {
  ETH_HEADER_BYTES,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_QINQ,
  ETHERTYPE_VLAN,
  ethType,
} from '../wire/ethernet.js';
import {
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  IPV4_DESTINATION,
  IPV4_HEADER_BYTES,
  IPV4_SOURCE,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4TotalLength,
  ipv4Version,
  isIpv4Fragment,
} from '../wire/ipv4.js';
import {
  IPV6_DESTINATION,
  IPV6_EXTENSION_BYTES,
  IPV6_EXTENSION_LENGTH,
  IPV6_HEADER_BYTES,
  IPV6_NEXT_HEADER,
  IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE,
  isIpv6Extension,
} from '../wire/ipv6.js';
import { NO_QUOTE, quotedPacket } from './icmp-quote.js';
import { exchangePorts, type TupleHash } from './tuple-hash.js';

/** The hash of a packet without a flow. Such packets go to the core of entry 0 of the indirection table. */
export const NO_HASH = 0;

/** IEEE 802.1Q: the type, then priority and VLAN. The next type lies where the type of an untagged frame would lie. */
const VLAN_TAG_BYTES = 4;
const MAX_VLAN_TAGS = 2;
/** RFC 8200, 4.1: each extension header at most once, destination options twice. Eight is more than that. */
const MAX_EXTENSION_HEADERS = 8;
/** Source and destination port, at the same place in TCP and UDP. */
const PORTS_BYTES = 4;
/**
 * An IPv4 header without options: its first byte; its length with the ports; "more fragments" and offset in its memory
 * word.
 */
const PLAIN_VERSION_IHL = 0x45;
const PLAIN_BYTES = IPV4_HEADER_BYTES + PORTS_BYTES;
const FRAGMENT_WORD = 0xff3f0000;
// V8 folds local constants: docs/v8.md, "Local constants".
const TCP = IP_PROTOCOL_TCP;
const UDP = IP_PROTOCOL_UDP;

/** Whether the IPv4 header with these first words has no options and belongs to a whole packet with ports. */
function isPlain(first: number, second: number, third: number): boolean {
  const protocol = (third >>> 8) & 0xff;
  return (
    (first & 0xff) === PLAIN_VERSION_IHL &&
    (((first >>> 8) & 0xff00) | (first >>> 24)) >= PLAIN_BYTES &&
    (second & FRAGMENT_WORD) === 0 &&
    (protocol === UDP || protocol === TCP)
  );
}

/** Whether flows of this IP protocol are hashed with their ports. */
export function hasPorts(protocol: number): boolean {
  return protocol === IP_PROTOCOL_TCP || protocol === IP_PROTOCOL_UDP;
}

export interface FlowHash {
  /** The hash of the Ethernet frame of `length` bytes at `frame`; signed 32 bits. */
  ofFrame(frame: number, length: number): number;
  /** The hash of the IP packet of `length` bytes at `ip`; signed 32 bits. */
  ofPacket(ip: number, length: number): number;
  /** The hashes of the first `count` of the frames at these places. */
  ofFrames(frames: Uint32Array, lengths: Uint32Array, hashes: Int32Array, count: number): void;
  /** The hashes of the first `count` of the IP packets at these places. */
  ofPackets(ips: Uint32Array, lengths: Uint32Array, hashes: Int32Array, count: number): void;
}

/** Closures, as everything in soft RSS: docs/v8.md, "Bursts as closures". */
export function createFlowHash(memory: MemoryViews, tuple: TupleHash): FlowHash {
  const { u8 } = memory;
  const { ipv4, ipv4Ports, ipv6 } = tuple;
  const i32 = signedWords(memory);
  /** Source and destination address of an IPv6 packet that does not begin at a multiple of 4. */
  const unaligned = new Int32Array(8);

  /** The memory word of the four bytes at `at`, which need not be a multiple of 4. */
  const wordAt = (at: number): number => u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16) | (u8[at + 3] << 24);

  const ofUnalignedIpv4 = (ip: number, ports: number): number =>
    ipv4Ports(wordAt(ip + IPV4_SOURCE), wordAt(ip + IPV4_DESTINATION), wordAt(ports));

  /** The hash of the packets that answer the packet at `quote`: with its ends exchanged. */
  const ofAnswerTo = (quote: number): number => {
    const source = wordAt(quote + IPV4_DESTINATION);
    const destination = wordAt(quote + IPV4_SOURCE);
    // Answers need not be fragments, so the first fragment counts as a whole packet. The others have no ports.
    if (!hasPorts(ipv4Protocol(u8, quote)) || ipv4FragmentOffset(u8, quote) > 0) return ipv4(source, destination);
    return ipv4Ports(source, destination, exchangePorts(wordAt(quote + ipv4HeaderLength(u8, quote))));
  };

  /** The hash of an IPv4 packet that is not hashed by its own ports. */
  const ofPortlessIpv4 = (ip: number, length: number): number => {
    const quote = quotedPacket(u8, ip, length);
    if (quote !== NO_QUOTE) return ofAnswerTo(quote);
    return ipv4(wordAt(ip + IPV4_SOURCE), wordAt(ip + IPV4_DESTINATION));
  };

  /** `length` is at least 20. */
  const ofIpv4 = (ip: number, length: number): number => {
    if (ipv4Version(u8, ip) !== 4) return NO_HASH;
    const headerLength = ipv4HeaderLength(u8, ip);
    const end = headerLength + PORTS_BYTES;
    const isByPorts =
      hasPorts(ipv4Protocol(u8, ip)) &&
      headerLength >= IPV4_HEADER_BYTES &&
      end <= length &&
      end <= ipv4TotalLength(u8, ip) &&
      !isIpv4Fragment(u8, ip);
    if (!isByPorts) return ofPortlessIpv4(ip, length);
    if ((ip & 3) !== 0) return ofUnalignedIpv4(ip, ip + headerLength);
    const source = i32[(ip + IPV4_SOURCE) >>> 2];
    const destination = i32[(ip + IPV4_DESTINATION) >>> 2];
    return ipv4Ports(source, destination, i32[(ip + headerLength) >>> 2]);
  };

  /** The ports of an IPv6 packet as a memory word, or 0 if it has none. */
  const portsOfIpv6 = (ip: number, length: number): number => {
    // A jumbogram (RFC 2675) has a length of 0 here: its ports are not searched for.
    const end = ip + Math.min(length, IPV6_HEADER_BYTES + readU16(u8, ip + IPV6_PAYLOAD_LENGTH));
    let next = u8[ip + IPV6_NEXT_HEADER];
    let at = ip + IPV6_HEADER_BYTES;
    for (let headers = 0; isIpv6Extension(next); headers++) {
      if (headers === MAX_EXTENSION_HEADERS || at + IPV6_EXTENSION_BYTES > end) return 0;
      next = u8[at];
      at += (u8[at + IPV6_EXTENSION_LENGTH] + 1) * IPV6_EXTENSION_BYTES;
    }
    return hasPorts(next) && at + PORTS_BYTES <= end ? wordAt(at) : 0;
  };

  const ofIpv6 = (ip: number, length: number): number => {
    if (length < IPV6_HEADER_BYTES) return NO_HASH;
    const ports = portsOfIpv6(ip, length);
    if ((ip & 3) === 0) return ipv6(i32, (ip + IPV6_SOURCE) >>> 2, (ip + IPV6_DESTINATION) >>> 2, ports);
    for (let i = 0; i < unaligned.length; i++) unaligned[i] = wordAt(ip + IPV6_SOURCE + (i << 2));
    return ipv6(unaligned, 0, unaligned.length >>> 1, ports);
  };

  const ofPacket = (ip: number, length: number): number => {
    if (length < IPV4_HEADER_BYTES) return NO_HASH;
    return u8[ip] >>> 4 === 6 ? ofIpv6(ip, length) : ofIpv4(ip, length);
  };

  /** The hash of a frame with VLAN tags, or that is not IPv4. */
  const ofOtherFrame = (frame: number, length: number): number => {
    let header = ETH_HEADER_BYTES;
    let type = ethType(u8, frame);
    for (let tags = 0; tags < MAX_VLAN_TAGS && (type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ); tags++) {
      type = ethType(u8, frame + header - ETH_HEADER_BYTES + VLAN_TAG_BYTES);
      header += VLAN_TAG_BYTES;
    }
    const ip = frame + header;
    const room = length - header;
    if (room < IPV4_HEADER_BYTES) return NO_HASH;
    if (type === ETHERTYPE_IPV4) return ofIpv4(ip, room);
    return type === ETHERTYPE_IPV6 && u8[ip] >>> 4 === 6 ? ofIpv6(ip, room) : NO_HASH;
  };

  const ofFrame = (frame: number, length: number): number => {
    if (length < ETH_HEADER_BYTES + IPV4_HEADER_BYTES) return NO_HASH;
    if (ethType(u8, frame) !== ETHERTYPE_IPV4) return ofOtherFrame(frame, length);
    return ofIpv4(frame + ETH_HEADER_BYTES, length - ETH_HEADER_BYTES);
  };

  const ofFrames = (frames: Uint32Array, lengths: Uint32Array, hashes: Int32Array, count: number): void => {
    for (let i = 0; i < count; i++) hashes[i] = ofFrame(frames[i], lengths[i]);
  };

  // The usual packet is recognised by whole words, and inside of the loop: V8 then inlines the hash, and there is no
  // call per packet (docs/v8.md, "Inlining budget").
  const ofPackets = (ips: Uint32Array, lengths: Uint32Array, hashes: Int32Array, count: number): void => {
    for (let i = 0; i < count; i++) {
      const ip = ips[i];
      const length = lengths[i];
      const at = ip >>> 2;
      hashes[i] =
        length >= PLAIN_BYTES && (ip & 3) === 0 && isPlain(i32[at], i32[at + 1], i32[at + 2])
          ? ipv4Ports(i32[at + 3], i32[at + 4], i32[at + 5])
          : ofPacket(ip, length);
    }
  };

  return { ofFrame, ofPacket, ofFrames, ofPackets };
}
