/** Checks every byte of a received packet of the stream tests, and what the layer says of the packet. */

import type { Core } from '../../../src/link/core.js';
import { Checksum, type PacketBuffer } from '../../../src/link/packet-buffer.js';
import { readI32, readU16 } from '../../../src/wire/bytes.js';
import { finishSum } from '../../../src/wire/checksum.js';
import { ETH_HEADER_BYTES } from '../../../src/wire/ethernet.js';
import {
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  IPV4_HEADER_BYTES,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4PseudoHeaderSum,
  ipv4TotalLength,
  isIpv4HeaderIntact,
} from '../../../src/wire/ipv4.js';
import { TCP_HEADER_BYTES, tcpHeaderLength, tcpSequence } from '../../../src/wire/tcp.js';
import { udpDestinationPort, udpLength, udpSourcePort } from '../../../src/wire/udp.js';
import { matchPatternAt } from '../tcpip/pattern.js';
import {
  checksumField,
  contentPlace,
  FIRST_PORT,
  headerBytes,
  isTcp,
  MAX_FLOWS,
  PLACE_BYTES,
  STREAM_PORT,
  sumOfPacket,
} from './stream-packet.js';

/** How many faults are written to stderr. */
const REPORTED = 5;

export class StreamCheck {
  /** Of the packet that {@link check} has found right. */
  flow = 0;
  /** Place of its first byte in the stream. */
  place = 0;
  /** Bytes of its payload. */
  bytes = 0;
  readonly counts = {
    ...{ packets: 0, bytes: 0, corrupt: 0, foreign: 0 },
    ...{ gso: 0, chains: 0, partial: 0, verified: 0, longest: 0 },
  };
  private readonly link: number;

  constructor(private readonly core: Core) {
    this.link = core.layer === 'ethernet' ? ETH_HEADER_BYTES : 0;
  }

  /** Returns whether the packet belongs to a stream and all of it is right. Otherwise it is counted, and the first are told. */
  check(packet: PacketBuffer): boolean {
    const { counts, core } = this;
    const { u8 } = core.memory;
    const ip = packet.offset + this.link;
    const protocol = packet.length >= this.link + IPV4_HEADER_BYTES ? ipv4Protocol(u8, ip) : 0;
    if (protocol !== IP_PROTOCOL_TCP && protocol !== IP_PROTOCOL_UDP) {
      counts.foreign++;
      return false;
    }
    const fault = this.faultOf(packet, ip, protocol);
    if (fault !== '') {
      const head = Buffer.from(u8.subarray(packet.offset, packet.offset + 64)).toString('hex');
      if (counts.corrupt++ < REPORTED) process.stderr.write(`wrong packet: ${fault}; ${head}\n`);
      return false;
    }
    counts.packets++;
    counts.bytes += this.bytes;
    if (packet.segmentSize > 0) counts.gso++;
    if (packet.next !== null) counts.chains++;
    if (packet.checksum === Checksum.PARTIAL) counts.partial++;
    if (packet.checksum === Checksum.VERIFIED) counts.verified++;
    counts.longest = Math.max(counts.longest, this.bytes);
    return true;
  }

  private faultOf(packet: PacketBuffer, ip: number, protocol: number): string {
    const { memory } = this.core;
    const { u8 } = memory;
    const header = headerBytes(protocol);
    const l4 = ip + IPV4_HEADER_BYTES;
    const total = ipv4TotalLength(u8, ip);
    const length = total - IPV4_HEADER_BYTES;
    if (packet.length < this.link + IPV4_HEADER_BYTES + header) return 'the headers are not in the first part';
    if (ipv4HeaderLength(u8, ip) !== IPV4_HEADER_BYTES || length < header) return 'the header of IP';
    if (!isIpv4HeaderIntact(memory, ip, IPV4_HEADER_BYTES)) return 'the checksum of IP';
    // A driver pads short frames.
    const surplus = packet.totalLength - this.link - total;
    if (surplus < 0 || (surplus > 0 && total > 46)) return `${packet.totalLength} bytes of which IP has ${total}`;
    if (isTcp(protocol) && tcpHeaderLength(u8, l4) !== TCP_HEADER_BYTES) return 'the header of TCP';
    if (!isTcp(protocol) && udpLength(u8, l4) !== length) return 'the length of UDP';
    this.bytes = length - header;
    const [source, destination] = [udpSourcePort(u8, l4), udpDestinationPort(u8, l4)];
    this.flow = (source === STREAM_PORT ? destination : source) - FIRST_PORT;
    if ((source !== STREAM_PORT && destination !== STREAM_PORT) || this.flow < 0 || this.flow >= MAX_FLOWS)
      return 'ports';
    if (!isTcp(protocol) && this.bytes < PLACE_BYTES) return 'a datagram that is too short';
    this.place = (isTcp(protocol) ? tcpSequence(u8, l4) : readI32(u8, l4 + header)) >>> 0;
    return this.offloadFault(packet, ip, protocol, length) || this.contentFault(packet, l4 + header, protocol);
  }

  private offloadFault(packet: PacketBuffer, ip: number, protocol: number, length: number): string {
    const { u8 } = this.core.memory;
    const l4 = ip + IPV4_HEADER_BYTES;
    const pseudo = ipv4PseudoHeaderSum(u8, ip, protocol, length);
    const field = readU16(u8, l4 + checksumField(protocol));
    if (packet.segmentSize > 0 && (packet.checksum !== Checksum.PARTIAL || !isTcp(protocol) || this.bytes === 0)) {
      return 'GSO without TCP, bytes or a partial checksum';
    }
    if (packet.checksum !== Checksum.PARTIAL) {
      return finishSum(sumOfPacket(this.core.memory, packet, l4, length, pseudo)) === 0 ? '' : 'the checksum';
    }
    if (packet.checksumStart !== l4 - packet.offset || packet.checksumOffset !== checksumField(protocol)) {
      return `the place of the checksum: ${packet.checksumStart}+${packet.checksumOffset}`;
    }
    // DPDK's sum for a packet to segment has no length, because the length of the segments is not known yet.
    const isRight = field === pseudo || (packet.segmentSize > 0 && field === ipv4PseudoHeaderSum(u8, ip, protocol, 0));
    return isRight ? '' : `a partial checksum ${field.toString(16)}, wanted ${pseudo.toString(16)}`;
  }

  private contentFault(packet: PacketBuffer, payload: number, protocol: number): string {
    let skip = isTcp(protocol) ? 0 : PLACE_BYTES;
    let done = 0;
    for (let part: PacketBuffer | null = packet; part !== null && done < this.bytes; part = part.next) {
      const at = part === packet ? payload : part.offset;
      const bytes = Math.min(part.offset + part.length - at, this.bytes - done);
      const hidden = Math.min(skip, bytes);
      skip -= hidden;
      const length = bytes - hidden;
      const right = matchPatternAt(
        this.core.memory.u8,
        at + hidden,
        length,
        contentPlace(this.flow, this.place + done + hidden),
      );
      if (right < length) return `byte ${done + hidden + right} of ${this.bytes} at ${this.place} of flow ${this.flow}`;
      done += bytes;
    }
    return done === this.bytes ? '' : `${done} bytes instead of ${this.bytes}`;
  }
}
