/**
 * IPv4 for a host on one link (RFC 791; RFC 1122, 3): the face of this folder. TCP and UDP register themselves, take
 * what they receive, and send through it.
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import type { Core } from '../../link/core.js';
import type { PacketBuffer } from '../../link/packet-buffer.js';
import { ICMP_TIME_EXCEEDED } from '../../wire/icmp.js';
import {
  IP_PROTOCOL_TCP,
  IP_PROTOCOL_UDP,
  IPV4_DEFAULT_TTL,
  IPV4_DONT_FRAGMENT,
  IPV4_HEADER_BYTES,
} from '../../wire/ipv4.js';
import type { Clock } from '../clock.js';
import { LoopQueue } from '../loop-queue.js';
import { OwnAddress } from '../own-address.js';
import { createIpCounters } from './counters.js';
import { Icmp } from './icmp.js';
import { IcmpErrors } from './icmp-errors.js';
import { Identification } from './identification.js';
import { IpInput } from './input.js';
import { IpOutput } from './output.js';
import { PathMtus } from './path-mtu.js';
import { type RandomSource, systemRandom } from './random.js';
import { Reassembler, type ReassemblyTimeout } from './reassembly.js';
import type { TransportProtocol } from './transport.js';

/** Code of ICMP "time exceeded": fragments were missing. */
const REASSEMBLY_TIME = 1;

export interface IpOptions {
  /** How many datagrams can be in pieces at a time; each takes up to 64 KiB. Default 64. */
  readonly datagrams?: number | undefined;
  /** How long a datagram may be in pieces, in ms. Default 30,000. */
  readonly reassemblyMs?: number | undefined;
  /** Time to live of what is sent, 1 to 255 (RFC 1122, 3.2.1.7). Default 64. */
  readonly ttl?: number | undefined;
  /** Where random numbers come from. Default: the operating system. */
  readonly random?: RandomSource | undefined;
}

export class Ip implements ReassemblyTimeout {
  /** Our address, for all protocols. */
  readonly own: OwnAddress;
  private readonly mtus: PathMtus;
  private readonly errors: IcmpErrors;
  private readonly counters = createIpCounters();
  private readonly loop = new LoopQueue();
  private readonly reassembler: Reassembler;
  private readonly rx: IpInput;
  private readonly tx: IpOutput;
  private readonly icmp: Icmp;

  /** @param clock whoever polls keeps it up to date */
  constructor(
    private readonly core: Core,
    clock: Clock,
    options: IpOptions = {},
  ) {
    const { counters } = this;
    const random = options.random ?? systemRandom;
    const own = new OwnAddress(core.address | 0);
    this.own = own;
    this.mtus = new PathMtus(core.mtu, clock, counters);
    this.tx = new IpOutput(
      core,
      own,
      this.mtus,
      new Identification(random),
      this.loop,
      counters,
      options.ttl ?? IPV4_DEFAULT_TTL,
    );
    this.errors = new IcmpErrors(core, own, this.tx, clock, counters, random);
    this.icmp = new Icmp(own, this.tx, counters);
    this.reassembler = new Reassembler(counters, this, options.datagrams, options.reassemblyMs);
    this.rx = new IpInput(core, own, clock, this.reassembler, this.icmp, this.errors, counters);
  }

  /**
   * Registers the protocol that takes datagrams and ICMP errors.
   * @param protocol {@link IP_PROTOCOL_TCP} or {@link IP_PROTOCOL_UDP}
   * @throws RangeError when it is another protocol
   */
  register(protocol: number, transport: TransportProtocol): void {
    if (protocol === IP_PROTOCOL_TCP) {
      this.rx.tcp = transport;
      this.icmp.tcp = transport;
    } else if (protocol === IP_PROTOCOL_UDP) {
      this.rx.udp = transport;
      this.icmp.udp = transport;
    } else {
      throw new RangeError(`register: protocol ${protocol} is neither TCP (6) nor UDP (17)`);
    }
  }

  /** Takes a received packet: the buffer no longer belongs to the caller. */
  input(buffer: PacketBuffer): void {
    this.rx.receive(buffer);
  }

  /** How many packets wait that the stack has sent to its own address. */
  get looped(): number {
    return this.loop.count;
  }

  /** Receives the packets to ourselves that wait; those that are sent meanwhile wait for the next call. Returns how many. */
  inputLooped(): number {
    const { loop, rx } = this;
    const { count } = loop;
    for (let i = 0; i < count; i++) {
      const buffer = loop.take();
      if (buffer !== null) rx.receive(buffer);
    }
    return count;
  }

  /** Drops the packets to ourselves that wait: the stack ends. */
  dropLooped(): void {
    for (let buffer = this.loop.take(); buffer !== null; buffer = this.loop.take()) this.core.release(buffer);
  }

  /** Time to live of the packets that are sent from now on: whoever changes it changes it back. */
  get ttl(): number {
    return this.tx.ttl;
  }

  set ttl(ttl: number) {
    this.tx.ttl = ttl;
  }

  /** As {@link Core.offloads}. */
  get offloads(): number {
    return this.core.offloads;
  }

  /** As {@link Core.release}. */
  release(buffer: PacketBuffer): void {
    this.core.release(buffer);
  }

  /** As {@link IpOutput.begin}. */
  begin(): PacketBuffer | null {
    return this.tx.begin();
  }

  /** As {@link IpOutput.send}, without ECN and with "don't fragment" unless told otherwise. */
  send(
    buffer: PacketBuffer,
    protocol: number,
    destination: number,
    payloadLength: number,
    tos = 0,
    mayFragment = false,
  ): boolean {
    return this.tx.send(buffer, protocol, destination, payloadLength, tos, mayFragment);
  }

  /** Writes the header of a packet that is not fragmented, with "don't fragment", for {@link push}. */
  writeHeader(offset: number, protocol: number, destination: number, payloadLength: number, tos: number): void {
    const length = IPV4_HEADER_BYTES + payloadLength;
    this.tx.writeHeader(offset, length, protocol, destination, tos, 0, IPV4_DONT_FRAGMENT);
  }

  /** As {@link IpOutput.push}. */
  push(buffer: PacketBuffer, destination: number): boolean {
    return this.tx.push(buffer, destination);
  }

  /** As {@link IpOutput.sendFrom}. */
  sendFrom(memory: MemoryViews, from: number, length: number, protocol: number, destination: number, tos = 0): boolean {
    return this.tx.sendFrom(memory, from, length, protocol, destination, tos);
  }

  /** As {@link PathMtus.pathMtu}. */
  pathMtu(destination: number): number {
    return this.mtus.pathMtu(destination);
  }

  /** As {@link PathMtus.reduce}. */
  reduceMtu(destination: number, mtu: number): boolean {
    return this.mtus.reduce(destination, mtu);
  }

  /** As {@link IcmpErrors.send}. */
  sendError(type: number, code: number, memory: MemoryViews, ip: number): void {
    this.errors.send(type, code, memory, ip);
  }

  /** Does what is due at `ms` of the clock. Costs nothing when nothing is due. */
  tick(ms: number): void {
    this.reassembler.tick(ms);
  }

  /** Milliseconds until {@link tick} has something to do; Infinity when it has not. */
  msToNext(ms: number): number {
    return this.reassembler.msToNext(ms);
  }

  /** The counters, by name. */
  report(): Record<string, number> {
    return this.counters.snapshot();
  }

  /** @internal */
  reassemblyTimedOut(memory: MemoryViews, ip: number): void {
    this.errors.send(ICMP_TIME_EXCEEDED, REASSEMBLY_TIME, memory, ip);
  }
}
