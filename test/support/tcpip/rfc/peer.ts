/**
 * A peer of one connection for the tests of RFCs: short forms over {@link Script}. Sequence numbers count from the SYN of
 * their side, timestamps of the stack from its first one.
 *
 * `expect` compares with the next segment, which must come within {@link SOON_MS}; a line that begins with `*` stands
 * for any flags, and PSH beside FIN does not count. `take`, `next` and `peek` give segments as {@link Seen}.
 */
import type { Core } from '../../../../src/link/core.js';
import { TcpIp, type TcpIpOptions } from '../../../../src/tcpip/index.js';
import type { TcpOptions } from '../../../../src/tcpip/tcp/settings.js';
import type { Connection } from '../../../../src/tcpip/tcp/state/api.js';
import type { InjectOptions, SentPacket } from '../../../../src/testing/index.js';
import { parseIpv4 } from '../../../../src/wire/address.js';
import { ETHERTYPE_IPV4, ethType } from '../../../../src/wire/ethernet.js';
import { IPV4_HEADER_BYTES } from '../../../../src/wire/ipv4.js';
import { wireMemory } from '../../../../src/wire/memory.js';
import { TCP_DATA_OFFSET, TCP_FIN, TCP_PSH, writeTcpChecksum } from '../../../../src/wire/tcp.js';
import { writePatternAt } from '../pattern.js';
import { type IcmpError, PEER_IP, type Script, STACK_IP, script } from '../script/script.js';
import { encodeSegment } from '../script/segment-bytes.js';
import { differences } from '../script/segment-match.js';
import { formatSegment, parseSegment, type Segment } from '../script/segment-text.js';
import { RecordingApp } from './app.js';

/** A segment that the stack has sent. */
export interface Seen {
  /** Letters as tcpdump writes them, such as `F.`. */
  readonly flags: string;
  readonly seq: number;
  readonly length: number;
  /** 0 without ACK. */
  readonly ack: number;
  /** The field, not scaled. */
  readonly window: number;
  /** Without padding, such as `TS val 5 ecr 7`; empty for none. */
  readonly options: string;
  /** Whether its sequence numbers were sent before. */
  readonly again: boolean;
  readonly text: string;
  readonly segment: Segment;
}

export interface PeerOptions extends TcpOptions {
  readonly localPort?: number;
  readonly remotePort?: number;
  readonly backlog?: number;
  readonly maxConnections?: number;
  /** Bytes of all buffers of the stack. */
  readonly memory?: number;
  /** OFFLOAD_ bits of the device. Default: those of {@link setOffloads}. */
  readonly offloads?: number;
  /** Packet buffers of the device. Default 256. */
  readonly buffers?: number;
  /** log2 of their size in bytes. Default 11. */
  readonly bufferShift?: number;
}

export interface AcceptedOptions extends PeerOptions {
  /** Options of the peer's SYN. Default `<mss 1000>`. */
  readonly peer?: string;
  /** Window field of the peer's ACK. Default 65535. */
  readonly window?: number;
  /** Window field of the peer's SYN. Default that of its ACK. */
  readonly synWindow?: number;
  /** The peer's ISS. Default 0. */
  readonly irs?: number;
  /** Time from our SYN-ACK to the ACK, in ms. Default 0. */
  readonly roundTrip?: number;
}

/** How long an answer that is due may take, in ms. */
const SOON_MS = 20;
/** Longest stretch of time that a script runs at once: it bounds its polls. */
const STRETCH_MS = 3_600_000;
const LISTEN_PORT = 80;
const PEER_PORT = 40_000;
/** The script begins with a flow, which takes every port of the stack: no test uses it. */
const UNUSED_PORT = 1;
/** Segments that are acknowledged at once at the start of a connection: fewer than this. */
const MOST_QUICK_ACKS = 100;

const peers: Peer[] = [];
/** OFFLOAD_ bits of the devices of the peers' stacks. */
let defaultOffloads = 0;

/** From now on the stacks have a device that does this for them: OFFLOAD_ bits. */
export function setOffloads(bits: number): void {
  defaultOffloads = bits;
}

/** Ends the scripts of a test: to be called by `afterEach`. */
export async function stopPeers(): Promise<void> {
  for (const peer of peers.splice(0)) await peer.stop();
}

async function open(options: PeerOptions): Promise<Peer> {
  const { localPort, remotePort = PEER_PORT, backlog, maxConnections = 1000, memory, ...others } = options;
  const { offloads = defaultOffloads, buffers = 256, bufferShift = 11, ...tcp } = others;
  const stackOptions: TcpIpOptions = { maxConnections, ...(memory === undefined ? {} : { memory }) };
  const made: { stack?: TcpIp } = {};
  const slept = { ms: 0 };
  const s = await script({
    peerPort: UNUSED_PORT,
    offloads,
    device: { buffers, bufferShift },
    stack: (core: Core) => {
      const now = core.now.bind(core);
      core.now = () => now() + slept.ms;
      made.stack = new TcpIp(core, stackOptions);
      return made.stack;
    },
  });
  const peer = new Peer(s, made.stack!, { ...tcp, ...(backlog === undefined ? {} : { backlog }) }, remotePort, slept);
  peers.push(peer);
  return peer;
}

/** A stack that listens on port 80; the peer sends to `localPort`. */
export async function listening(options: PeerOptions = {}): Promise<Peer> {
  const peer = await open(options);
  peer.listen(LISTEN_PORT);
  peer.from(peer.port, options.localPort ?? LISTEN_PORT);
  return peer;
}

/** A stack that has sent its SYN. */
export async function connecting(options: PeerOptions = {}): Promise<Peer> {
  const peer = await open(options);
  peer.from(peer.port, options.localPort ?? 0);
  peer.connect(options.localPort);
  return peer;
}

/** A connection that the peer has opened. */
export async function accepted(options: AcceptedOptions = {}): Promise<Peer> {
  const { peer: offered = '<mss 1000>', window = 65535, synWindow = window, irs = 0, roundTrip = 0, ...rest } = options;
  const s = await listening(rest);
  s.inject(`S ${irs}:${irs}(0) win ${synWindow} ${offered}`.trim());
  s.takeSynAck();
  s.run(roundTrip);
  s.inject(s.stamp(`. 1:1(0) ack 1 win ${window}`));
  s.clear();
  s.all.length = 0;
  return s;
}

/** A connection that the stack has opened. */
export async function connected(options: AcceptedOptions = {}): Promise<Peer> {
  const { peer: offered = '<mss 1000>', window = 65535, synWindow = window, irs = 0, roundTrip = 0, ...rest } = options;
  const s = await connecting(rest);
  s.takeSynAck();
  s.run(roundTrip);
  s.inject(`S. ${irs}:${irs}(0) ack 1 win ${synWindow} ${offered}`.trim());
  s.clear();
  s.all.length = 0;
  return s;
}

export class Peer {
  /** Every segment of the stack since the connection was opened. */
  readonly all: Seen[] = [];
  /** The shift of the windows of the stack. */
  ourScale = 0;
  /** The next sequence number of the peer, after {@link skipQuickAcks}. */
  seq = 1;
  /** For tests that count acknowledged bytes. */
  acked = 1;
  private readonly app = new RecordingApp();
  private readonly queue: Seen[] = [];
  private listener: { close(): void } | null = null;
  private localPort = 0;
  private highest = 0;
  private irs = 0;
  /** What the first sequence number of the next SYN is added to; null: the next SYN is no first one. */
  private base: number | null = 0;
  private ts: number | null = null;
  private isTurn = false;

  constructor(
    readonly script: Script,
    readonly stack: TcpIp,
    private readonly options: TcpOptions & { readonly backlog?: number },
    /** Port of the peer. */
    public port: number,
    private readonly slept: { ms: number },
  ) {}

  readonly address = PEER_IP;

  get events(): string[] {
    return this.app.events;
  }

  /** What the application does when it gets data. */
  set onData(act: ((length: number) => void) | null) {
    this.app.onData = act;
  }

  get connection(): Connection {
    return this.app.connection;
  }

  get state(): string {
    return this.app.state;
  }

  get now(): number {
    return this.script.now;
  }

  /** The ISS of the stack, as it is. */
  get iss(): number {
    return this.script.iss;
  }

  /** The last timestamp of the stack, as it is. */
  get rawTimestamp(): number {
    return this.script.timestamp;
  }

  /** Connections that have a row. */
  get connections(): number {
    return this.report().tcp_connections!;
  }

  report(): Record<string, number> {
    return this.stack.report() as Record<string, number>;
  }

  listen(port: number): void {
    this.listener = this.stack.tcp.listen({ port, ...this.options }, this.app);
  }

  closeListener(): void {
    this.listener!.close();
    this.pump();
  }

  connect(localPort?: number): void {
    const local = localPort === undefined ? {} : { localPort };
    this.app.begin(this.stack.tcp.connect({ address: PEER_IP, port: this.port, ...local, ...this.options }, this.app));
    this.pump();
  }

  /** From now on the peer sends from another port; numbers begin anew. */
  from(port: number, localPort = this.localPort): void {
    this.port = port;
    this.localPort = localPort;
    this.script.peer(port, localPort);
    this.base = 0;
    this.highest = 0;
  }

  /** The next SYN begins another connection between the same ports, `distance` behind the first number of the last. */
  restart(distance = 1_000_000): void {
    this.script.restart();
    this.base = (this.irs + distance) | 0;
    this.highest = 0;
  }

  /** The peer sends segments, one after the other; the stack polls after each. */
  inject(...lines: string[]): void {
    for (const line of lines) {
      this.script.inject(this.based(line));
      this.pump();
    }
  }

  /** The peer sends segments that the stack finds in one burst. */
  burst(...lines: string[]): void {
    for (const line of lines) this.script.port.inject(this.packet(line));
    this.pump();
  }

  /** A segment of which the device says something, or that it receives in several buffers. */
  injectAs(how: InjectOptions, line: string): void {
    this.injectBytes(how, this.packet(line));
  }

  /** The same with a packet of the test; {@link packet} makes one. */
  injectBytes(how: InjectOptions, packet: Uint8Array): void {
    if (!this.script.port.inject(packet, how)) throw new Error('the device has no buffers for the packet');
    this.pump();
  }

  /** The packets of the stack as it gave them to the device, without ARP, since the last call. */
  takePackets(): SentPacket[] {
    this.pump();
    return this.script.port.device.packets.splice(0).filter(({ frame }) => ethType(frame, 0) === ETHERTYPE_IPV4);
  }

  /** A segment with other bytes than those that belong to its place. */
  injectOther(line: string): void {
    const payload = new Uint8Array(parseSegment(line).length as number).fill(0xee);
    this.script.inject(line, payload);
    this.pump();
  }

  /** A segment to another address than that of the stack. */
  injectTo(destination: string, line: string): void {
    this.injectPacket(this.packet(line, PEER_IP, destination));
  }

  injectFrom(source: string, line: string): void {
    this.injectPacket(this.packet(line, source));
  }

  /** A segment with more bits in the word of data offset and flags. */
  injectBits(line: string, bits: number): void {
    const packet = this.packet(line);
    packet[IPV4_HEADER_BYTES + TCP_DATA_OFFSET]! |= bits >>> 8;
    packet[IPV4_HEADER_BYTES + TCP_DATA_OFFSET + 1]! |= bits & 0xff;
    writeTcpChecksum(wireMemory(packet), 0, IPV4_HEADER_BYTES, packet.length - IPV4_HEADER_BYTES);
    this.injectPacket(packet);
  }

  icmp(error: IcmpError): void {
    this.script.icmp(error);
    this.pump();
  }

  /** The line with a timestamps option, if the connection has timestamps. */
  stamp(line: string): string {
    return this.ts === null ? line : `${line} <nop, nop, TS val ${++this.ts} ecr last>`;
  }

  /** Takes the SYN or SYN-ACK of the stack. */
  takeSynAck(): Seen {
    const [syn] = this.next(SOON_MS);
    if (syn === undefined) throw new Error(`there is no SYN\n${this.script.listing()}`);
    this.ourScale = Number(/wscale (\d+)/.exec(syn.options)?.[1] ?? 0);
    return syn;
  }

  /** The application writes bytes. Returns how many were taken. */
  write(length: number): number {
    const taken = this.app.write(length);
    this.pump();
    return taken;
  }

  /** The application does several things before the stack polls. */
  turn(act: () => void): void {
    this.isTurn = true;
    act();
    this.isTurn = false;
    this.pump();
  }

  end(): void {
    this.call((connection) => connection.end());
  }

  abort(): void {
    this.call((connection) => connection.abort());
  }

  pause(): void {
    this.call((connection) => connection.pause());
  }

  resume(): void {
    this.call((connection) => connection.resume());
  }

  /** Lets time pass. */
  run(ms: number): void {
    for (let left = ms; left > 0; left -= STRETCH_MS) {
      this.script.wait(Math.min(left, STRETCH_MS));
      this.pump();
    }
    this.pump();
  }

  /** The clock of the stack jumps, and the stack polls once. The time of the script stays. */
  sleep(ms: number): void {
    this.slept.ms += ms;
    this.run(1);
  }

  /** Lets time pass until `isDone` returns true; it is asked after each segment, and now and then. */
  runUntil(isDone: () => boolean, limitMs: number): void {
    const end = this.now + limitMs;
    while (!isDone()) {
      if (this.now >= end) throw new Error(`not done after ${limitMs} ms\n${this.listing()}`);
      this.step(Math.min(1000, end - this.now));
    }
  }

  /** Lets time pass, in which the stack sends nothing. */
  silence(ms: number): void {
    this.run(ms);
    if (this.queue.length > 0) throw new Error(`silence was expected\n${this.listing()}`);
  }

  /** Waits for the next segment that nobody has taken; nothing when there is none in time. */
  next(limitMs = 5000): Seen[] {
    const end = this.now + limitMs;
    this.pump();
    while (this.queue.length === 0 && this.now < end) this.step(Math.min(STRETCH_MS, end - this.now));
    return this.queue.splice(0, 1);
  }

  /** Waits for the next segment whose data was sent before, and takes all until then. */
  nextAgain(limitMs: number): Seen {
    const end = this.now + limitMs;
    while (this.now < end) {
      const [seen] = this.next(end - this.now);
      if (seen?.again === true) return seen;
    }
    throw new Error(`nothing was sent again within ${limitMs} ms\n${this.listing()}`);
  }

  /** The next segments must be these. Returns them. */
  expect(...lines: string[]): Seen[] {
    return lines.map((line) => {
      const [seen] = this.next(SOON_MS);
      const problems = seen === undefined ? ['nothing was sent'] : this.compare(seen, line);
      if (problems.length > 0) {
        throw new Error(`expected: ${line}\nsent: ${seen?.text}\n${problems.join('\n')}\n${this.listing()}`);
      }
      return seen!;
    });
  }

  /** These segments must be among the next ones, in this order. Takes all. */
  expectSome(...lines: string[]): void {
    this.run(SOON_MS);
    const sent = this.take();
    let at = 0;
    for (const line of lines) {
      while (at < sent.length && this.compare(sent[at]!, line).length > 0) at++;
      if (at++ >= sent.length) throw new Error(`expected among others: ${line}\n${this.listing()}`);
    }
  }

  /** An ACK without data must come within half a second. */
  expectAck(ack: number): Seen {
    const [seen] = this.next(500);
    if (seen?.flags !== '.' || seen.ack !== ack || seen.length !== 0) {
      throw new Error(`expected an ACK of ${ack}\nsent: ${seen?.text}\n${this.listing()}`);
    }
    return seen;
  }

  /** The segments that nobody has taken. */
  take(): Seen[] {
    this.pump();
    return this.queue.splice(0);
  }

  peek(): readonly Seen[] {
    this.pump();
    return this.queue;
  }

  clear(): void {
    this.take();
  }

  /** The peer sends small segments until the stack delays their ACKs. */
  skipQuickAcks(firstStamp?: number): void {
    if (firstStamp !== undefined) this.ts = firstStamp - 1;
    for (let i = 0; i < MOST_QUICK_ACKS; i++) {
      this.inject(this.stamp(`P. ${this.seq}:${this.seq + 10}(10) ack 1 win 65535`));
      this.seq += 10;
      const isQuick = this.take().length > 0;
      this.run(500);
      this.clear();
      if (!isQuick) return;
    }
    throw new Error(`ACKs are not delayed\n${this.listing()}`);
  }

  /** What the application has received, all bytes right. */
  received(): { from: number; to: number } {
    const wrong = this.events.find((event) => event.includes('wrong'));
    if (wrong !== undefined) throw new Error(`${wrong}\n${this.listing()}`);
    return { from: 1, to: this.app.bytes.length };
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.app.bytes);
  }

  /** The bytes that belong to sequence numbers of the peer. */
  pattern(seq: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    writePatternAt(bytes, 0, length, seq - 1);
    return bytes;
  }

  /** The last timestamp of the stack, relative to its first one. */
  lastTimestamp(): number {
    const [stamped] = this.all.filter(({ options }) => options.includes('TS val')).slice(-1);
    return Number(/TS val (-?\d+)/.exec(stamped!.options)![1]);
  }

  async stop(): Promise<void> {
    this.clear();
    await this.script.stop();
  }

  private call(act: (connection: Connection) => void): void {
    act(this.connection);
    this.pump();
  }

  private injectPacket(packet: Uint8Array): void {
    this.script.injectPacket(packet);
    this.pump();
  }

  /** The first SYN of a connection gets the number from which all others count. */
  private based(line: string): string {
    const match = /^([FSRP.UEW0]*S[FSRP.UEW]*) (-?\d+):(-?\d+)(.*)$/.exec(line);
    if (match === null || this.base === null) return this.remember(line);
    const [, flags, start, end, rest] = match;
    const first = (Number(start) + this.base) | 0;
    this.irs = first;
    this.base = null;
    return this.remember(`${flags} ${first}:${first + Number(end) - Number(start)}${rest}`);
  }

  private remember(line: string): string {
    const value = /TS val (-?\d+)/.exec(line)?.[1];
    if (value !== undefined) this.ts = Number(value);
    return line;
  }

  /** The packet of a segment, with a good checksum. */
  packet(line: string, source = PEER_IP, destination = STACK_IP): Uint8Array {
    const bases = { seq: this.irs, ack: this.script.iss, val: 0, ecr: 0, lastVal: 0 };
    return encodeSegment(parseSegment(line), bases, {
      source: parseIpv4(source),
      destination: parseIpv4(destination),
      sourcePort: this.port,
      destinationPort: this.localPort,
    });
  }

  /** Lets the stack do what is due, and takes over what it has sent. */
  private pump(): void {
    if (this.isTurn) return;
    for (let segment = this.script.next(0); segment !== null; segment = this.script.next(0)) this.see(segment);
  }

  /** Lets at most `ms` pass, until the stack sends something. */
  private step(ms: number): void {
    const segment = this.script.next(ms);
    if (segment !== null) this.see(segment);
    this.pump();
  }

  private see(segment: Segment): void {
    const seq = segment.seq as number;
    const length = segment.length as number;
    const options = (segment.options ?? []).filter(({ kind }) => kind !== 'nop' && kind !== 'eol');
    const text = formatSegment(segment);
    const seen = {
      flags: text.replace(/^\[\w+\] /, '').split(' ')[0]!,
      seq,
      length,
      ack: (segment.ack ?? 0) as number,
      window: segment.win as number,
      options: formatSegment({ flags: 0, seq: 0, length: 0, options }).replace(/^.*?<|>$/g, ''),
      again: length > 0 && seq < this.highest,
      text,
      segment,
    };
    this.highest = Math.max(this.highest, seq + length);
    this.queue.push(seen);
    this.all.push(seen);
  }

  private compare(seen: Seen, line: string): string[] {
    const anyFlags = line.startsWith('*');
    const expected = parseSegment(anyFlags ? line.replace('*', '.') : line);
    const found = seen.segment;
    // A FIN implies PSH (RFC 9293, 3.9.1.4): whether the bit is set makes no difference.
    const ignored = (found.flags & TCP_FIN) !== 0 ? TCP_PSH : 0;
    const flags = anyFlags ? expected.flags : found.flags & ~ignored;
    return differences({ ...found, flags }, { ...expected, flags: expected.flags & ~ignored });
  }

  private listing(): string {
    return this.script.listing().split('\n').slice(-60).join('\n');
  }
}
