/**
 * Makes the packets of the stream tests: of every length, in one buffer and in several of all lengths, with a whole
 * checksum, a partial one, and to be segmented.
 */
import type { Core } from '../../../src/link/core.js';
import type { PacketBuffer } from '../../../src/link/packet-buffer.js';
import { writeI32, writeU16 } from '../../../src/wire/bytes.js';
import { finishSum, foldSum } from '../../../src/wire/checksum.js';
import { ETH_HEADER_BYTES, ETHERTYPE_IPV4_WORD, macWords, writeEthHeader } from '../../../src/wire/ethernet.js';
import {
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  IPV4_HEADER_BYTES,
  ipv4PseudoHeaderSum,
  writeIpv4Header,
} from '../../../src/wire/ipv4.js';
import { TCP_ACK, TCP_CWR, TCP_PSH, writeTcpHeader } from '../../../src/wire/tcp.js';
import { writeUdpHeader } from '../../../src/wire/udp.js';
import { writePatternAt } from '../tcpip/pattern.js';
import {
  checksumField,
  contentPlace,
  FIRST_PORT,
  headerBytes,
  isTcp,
  MAX_PAYLOAD,
  PLACE_BYTES,
  STREAM_PORT,
  sumOfPacket,
} from './stream-packet.js';

/** Buffers that a packet may have. */
const MAX_PARTS = 40;
const SHORTEST_SEGMENT = 500;

export interface StreamAddresses {
  readonly source: number;
  readonly destination: number;
  /** With layer `ethernet`: the MAC address of the frame's destination. */
  readonly mac: Uint8Array;
}

/** How often packets of a kind were made. */
export interface MadeCounts {
  packets: number;
  whole: number;
  partial: number;
  /** Packets that stand for two segments or more. */
  gso: number;
  chains: number;
}

export class StreamMaker {
  readonly counts: MadeCounts = { packets: 0, whole: 0, partial: 0, gso: 0, chains: 0 };
  private readonly link: number;
  private readonly from: Uint16Array;
  private readonly to: Uint16Array;

  /**
   * @param longest payload of a packet that asks for segmentation; 0: none does
   * @param seed not 0
   */
  constructor(
    private readonly core: Core,
    private readonly addresses: StreamAddresses,
    private readonly longest: number,
    private seed: number,
  ) {
    this.link = core.layer === 'ethernet' ? ETH_HEADER_BYTES : 0;
    this.from = macWords(core.mac);
    this.to = macWords(addresses.mac);
  }

  /** Whole number from 0 to `below - 1` (xorshift32). */
  random(below: number): number {
    this.seed ^= this.seed << 13;
    this.seed ^= this.seed >>> 17;
    this.seed ^= this.seed << 5;
    return (this.seed >>> 0) % below;
  }

  /** Makes the packet of a flow from a place in its stream on; null when the buffers do not suffice. */
  make(flow: number, place: number): PacketBuffer | null {
    const protocol = (flow & 1) === 0 ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
    const room = this.core.mtu - IPV4_HEADER_BYTES - headerBytes(protocol);
    const isGso = isTcp(protocol) && this.longest > 0 && this.random(2) === 0;
    const least = isGso ? 1 : isTcp(protocol) ? 0 : PLACE_BYTES;
    const bytes =
      least + this.random((isGso ? Math.min(this.longest, MAX_PAYLOAD) : this.random(3) > 0 ? room : 64) - least + 1);
    const isPartial = isGso || this.random(2) === 0;
    const most = this.random(3) > 0 ? Number.POSITIVE_INFINITY : 1 + this.random(600);
    const first = this.fill(flow, place, protocol, bytes, most);
    if (first === null) return null;
    this.headers(first, flow, place, protocol, bytes, isPartial, isGso, room);
    const { counts } = this;
    counts.packets++;
    if (first.segmentSize > 0 && first.segmentSize < bytes) counts.gso++;
    else if (isPartial) counts.partial++;
    else counts.whole++;
    if (first.next !== null) counts.chains++;
    return first;
  }

  /** Gets buffers and writes the payload. Some packets have only the headers in the first buffer. */
  private fill(flow: number, place: number, protocol: number, bytes: number, most: number): PacketBuffer | null {
    const { core } = this;
    const first = core.getBufferTx();
    if (first === null) return null;
    const headers = this.link + IPV4_HEADER_BYTES + headerBytes(protocol);
    first.length = headers;
    let part = first;
    let done = 0;
    for (let parts = 1; ; parts++) {
      const start = part === first ? headers : 0;
      const room = part.capacity - start;
      const wanted = part === first && this.random(2) === 0 ? 0 : Math.min(most, room);
      // What is left must fit into what is left of the parts.
      const needed = Math.min(room, Math.ceil((bytes - done) / (MAX_PARTS - parts + 1)));
      const some = Math.min(bytes - done, Math.max(wanted, needed));
      writePatternAt(core.memory.u8, part.offset + start, some, contentPlace(flow, place + done));
      part.length = start + some;
      done += some;
      if (part !== first) first.append(part);
      if (done === bytes) break;
      const next = core.getBufferTx();
      if (next === null) {
        core.release(first);
        return null;
      }
      part = next;
    }
    if (!isTcp(protocol)) this.writePlace(first, headers, place);
    return first;
  }

  /** Writes the place over the first bytes of the payload, whatever buffers they lie in. */
  private writePlace(first: PacketBuffer, headers: number, place: number): void {
    const word = new Uint8Array(PLACE_BYTES);
    writeI32(word, 0, place | 0);
    let at = first.offset + headers;
    let part: PacketBuffer = first;
    for (const byte of word) {
      while (at === part.offset + part.length) {
        part = part.next!;
        at = part.offset;
      }
      this.core.memory.u8[at++] = byte;
    }
  }

  private headers(
    first: PacketBuffer,
    flow: number,
    place: number,
    protocol: number,
    bytes: number,
    isPartial: boolean,
    isGso: boolean,
    room: number,
  ): void {
    const { memory } = this.core;
    const { source, destination } = this.addresses;
    const ip = first.offset + this.link;
    const l4 = ip + IPV4_HEADER_BYTES;
    const length = headerBytes(protocol) + bytes;
    const field = checksumField(protocol);
    const hasCwr = isGso && this.random(4) === 0;
    if (this.link > 0) writeEthHeader(memory.u16, first.offset, this.to, this.from, ETHERTYPE_IPV4_WORD);
    writeIpv4Header(memory, ip, IPV4_HEADER_BYTES + length, protocol, source, destination);
    // The writers sum what lies behind the header in the memory: the right sum comes after them.
    if (isTcp(protocol)) {
      const flags = TCP_ACK | TCP_PSH | (hasCwr ? TCP_CWR : 0);
      writeTcpHeader(memory, ip, l4, 20, 20, FIRST_PORT + flow, STREAM_PORT, place | 0, flow, flags, 0xffff);
    } else {
      writeUdpHeader(memory, ip, l4, 8, FIRST_PORT + flow, STREAM_PORT);
      writeU16(memory.u8, l4 + 4, length);
    }
    const pseudo = foldSum(ipv4PseudoHeaderSum(memory.u8, ip, protocol, length));
    writeU16(memory.u8, l4 + field, isPartial ? pseudo : 0);
    if (isPartial) first.requestChecksum(l4 - first.offset, field);
    else writeU16(memory.u8, l4 + field, finishSum(sumOfPacket(memory, first, l4, length, pseudo)) || 0xffff);
    if (isGso) {
      first.requestSegmentation(SHORTEST_SEGMENT + this.random(room - SHORTEST_SEGMENT + 1), 4, hasCwr);
    }
  }
}
