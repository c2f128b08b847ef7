/**
 * ping(8) over a core: sends ICMP echo requests at an interval, checks every byte of the replies, and keeps their
 * times.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Core } from '../link/core.js';
import type { PacketBuffer } from '../link/packet-buffer.js';
import {
  ICMP_ECHO_REPLY,
  ICMP_HEADER_BYTES,
  icmpIdentifier,
  icmpSequence,
  icmpType,
  isIcmpIntact,
  writeIcmpEchoRequest,
} from '../wire/icmp.js';
import { IP_PROTOCOL_ICMP, IPV4_TTL } from '../wire/ipv4.js';
import { CORRUPT, EchoClient, type EchoClientOptions } from './echo-client.js';
import { NOT_WAITING } from './outstanding.js';

export interface PingerOptions extends EchoClientOptions {
  /** Time between two requests in ms. 0: the next one follows when the last was answered or timed out. Default 1000. */
  readonly intervalMs?: number;
  /** Bytes of payload. Default 56, as ping(8). */
  readonly payloadBytes?: number;
  /** When given, payloads have all sizes from `payloadBytes` to this one in turn. */
  readonly maxPayloadBytes?: number | undefined;
  /** ICMP identifier, 0 to 65535; tells two pingers apart. Default: random. */
  readonly identifier?: number;
  /** Called for each intact reply. `sequence` is the number on the wire, which begins with 1 as that of ping(8). */
  readonly onReply?: (sequence: number, milliseconds: number, ttl: number, bytes: number) => void;
  /** Called for each request that was not answered in time, with its number on the wire. */
  readonly onLost?: (sequence: number) => void;
}

/** Round-trip times in microseconds. */
export interface RoundTrips {
  readonly minUs: number;
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

/**
 * While ARP is unanswered, one request is sent per so many ms. The layer asks for 7 s, and holds 8 packets back
 * meanwhile.
 */
const ARP_PACE_MS = 1000;

/** The first number on the wire, as that of ping(8). */
const FIRST_SEQUENCE = 1;
const sequenceOf = (number: number): number => (number + FIRST_SEQUENCE) & 0xffff;

/** Each payload is this many sizes further on. With an MTU of 1500 the pinger reaches every size. */
const SIZE_STEP = 37;

const FORMAT = { name: 'ping', protocol: IP_PROTOCOL_ICMP, headerBytes: ICMP_HEADER_BYTES, numberBytes: 0 };

export class Pinger extends EchoClient {
  private readonly intervalMs: number;

  private readonly identifier: number;
  /** Round-trip times in nanoseconds. */
  private readonly times: RecordableHistogram = createHistogram();
  /** When the next request is due. */
  private due: number;
  /** The first request that was due but not sent, because ARP was unanswered. It is sent when ARP is answered. */
  private unsent = 0;
  private lastSend = Number.NEGATIVE_INFINITY;

  /** @throws AppError when a payload of that size does not fit into a packet */
  constructor(
    core: Core,
    private readonly options: PingerOptions,
  ) {
    const { intervalMs = 1000, timeoutMs = 1000, payloadBytes: least = 56 } = options;
    // There is a place for every request that is sent before the first one times out, so that none delays the next one.
    const places = intervalMs > 0 ? timeoutMs / intervalMs + 1 : undefined;
    super(core, FORMAT, { ...options, timeoutMs }, [least, options.maxPayloadBytes ?? least], places);
    this.intervalMs = intervalMs;
    this.identifier = options.identifier ?? Math.floor(Math.random() * 0x10000);
    this.due = this.clock();
  }

  maxSleepMs(): number {
    const { outstanding } = this;
    const now = this.clock();
    let next = outstanding.nextDeadline();
    if (outstanding.next < this.count) {
      if (this.intervalMs > 0 && outstanding.hasRoom) next = Math.min(next, this.due);
      // The transmit ring was full. It does not tell when it has room again.
      else if (outstanding.count === 0) return 1;
    }
    return Math.max(next - now, 0);
  }

  /** Returns the times of the intact replies, or null when there were none. */
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

  protected sendDue(now: number): number {
    const { outstanding } = this;
    const late = this.sendLate(now);
    if (outstanding.next >= this.count || !outstanding.hasRoom) return late;
    if (this.intervalMs === 0 ? outstanding.count > 0 : now < this.due) return late;
    if (this.unsent === outstanding.next && this.maySend(now)) {
      if (!this.sendAt(outstanding.next, now)) return late;
      this.unsent++;
    }
    outstanding.sent(now);
    // Requests that were missed during a long sleep are not made up for.
    this.due = Math.max(this.due + this.intervalMs, now);
    return late + 1;
  }

  /**
   * Sends the first request that was due earlier and was not sent. It sends one per poll, so that no burst goes out.
   */
  private sendLate(now: number): number {
    const { outstanding } = this;
    while (this.unsent < outstanding.next && outstanding.find(this.unsent & 0xffff) !== this.unsent) this.unsent++;
    if (this.unsent === outstanding.next || !this.maySend(now) || !this.sendAt(this.unsent, now)) return 0;
    this.unsent++;
    return 1;
  }

  /** Whether a request may be sent: not while so many wait for ARP that the layer would drop one. */
  private maySend(now: number): boolean {
    return this.received > 0 || now - this.lastSend >= ARP_PACE_MS || this.core.nextHopMac(this.to) !== null;
  }

  private sendAt(number: number, now: number): boolean {
    if (!this.send(number)) return false;
    this.lastSend = now;
    return true;
  }

  protected sizeOf(number: number): number {
    return this.minBytes + ((number * SIZE_STEP) % this.sizes);
  }

  protected writeHeader(_ip: number, icmp: number, length: number, number: number): void {
    writeIcmpEchoRequest(this.core.memory, icmp, length, this.identifier, sequenceOf(number));
  }

  protected isForUs(icmp: number): boolean {
    const u8 = this.core.memory.u8;
    return icmpType(u8, icmp) === ICMP_ECHO_REPLY && icmpIdentifier(u8, icmp) === this.identifier;
  }

  protected identify(_packet: PacketBuffer, icmp: number, length: number): number {
    const { memory } = this.core;
    const number = this.outstanding.find((icmpSequence(memory.u8, icmp) - FIRST_SEQUENCE) & 0xffff);
    if (number === NOT_WAITING) return NOT_WAITING;
    return isIcmpIntact(memory, icmp, length) && this.isPayloadIntact(icmp, length, number) ? number : CORRUPT;
  }

  protected onAnswer(number: number, milliseconds: number, ip: number, length: number): void {
    this.times.record(Math.max(1, Math.round(milliseconds * 1e6)));
    this.options.onReply?.(sequenceOf(number), milliseconds, this.core.memory.u8[ip + IPV4_TTL], length);
  }

  protected override onTimeout(number: number): void {
    this.options.onLost?.(sequenceOf(number));
  }
}
