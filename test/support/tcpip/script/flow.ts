/** The peer's end of one connection of a script: addresses, and what the numbers of its segments are relative to. */
import { readI32 } from '../../../../src/wire/bytes.js';
import { IPV4_DESTINATION, ipv4HeaderLength } from '../../../../src/wire/ipv4.js';
import { TCP_SYN, tcpDestinationPort, tcpFlags, tcpSequence, tcpSourcePort } from '../../../../src/wire/tcp.js';
import { type Decoded, decodeSegment, encodeSegment } from './segment-bytes.js';
import type { Segment } from './segment-text.js';

export interface FlowOptions {
  /** The peer's address as a number. */
  readonly remote: number;
  readonly remotePort: number;
  /** The address of the stack as a number. */
  readonly local: number;
  /** Port of the stack; 0: the one that the stack takes for its SYN. */
  readonly localPort: number;
}

export class Flow {
  private localPort: number;
  private ourIss: number | null = null;
  private peerIss: number | null = null;
  /** The first timestamp that the stack has sent, and the last one. */
  private firstVal: number | null = null;
  private lastVal = 0;

  constructor(private readonly options: FlowOptions) {
    this.localPort = options.localPort;
  }

  /** Port of the stack; 0 until it is known. */
  get port(): number {
    return this.localPort;
  }

  /** The ISS of the stack as it is; 0 until it is known. */
  get iss(): number {
    return this.ourIss ?? 0;
  }

  /** The last timestamp of the stack as it is; 0 before the first one. */
  get timestamp(): number {
    return this.lastVal;
  }

  /** Whether the stack has sent this packet to this peer. */
  owns(packet: Uint8Array): boolean {
    const { remote, remotePort } = this.options;
    const tcp = ipv4HeaderLength(packet, 0);
    if (readI32(packet, IPV4_DESTINATION) !== (remote | 0) || tcpDestinationPort(packet, tcp) !== remotePort)
      return false;
    return this.localPort === 0 || tcpSourcePort(packet, tcp) === this.localPort;
  }

  isOf(remotePort: number, localPort: number): boolean {
    return this.options.remotePort === remotePort && this.localPort === localPort;
  }

  /** The next connection between the same ports: its numbers count from its own SYNs. */
  restart(): void {
    this.ourIss = null;
    this.peerIss = null;
    this.firstVal = null;
  }

  /** Makes the packet of a segment from the peer. The first SYN tells the peer's ISS as it is. */
  encode(segment: Segment, payload?: Uint8Array): Uint8Array {
    const { remote, remotePort, local } = this.options;
    if (this.peerIss === null && (segment.flags & TCP_SYN) !== 0 && typeof segment.seq === 'number') {
      this.peerIss = segment.seq;
      return this.encode({ ...segment, seq: 0 }, payload);
    }
    const addresses = { source: remote, destination: local, sourcePort: remotePort, destinationPort: this.localPort };
    const bases = {
      seq: this.peerIss ?? 0,
      ack: this.ourIss ?? 0,
      val: 0,
      ecr: this.firstVal ?? 0,
      lastVal: this.lastVal,
    };
    return encodeSegment(segment, bases, addresses, payload);
  }

  /** Makes a packet as the stack would have sent it, for an ICMP error to quote. */
  quote(segment: Segment): Uint8Array {
    const { remote, remotePort, local } = this.options;
    const addresses = { source: local, destination: remote, sourcePort: this.localPort, destinationPort: remotePort };
    const bases = { seq: this.ourIss ?? 0, ack: this.peerIss ?? 0, val: this.firstVal ?? 0, ecr: 0, lastVal: 0 };
    return encodeSegment(segment, bases, addresses);
  }

  /** Reads a segment that the stack has sent. Each of its SYNs tells its ISS. */
  decode(packet: Uint8Array): Decoded {
    const tcp = ipv4HeaderLength(packet, 0);
    if ((tcpFlags(packet, tcp) & TCP_SYN) !== 0) {
      this.ourIss = tcpSequence(packet, tcp);
      this.localPort = tcpSourcePort(packet, tcp);
    }
    const bases = { seq: this.ourIss ?? 0, ack: this.peerIss ?? 0, val: this.firstVal ?? 0, ecr: 0, lastVal: 0 };
    const decoded = decodeSegment(packet, bases);
    if (decoded.rawVal === undefined) return decoded;
    this.lastVal = decoded.rawVal;
    if (this.firstVal !== null) return decoded;
    this.firstVal = decoded.rawVal;
    return decodeSegment(packet, { ...bases, val: this.firstVal });
  }
}
