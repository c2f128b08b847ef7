/**
 * Scripted segments: a test says what the peer sends and what the stack must answer, in virtual time.
 *
 * ```ts
 * const s = await script({ stack, listen: { port: 80 } });
 * s.inject('S 1000:1000(0) win 65535 <mss 1460, sackOK>');
 * s.expect('S. 0:0(0) ack 1 <mss 1460, sackOK>');
 * s.inject('. 1:1(0) ack 1');
 * s.at(200).inject('P. 1:101(100) ack 1').after(40).expect('. 1:1(0) ack 101');
 * await s.stop();
 * ```
 *
 * Sequence numbers count from the ISS of their side, whose SYN has number 0; the peer's first SYN is written with its ISS
 * itself. Timestamps of the stack count from its first one, in ms. `win` is the field, not scaled.
 */
import type { Core } from '../../../../src/link/core.js';
import type { Stack } from '../../../../src/stack.js';
import type { Connection, TcpHandlers } from '../../../../src/tcpip/tcp/state/api.js';
import { type FakePort, type FakePortOptions, openFakePort } from '../../../../src/testing/fake-port.js';
import { parseIpv4 } from '../../../../src/wire/address.js';
import { writeU16 } from '../../../../src/wire/bytes.js';
import { internetChecksum } from '../../../../src/wire/checksum.js';
import { ICMP_CHECKSUM, ICMP_HEADER_BYTES, ICMP_NEXT_HOP_MTU } from '../../../../src/wire/icmp.js';
import {
  IP_PROTOCOL_ICMP,
  IP_PROTOCOL_TCP,
  IPV4_HEADER_BYTES,
  ipv4HeaderLength,
  ipv4Protocol,
  isIpv4Intact,
  writeIpv4Header,
} from '../../../../src/wire/ipv4.js';
import { wireMemory } from '../../../../src/wire/memory.js';
import { isTcpIntact } from '../../../../src/wire/tcp.js';
import { ScriptedApp } from './app.js';
import { Flow } from './flow.js';
import { differences } from './segment-match.js';
import { formatSegment, parseSegment, type Segment } from './segment-text.js';

/** What a script needs of a stack. */
export interface TcpStack extends Stack {
  readonly tcp: {
    listen(options: { port: number }, handlers: TcpHandlers): { close(): void };
    connect(options: { address: string; port: number }, handlers: TcpHandlers): Connection;
  };
}

export interface ScriptOptions<Options extends object = object> extends Omit<FakePortOptions, 'ip' | 'layer'> {
  /** Makes the stack. */
  readonly stack: (core: Core) => TcpStack;
  /** Listens on a port. */
  readonly listen?: { readonly port: number } & Options;
  /** Opens a connection to a port of the peer at once; the address is the peer's. */
  readonly connect?: { readonly port: number } & Options;
  /** Called after the script has noted the event. */
  readonly handlers?: TcpHandlers;
  /** Port of the peer. Default 40000, or that of `connect`. */
  readonly peerPort?: number;
}

/** Addresses of the stack and of the peer. */
export const STACK_IP = '10.0.0.1';
export const PEER_IP = '10.0.0.2';
/** A router, which sends ICMP messages. */
export const ROUTER_IP = '10.0.0.254';
/** How much earlier or later than expected a segment may be sent, in ms. */
const TOLERANCE_MS = 1;
/** The clock of the stack may count whole ms. */
const SHORTEST_STEP_MS = 0.25;
const MAX_POLLS = 10_000;

interface Sent {
  readonly time: number;
  readonly segment: Segment;
  readonly wrongByte: number | undefined;
}

/** An ICMP error about a segment of the stack. */
export interface IcmpError {
  readonly type: number;
  readonly code: number;
  readonly mtu?: number;
  /** The segment of the stack that is quoted, in the stack's relative numbers. */
  readonly quote: string;
}

/** Opens a port with a stack on it. Call {@link Script.stop} at the end. */
export async function script(options: ScriptOptions): Promise<Script> {
  const { stack, listen, connect, handlers, peerPort, ...port } = options;
  return new Script(await openFakePort({ ...port, ip: `${STACK_IP}/24` }), options);
}

export class Script {
  readonly stack: TcpStack;
  /** What the application has seen. */
  readonly app: ScriptedApp;
  /** Packets of the stack that are no segments of a known flow: ICMP, and segments to others. */
  readonly others: Uint8Array[] = [];
  private readonly core: Core;
  private flow: Flow;
  private readonly flows: Flow[] = [];
  private readonly unmatched: Sent[] = [];
  private readonly lines: string[] = [];
  private when: number | null = null;

  /** Call {@link script} instead. */
  constructor(
    readonly port: FakePort,
    options: ScriptOptions,
  ) {
    this.core = port.core;
    this.stack = options.stack(port.core);
    this.app = new ScriptedApp(options.handlers ?? {}, (event) => this.note(`  app: ${event}`));
    const { listen, connect, peerPort = connect?.port ?? 40_000 } = options;
    this.flow = this.open(peerPort, listen?.port ?? 0);
    if (listen !== undefined) this.stack.tcp.listen(listen, this.app);
    if (connect !== undefined) this.connect(connect);
  }

  /** Virtual time in ms, from the beginning of the script. */
  get now(): number {
    return this.port.now;
  }

  /** The ISS of the stack, and its last timestamp, as they are. */
  get iss(): number {
    return this.flow.iss;
  }

  get timestamp(): number {
    return this.flow.timestamp;
  }

  /** The next step happens, or is expected, at this time in ms. */
  at(time: number): this {
    if (time < this.now) this.fail(`at(${time}) has passed`);
    this.when = time;
    return this;
  }

  /** As {@link at}, `ms` after the last step. */
  after(ms: number): this {
    return this.at(this.now + ms);
  }

  /** Opens a connection to the peer. */
  connect(options: { readonly port: number }): this {
    this.begin();
    this.app.adopt(this.stack.tcp.connect({ address: PEER_IP, ...options }, this.app));
    return this.settle();
  }

  /**
   * The peer sends a segment.
   * @param payload its data. Default: the bytes of the pattern that belong to its sequence numbers
   */
  inject(text: string, payload?: Uint8Array): this {
    this.begin();
    const segment = parseSegment(text);
    this.note(`< ${text}`);
    return this.injectPacket(this.flow.encode(segment, payload));
  }

  /** The stack receives a packet as it is. */
  injectPacket(packet: Uint8Array): this {
    this.begin();
    if (!this.port.inject(packet)) this.fail('the device has no buffer for the packet');
    return this.settle();
  }

  /** A router sends an ICMP error. */
  icmp({ type, code, mtu = 0, quote }: IcmpError): this {
    this.begin();
    this.note(`< icmp type ${type} code ${code} mtu ${mtu} about ${quote}`);
    const quoted = this.flow.quote(parseSegment(quote)).subarray(0, IPV4_HEADER_BYTES + 8);
    const memory = wireMemory(new Uint8Array(IPV4_HEADER_BYTES + ICMP_HEADER_BYTES + quoted.length));
    const { u8 } = memory;
    const icmp = IPV4_HEADER_BYTES;
    writeIpv4Header(memory, 0, u8.length, IP_PROTOCOL_ICMP, parseIpv4(ROUTER_IP), this.core.address);
    u8[icmp] = type;
    u8[icmp + 1] = code;
    writeU16(u8, icmp + ICMP_NEXT_HOP_MTU, mtu);
    u8.set(quoted, icmp + ICMP_HEADER_BYTES);
    writeU16(u8, icmp + ICMP_CHECKSUM, internetChecksum(memory, icmp, u8.length - icmp));
    return this.injectPacket(u8);
  }

  /** The application writes the next bytes of the pattern. All must be taken, unless `taken` tells how many are. */
  write(length: number, taken = length): this {
    this.begin();
    this.note(`  app: write ${length}`);
    const took = this.app.write(length);
    if (took !== taken) this.fail(`write(${length}) has taken ${took} bytes, expected ${taken}`);
    return this.settle();
  }

  /** The application ends its side. */
  close(): this {
    return this.call('end', (connection) => connection.end());
  }

  abort(): this {
    return this.call('abort', (connection) => connection.abort());
  }

  pause(): this {
    return this.call('pause', (connection) => connection.pause());
  }

  resume(): this {
    return this.call('resume', (connection) => connection.resume());
  }

  /** The application does something with the connection that it has. */
  call(name: string, act: (connection: Connection) => void): this {
    this.begin();
    this.note(`  app: ${name}`);
    act(this.app.connection);
    return this.settle();
  }

  /**
   * The next segment of the stack must be this one, at the time of {@link at} and {@link after}, give or take a ms;
   * without them at once.
   */
  expect(text: string): this {
    const { when } = this;
    this.when = null;
    return this.expectBetween(when === null ? 0 : when - TOLERANCE_MS, (when ?? this.now) + TOLERANCE_MS, text);
  }

  /** The next segment of the stack must be this one, in at most `ms`. */
  expectWithin(ms: number, text: string): this {
    return this.expectBetween(0, this.now + ms, text);
  }

  /** For `ms`, the stack must send nothing. */
  expectNothing(ms: number): this {
    this.runTo(this.now + ms, false);
    if (this.unmatched.length > 0) this.fail(`nothing was expected until ${this.now.toFixed(3)}`);
    return this;
  }

  /** The application must have seen these events since the last call, such as `open`, `data 100`, `end`, `close`. */
  expectEvents(...events: string[]): this {
    const seen = this.app.takeEvents();
    if (JSON.stringify(seen) !== JSON.stringify(events)) {
      this.fail(`the application has seen [${seen.join(', ')}], expected [${events.join(', ')}]`);
    }
    return this;
  }

  /** Lets time pass. Segments that the stack sends meanwhile must be expected next. */
  wait(ms: number): this {
    this.runTo(this.now + ms, false);
    return this;
  }

  /** Changes to another connection of the peer, from another port. The steps that follow are about it. */
  peer(peerPort: number, localPort = this.flow.port): this {
    this.flow = this.open(peerPort, localPort);
    return this;
  }

  /** The next SYNs open another connection between the same ports. */
  restart(): this {
    this.flow.restart();
    return this;
  }

  /** The segment that the stack sends next, for what no text can say; null when it sends none within `ms`. */
  next(ms = TOLERANCE_MS): Segment | null {
    this.runTo(this.now + ms, true);
    return this.unmatched.shift()?.segment ?? null;
  }

  /** All segments so far with their times, as tcpdump lists them. */
  listing(): string {
    return this.lines.join('\n');
  }

  /** Ends the script: no segment may be left that was not expected, and no buffer that the stack holds. */
  async stop(): Promise<void> {
    const { held } = this.port;
    await this.port.stop();
    if (this.unmatched.length > 0) this.fail('the end of the script: the stack has sent more than was expected');
    if (held !== 0) this.fail(`the end of the script: the stack holds ${held} buffers`);
  }

  private open(peerPort: number, localPort: number): Flow {
    const known = this.flows.find((flow) => flow.isOf(peerPort, localPort));
    if (known !== undefined) return known;
    const flow = new Flow({ remote: parseIpv4(PEER_IP), remotePort: peerPort, local: this.core.address, localPort });
    this.flows.push(flow);
    return flow;
  }

  /** Lets time pass until the next step. */
  private begin(): void {
    const { when } = this;
    this.when = null;
    if (when !== null) this.runTo(when, false);
  }

  private settle(): this {
    this.runTo(this.now, false);
    return this;
  }

  private expectBetween(from: number, to: number, text: string): this {
    const expected = parseSegment(text);
    this.runTo(to, true);
    const sent = this.unmatched.shift();
    const time = from === 0 ? '' : ` at ${(to - TOLERANCE_MS).toFixed(3)}`;
    if (sent === undefined) return this.fail(`expected${time}: ${text}\nnothing was sent until ${to.toFixed(3)}`);
    const lines = differences(sent.segment, expected);
    if (sent.time < from || sent.time > to) lines.unshift(`sent at ${sent.time.toFixed(3)}`);
    if (sent.wrongByte !== undefined) lines.push(`byte ${sent.wrongByte} of the data is wrong`);
    if (lines.length > 0)
      this.fail(`expected${time}: ${text}\nsent: ${formatSegment(sent.segment)}\n${lines.join('\n')}`);
    return this;
  }

  /** Polls the stack until `end`. @param stopWhenSent ends as soon as there is a segment that was not expected yet */
  private runTo(end: number, stopWhenSent: boolean): void {
    for (let polls = 0; ; polls++) {
      if (polls === MAX_POLLS) this.fail(`the stack does not come to rest: ${MAX_POLLS} polls`);
      const handled = this.stack.poll();
      this.collect();
      if (stopWhenSent && this.unmatched.length > 0) return;
      if (handled > 0) continue;
      const left = end - this.now;
      if (!(left > 0)) return;
      const sleep = this.stack.maxSleepMs?.() ?? Number.POSITIVE_INFINITY;
      this.port.pass(Math.min(left, Math.max(sleep, SHORTEST_STEP_MS)));
    }
  }

  private collect(): void {
    for (const packet of this.port.sent()) {
      const memory = wireMemory(packet);
      const tcp = ipv4HeaderLength(packet, 0);
      if (!isIpv4Intact(memory, 0, packet.length)) this.fail('the stack has sent a damaged IP packet');
      const isTcp = ipv4Protocol(packet, 0) === IP_PROTOCOL_TCP;
      if (isTcp && !isTcpIntact(memory, 0, tcp, packet.length - tcp)) this.fail('the stack has sent a damaged segment');
      const flow = isTcp ? this.flows.find((each) => each.owns(packet)) : undefined;
      if (flow === undefined) {
        this.others.push(packet);
        this.note(`> protocol ${ipv4Protocol(packet, 0)}, ${packet.length} bytes`);
        continue;
      }
      const { segment, wrongByte } = flow.decode(packet);
      this.note(`> ${formatSegment(segment)}`);
      this.unmatched.push({ time: this.now, segment, wrongByte });
    }
  }

  private note(line: string): void {
    this.lines.push(`${this.now.toFixed(3).padStart(12)} ${line}`);
  }

  private fail(what: string): never {
    throw new Error(`${what}\n--- what happened, < to the stack, > from it:\n${this.listing()}`);
  }
}
