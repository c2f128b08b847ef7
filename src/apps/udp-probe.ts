/**
 * Sends numbered UDP datagrams of mixed sizes to an echo server, a window at a time, and checks every byte of the
 * answers: it counts datagrams that are lost, doubled or damaged on the way.
 */

import { AppError } from '../errors.js';
import type { Core } from '../link/core.js';
import type { PacketBuffer } from '../link/packet-buffer.js';
import { readI32, writeI32 } from '../wire/bytes.js';
import { IP_PROTOCOL_UDP } from '../wire/ipv4.js';
import { UDP_HEADER_BYTES, udpDestinationPort, udpLength, udpSourcePort, writeUdpHeader } from '../wire/udp.js';
import { isDatagramIntact } from './demux.js';
import { CORRUPT, EchoClient, type EchoClientOptions } from './echo-client.js';
import { MAX_OUTSTANDING } from './outstanding.js';
import { seedOf, xorshift32 } from './pattern.js';

export interface UdpProbeOptions extends EchoClientOptions {
  /** Port of the echo server. Default 7 (RFC 862). */
  readonly port?: number;
  /** Own port. Default: the first one from 40007 on whose answers reach this core. */
  readonly sourcePort?: number;
  /** Datagrams that may wait for their answer at the same time, 1 to 1024. Default 32. */
  readonly window?: number;
  /** Smallest payload in bytes, at least 4. Default 4. */
  readonly minBytes?: number;
  /** Largest payload in bytes. Default: as the MTU allows. */
  readonly maxBytes?: number;
}

/** Bytes of the datagram's number. */
const NUMBER_BYTES = 4;
const ECHO_PORT = 7;
const FIRST_SOURCE_PORT = 40007;

const FORMAT = { name: 'probe', protocol: IP_PROTOCOL_UDP, headerBytes: UDP_HEADER_BYTES, numberBytes: NUMBER_BYTES };

export class UdpProbe extends EchoClient {
  private readonly port: number;
  private readonly sourcePort: number;
  private readonly window: number;

  private receivedBytes = 0;

  /** @throws AppError when the sizes or the window are impossible */
  constructor(core: Core, options: UdpProbeOptions) {
    super(core, FORMAT, options, [options.minBytes, options.maxBytes]);
    this.port = options.port ?? ECHO_PORT;
    this.sourcePort = options.sourcePort ?? this.ownSourcePort();
    this.window = options.window ?? 32;

    if (!(this.window >= 1 && this.window <= MAX_OUTSTANDING)) {
      throw new AppError(`probe: a window of ${this.window}; possible are 1 to ${MAX_OUTSTANDING}`);
    }
  }

  maxSleepMs(): number {
    // When a datagram may be sent and was not, the transmit ring was full. It does not tell when it has room again.
    return this.maySend() ? 1 : Math.max(this.outstanding.nextDeadline() - this.clock(), 0);
  }

  override report(): Record<string, number> {
    return { ...super.report(), probe_received_bytes: this.receivedBytes };
  }

  protected sendDue(now: number): number {
    const { outstanding } = this;
    const first = outstanding.next;
    while (this.maySend() && outstanding.hasRoom && this.send(outstanding.next)) outstanding.sent(now);
    return outstanding.next - first;
  }

  /**
   * Until the first answer comes, only one datagram is under way: the layer holds fewer packets than a window back for
   * ARP.
   */
  private maySend(): boolean {
    const { outstanding } = this;
    return outstanding.next < this.count && outstanding.count < (this.received === 0 ? 1 : this.window);
  }

  /** With several cores, a flow belongs to one of them. Returns a port whose answers reach this core. */
  private ownSourcePort(): number {
    const { core } = this;
    const answer = { protocol: IP_PROTOCOL_UDP, source: this.to, destination: core.address, sourcePort: this.port };
    for (let own = FIRST_SOURCE_PORT; own <= 0xffff; own++) {
      if (core.rssCoreFor({ ...answer, destinationPort: own }) === core.index) return own;
    }
    throw new AppError(`probe: there is no source port whose answers reach core ${core.index}`);
  }

  protected sizeOf(number: number): number {
    return this.minBytes + ((xorshift32(seedOf(number)) >>> 1) % this.sizes);
  }

  protected writeHeader(ip: number, udp: number, length: number, number: number): void {
    writeI32(this.core.memory.u8, udp + UDP_HEADER_BYTES, number);
    writeUdpHeader(this.core.memory, ip, udp, length, this.sourcePort, this.port);
  }

  protected isForUs(udp: number): boolean {
    const u8 = this.core.memory.u8;
    return udpDestinationPort(u8, udp) === this.sourcePort && udpSourcePort(u8, udp) === this.port;
  }

  protected identify(packet: PacketBuffer, udp: number, length: number): number {
    const { memory } = this.core;
    if (!isDatagramIntact(memory, packet, udp, length)) return CORRUPT;
    const ownLength = udpLength(memory.u8, udp);
    if (ownLength < UDP_HEADER_BYTES + NUMBER_BYTES) return CORRUPT;
    const number = readI32(memory.u8, udp + UDP_HEADER_BYTES);
    return this.isPayloadIntact(udp, ownLength, number) ? number : CORRUPT;
  }

  protected onAnswer(number: number): void {
    this.receivedBytes += this.sizeOf(number);
  }
}
