/** ping(8) over a core: sends ICMP echo requests, checks every byte of the replies, and keeps their times. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Core } from '../link/core.js';
import type { PacketBuffer } from '../link/packet-buffer.js';
import type { PacketHandler } from '../stack.js';
import { parseIpv4 } from '../wire/address.js';
import {
  ICMP_ECHO_REPLY,
  ICMP_HEADER_BYTES,
  icmpIdentifier,
  icmpSequence,
  icmpType,
  isIcmpIntact,
  writeIcmpEchoRequest,
} from '../wire/icmp.js';
import {
  IP_PROTOCOL_ICMP,
  IPV4_HEADER_BYTES,
  IPV4_TTL,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4Source,
  writeIpv4Header,
} from '../wire/ipv4.js';
import { NOT_WAITING, Outstanding } from './outstanding.js';

export interface PingerOptions {
  /** Whom to ping. */
  readonly to: string;
  /** Requests in all. Default: no end. */
  readonly count?: number | undefined;
  /** Between two requests. 0: the next one as soon as the last was answered or given up. Default 1000. */
  readonly intervalMs?: number;
  /** How long an answer may take. Default 1000. */
  readonly timeoutMs?: number;
  /** Bytes of payload. Default 56, as ping(8). */
  readonly payloadBytes?: number;
  /** With this the payloads are of all sizes from `payloadBytes` to this, a different one each time. */
  readonly maxPayloadBytes?: number | undefined;
  /** ICMP identifier, 0 to 65535: tells two pingers apart. Default: chosen at random. */
  readonly identifier?: number;
  /** Called for each good reply, with the number that the request had on the wire: from 1 on, as ping(8) counts. */
  readonly onReply?: (sequence: number, milliseconds: number, ttl: number, bytes: number) => void;
  /** Called for each request that was not answered in time, with its number on the wire. */
  readonly onLost?: (sequence: number) => void;
  /** Milliseconds, monotonic. Default: performance.now. */
  readonly clock?: () => number;
}

/** Round-trip times in microseconds. */
export interface RoundTrips {
  readonly minUs: number;
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

/** While ARP is unanswered one request in so many ms goes out: the layer asks for 7 s, and has room for 8 that wait for it. */
const ARP_PACE_MS = 1000;

/** The first number on the wire, as of ping(8). */
const FIRST_SEQUENCE = 1;
const sequenceOf = (number: number): number => (number + FIRST_SEQUENCE) & 0xffff;

export class Pinger implements PacketHandler {
  private readonly to: number;
  private readonly count: number;
  private readonly intervalMs: number;
  private readonly minBytes: number;
  /** How many sizes there are. */
  private readonly sizes: number;
  private readonly identifier: number;
  private readonly clock: () => number;
  private readonly outstanding: Outstanding;
  /** Nanoseconds. */
  private readonly times: RecordableHistogram = createHistogram();
  private due: number;
  /** The first request that was due and has not gone out, as ARP was unanswered: it does when it is answered. */
  private unsent = 0;
  private lastSend = Number.NEGATIVE_INFINITY;
  private received = 0;
  private lost = 0;
  private corrupt = 0;
  private unexpected = 0;

  /** @throws Error where a payload of that size does not fit into a packet */
  constructor(
    private readonly core: Core,
    private readonly options: PingerOptions,
  ) {
    const most = core.mtu - IPV4_HEADER_BYTES - ICMP_HEADER_BYTES;
    const least = options.payloadBytes ?? 56;
    const largest = options.maxPayloadBytes ?? least;
    if (!(Number.isInteger(least) && Number.isInteger(largest) && 0 <= least && least <= largest && largest <= most)) {
      const found = largest === least ? least : `${least} to ${largest}`;
      throw new Error(`ping: ${found} bytes of payload; with an MTU of ${core.mtu}, 0 to ${most} are possible`);
    }
    this.minBytes = least;
    this.sizes = largest - least + 1;
    this.to = parseIpv4(options.to) | 0;
    this.count = options.count ?? Number.POSITIVE_INFINITY;
    this.intervalMs = options.intervalMs ?? 1000;
    this.identifier = options.identifier ?? Math.floor(Math.random() * 0x10000);
    this.clock = options.clock ?? (() => performance.now());
    const timeoutMs = options.timeoutMs ?? 1000;
    // As many as are sent before the first is given up, so that nothing holds up the next.
    this.outstanding = new Outstanding(timeoutMs, this.intervalMs > 0 ? timeoutMs / this.intervalMs + 1 : undefined);
    this.due = this.clock();
  }

  /** Whether all requests were sent, and answered or given up. */
  get isDone(): boolean {
    return this.outstanding.next >= this.count && this.outstanding.count === 0;
  }

  poll(): number {
    const now = this.clock();
    const { outstanding } = this;
    let work = 0;
    for (let number = outstanding.expire(now); number !== NOT_WAITING; number = outstanding.expire(now)) {
      this.lost++;
      work++;
      this.options.onLost?.(sequenceOf(number));
    }
    work += this.sendLate(now);
    if (outstanding.next >= this.count || !outstanding.hasRoom) return work;
    if (this.intervalMs === 0 ? outstanding.count > 0 : now < this.due) return work;
    if (this.unsent === outstanding.next && this.hasWay(now)) {
      if (!this.send(outstanding.next, now)) return work;
      this.unsent++;
    }
    outstanding.sent(now);
    // After a long sleep the missed ones are not made up for.
    this.due = Math.max(this.due + this.intervalMs, now);
    return work + 1;
  }

  /** Sends the first request that was due before and still waits for it. One per poll: a burst would be too much for some. */
  private sendLate(now: number): number {
    const { outstanding } = this;
    while (this.unsent < outstanding.next && outstanding.find(this.unsent & 0xffff) !== this.unsent) this.unsent++;
    if (this.unsent === outstanding.next || !this.hasWay(now) || !this.send(this.unsent, now)) return 0;
    this.unsent++;
    return 1;
  }

  /** Whether a request may go out, so that none is dropped because too many wait for ARP. */
  private hasWay(now: number): boolean {
    return this.received > 0 || now - this.lastSend >= ARP_PACE_MS || this.core.nextHopMac(this.to) !== null;
  }

  maxSleepMs(): number {
    const { outstanding } = this;
    const now = this.clock();
    let next = outstanding.nextDeadline();
    if (outstanding.next < this.count) {
      if (this.intervalMs > 0 && outstanding.hasRoom) next = Math.min(next, this.due);
      // What could be sent and was not waits for room in the ring, of which nothing tells.
      else if (outstanding.count === 0) return 1;
    }
    return Math.max(next - now, 0);
  }

  handle(buffer: PacketBuffer): boolean {
    const { memory } = this.core;
    const u8 = memory.u8;
    const ip = buffer.offset;
    if (ipv4Protocol(u8, ip) !== IP_PROTOCOL_ICMP || ipv4Source(u8, ip) !== this.to) return false;
    const headerLength = ipv4HeaderLength(u8, ip);
    const icmp = ip + headerLength;
    const length = buffer.length - headerLength;
    if (length < ICMP_HEADER_BYTES || icmpType(u8, icmp) !== ICMP_ECHO_REPLY) return false;
    if (icmpIdentifier(u8, icmp) !== this.identifier) return false;
    const number = this.outstanding.find((icmpSequence(u8, icmp) - FIRST_SEQUENCE) & 0xffff);
    if (number === NOT_WAITING) this.unexpected++;
    else if (!isIcmpIntact(memory, icmp, length) || !this.isPayloadIntact(icmp, length, number)) this.corrupt++;
    else {
      const milliseconds = this.outstanding.answered(number, this.clock());
      this.received++;
      this.times.record(Math.max(1, Math.round(milliseconds * 1e6)));
      this.options.onReply?.(sequenceOf(number), milliseconds, u8[ip + IPV4_TTL], length);
    }
    this.core.release(buffer);
    return true;
  }

  /** Times of the good replies, or null when there were none. */
  roundTrips(): RoundTrips | null {
    if (this.received === 0) return null;
    const { times } = this;
    const us = (nanoseconds: number): number => nanoseconds / 1000;
    return {
      minUs: us(times.min),
      meanUs: us(times.mean),
      p50Us: us(times.percentile(50)),
      p99Us: us(times.percentile(99)),
      maxUs: us(times.max),
    };
  }

  report(): Record<string, number> {
    return {
      ping_sent: this.outstanding.next,
      ping_received: this.received,
      ping_lost: this.lost,
      ping_corrupt: this.corrupt,
      ping_unexpected: this.unexpected,
    };
  }

  private send(number: number, now: number): boolean {
    const buffer = this.core.getBufferTx();
    if (buffer === null) return false;
    const { memory } = this.core;
    const icmp = buffer.offset + IPV4_HEADER_BYTES;
    const length = ICMP_HEADER_BYTES + this.sizeOf(number);
    for (let i = ICMP_HEADER_BYTES; i < length; i++) memory.u8[icmp + i] = number + i;
    writeIcmpEchoRequest(memory, icmp, length, this.identifier, sequenceOf(number));
    buffer.length = IPV4_HEADER_BYTES + length;
    writeIpv4Header(memory, buffer.offset, buffer.length, IP_PROTOCOL_ICMP, this.core.address, this.to);
    if (this.core.addBufferToRing(buffer)) {
      this.lastSend = now;
      return true;
    }
    this.core.release(buffer);
    return false;
  }

  /** 37 steps on each time: with all sizes of an MTU of 1500 it comes round to each of them. */
  private sizeOf(number: number): number {
    return this.minBytes + ((number * 37) % this.sizes);
  }

  private isPayloadIntact(icmp: number, length: number, number: number): boolean {
    const u8 = this.core.memory.u8;
    if (length !== ICMP_HEADER_BYTES + this.sizeOf(number)) return false;
    for (let i = ICMP_HEADER_BYTES; i < length; i++) if (u8[icmp + i] !== ((number + i) & 0xff)) return false;
    return true;
  }
}
