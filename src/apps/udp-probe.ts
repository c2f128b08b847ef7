/**
 * Sends numbered UDP datagrams of mixed sizes to an echo server and checks each byte that comes back: what is lost,
 * doubled or damaged on the way shows. Size and content follow from the number, so nothing need be kept.
 */

import { AppError } from '../errors.js';
import type { Core } from '../link/core.js';
import type { PacketBuffer } from '../link/packet-buffer.js';
import type { PacketHandler } from '../stack.js';
import { parseIpv4 } from '../wire/address.js';
import { readI32, writeI32 } from '../wire/bytes.js';
import {
  IP_PROTOCOL_UDP,
  IPV4_HEADER_BYTES,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  writeIpv4Header,
} from '../wire/ipv4.js';
import {
  isUdpIntact,
  UDP_HEADER_BYTES,
  udpDestinationPort,
  udpLength,
  udpSourcePort,
  writeUdpHeader,
} from '../wire/udp.js';
import { MAX_OUTSTANDING, NOT_WAITING, Outstanding } from './outstanding.js';
import { isPattern, seedOf, writePattern, xorshift32 } from './pattern.js';

export interface UdpProbeOptions {
  /** Whom to send to. */
  readonly to: string;
  /** The echo server's port. Default 7 (RFC 862). */
  readonly port?: number;
  /** Own port. Default: the first from 40007 on with which the echoes come back to this core. */
  readonly sourcePort?: number;
  /** Datagrams in all. Default: no end. */
  readonly count?: number | undefined;
  /** Datagrams under way at once, 1 to 1024. Default 32. */
  readonly window?: number;
  /** Bytes of payload, at least 4, at most what the MTU allows. Default: all from 4 to that. */
  readonly minBytes?: number;
  readonly maxBytes?: number;
  /** How long an echo may take. Default 1000. */
  readonly timeoutMs?: number;
  /** Milliseconds, monotonic. Default: performance.now. */
  readonly clock?: () => number;
}

/** The number of the datagram, 32 bits. */
const NUMBER_BYTES = 4;
const ECHO_PORT = 7;
const SOURCE_PORT = 40007;

/** With several cores a flow belongs to one of them: the port is chosen so that it is this one. */
function ownSourcePort(core: Core, to: number, port: number): number {
  const echo = { protocol: IP_PROTOCOL_UDP, source: to, destination: core.address, sourcePort: port };
  for (let own = SOURCE_PORT; own <= 0xffff; own++) {
    if (core.rssCoreFor({ ...echo, destinationPort: own }) === core.index) return own;
  }
  throw new AppError(`probe: with no source port the echoes come back to core ${core.index}`);
}

export class UdpProbe implements PacketHandler {
  private readonly to: number;
  private readonly port: number;
  private readonly sourcePort: number;
  private readonly count: number;
  private readonly window: number;
  private readonly minBytes: number;
  private readonly maxBytes: number;
  private readonly clock: () => number;
  private readonly outstanding: Outstanding;
  private received = 0;
  private receivedBytes = 0;
  private lost = 0;
  private corrupt = 0;
  private unexpected = 0;

  /** @throws AppError where the sizes or the window are impossible */
  constructor(
    private readonly core: Core,
    options: UdpProbeOptions,
  ) {
    const most = core.mtu - IPV4_HEADER_BYTES - UDP_HEADER_BYTES;
    this.to = parseIpv4(options.to) | 0;
    this.port = options.port ?? ECHO_PORT;
    this.sourcePort = options.sourcePort ?? ownSourcePort(core, this.to, this.port);
    this.count = options.count ?? Number.POSITIVE_INFINITY;
    this.window = options.window ?? 32;
    this.minBytes = options.minBytes ?? NUMBER_BYTES;
    this.maxBytes = options.maxBytes ?? most;
    if (!(this.minBytes >= NUMBER_BYTES && this.minBytes <= this.maxBytes && this.maxBytes <= most)) {
      throw new AppError(`probe: ${this.minBytes} to ${this.maxBytes} bytes; possible are ${NUMBER_BYTES} to ${most}`);
    }
    if (!(this.window >= 1 && this.window <= MAX_OUTSTANDING)) {
      throw new AppError(`probe: a window of ${this.window}; possible are 1 to ${MAX_OUTSTANDING}`);
    }
    this.clock = options.clock ?? (() => performance.now());
    this.outstanding = new Outstanding(options.timeoutMs ?? 1000);
  }

  /** Whether all datagrams were sent, and came back or were given up. */
  get isDone(): boolean {
    return this.outstanding.next >= this.count && this.outstanding.count === 0;
  }

  poll(): number {
    const now = this.clock();
    const { outstanding } = this;
    let work = 0;
    while (outstanding.expire(now) !== NOT_WAITING) {
      this.lost++;
      work++;
    }
    while (this.maySend() && outstanding.hasRoom) {
      if (!this.send(outstanding.next)) break;
      outstanding.sent(now);
      work++;
    }
    return work;
  }

  maxSleepMs(): number {
    const { outstanding } = this;
    // What could be sent and was not waits for room in the ring, of which nothing tells.
    return this.maySend() ? 1 : Math.max(outstanding.nextDeadline() - this.clock(), 0);
  }

  handle(buffer: PacketBuffer): boolean {
    const { memory } = this.core;
    const u8 = memory.u8;
    const ip = buffer.offset;
    if (ipv4Protocol(u8, ip) !== IP_PROTOCOL_UDP || ipv4Source(u8, ip) !== this.to) return false;
    const headerLength = ipv4HeaderLength(u8, ip);
    const udp = ip + headerLength;
    const length = buffer.length - headerLength;
    if (length < UDP_HEADER_BYTES || udpDestinationPort(u8, udp) !== this.sourcePort) return false;
    if (udpSourcePort(u8, udp) !== this.port) return false;
    if (!isUdpIntact(memory, ip, udp, length)) this.corrupt++;
    else this.check(udp + UDP_HEADER_BYTES, udpLength(u8, udp) - UDP_HEADER_BYTES);
    this.core.release(buffer);
    return true;
  }

  report(): Record<string, number> {
    return {
      probe_sent: this.outstanding.next,
      probe_received: this.received,
      probe_received_bytes: this.receivedBytes,
      probe_lost: this.lost,
      probe_corrupt: this.corrupt,
      probe_unexpected: this.unexpected,
    };
  }

  /** One at a time until something came back: a whole window is more than waits for the answer to an ARP request. */
  private maySend(): boolean {
    const { outstanding } = this;
    return outstanding.next < this.count && outstanding.count < (this.received === 0 ? 1 : this.window);
  }

  private send(number: number): boolean {
    const buffer = this.core.getBufferTx();
    if (buffer === null) return false;
    const { memory } = this.core;
    const bytes = this.sizeOf(number);
    const udp = buffer.offset + IPV4_HEADER_BYTES;
    const payload = udp + UDP_HEADER_BYTES;
    writeI32(memory.u8, payload, number);
    writePattern(memory.u8, payload + NUMBER_BYTES, payload + bytes, seedOf(number));
    buffer.length = IPV4_HEADER_BYTES + UDP_HEADER_BYTES + bytes;
    writeIpv4Header(memory, buffer.offset, buffer.length, IP_PROTOCOL_UDP, this.core.address, this.to);
    writeUdpHeader(memory, buffer.offset, udp, UDP_HEADER_BYTES + bytes, this.sourcePort, this.port);
    if (this.core.addBufferToRing(buffer)) return true;
    this.core.release(buffer);
    return false;
  }

  private check(payload: number, bytes: number): void {
    const number = bytes < NUMBER_BYTES ? NOT_WAITING : readI32(this.core.memory.u8, payload);
    if (bytes < NUMBER_BYTES || !this.isIntact(payload, bytes, number)) this.corrupt++;
    else if (this.outstanding.answered(number, this.clock()) === NOT_WAITING) this.unexpected++;
    else {
      this.received++;
      this.receivedBytes += bytes;
    }
  }

  private isIntact(payload: number, bytes: number, number: number): boolean {
    if (bytes !== this.sizeOf(number)) return false;
    return isPattern(this.core.memory.u8, payload + NUMBER_BYTES, payload + bytes, seedOf(number));
  }

  private sizeOf(number: number): number {
    return this.minBytes + ((xorshift32(seedOf(number)) >>> 1) % (this.maxBytes - this.minBytes + 1));
  }
}
