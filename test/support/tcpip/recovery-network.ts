/**
 * A sender that has only loss recovery, a receiver, and a path with loss, delay and reordering, in virtual time: it
 * drives {@link Recovery} as TCP does, without segments.
 */

import { Clock } from '../../../src/tcpip/clock.js';
import { createTcpCounters } from '../../../src/tcpip/tcp/counters.js';
import { EXPIRED_PROBE, EXPIRED_RTO, Recovery } from '../../../src/tcpip/tcp/recovery/recovery.js';
import { BITS, END, SEGMENT_LOST, SEGMENT_SACKED, SEQ } from '../../../src/tcpip/tcp/recovery/sent-ring.js';
import { RegionPool } from '../../../src/tcpip/tcp/state/regions.js';
import {
  CWND,
  FLAG_RENO,
  FLAG_SACK,
  FLAG_TIMESTAMPS,
  FLAGS,
  LOST_BYTES,
  MSS,
  PIPE,
  RING_HEAD,
  RING_TAIL,
  ROW_WORDS,
  Rows,
  SACKED_BYTES,
  SACKED_SEGMENTS,
  SND_END,
  SND_NXT,
  SND_UNA,
  SND_WND,
  TS_OFFSET,
} from '../../../src/tcpip/tcp/state/rows.js';
import { SackBlocks } from '../../../src/tcpip/tcp/state/sack-blocks.js';

export interface NetworkOptions {
  sack?: boolean;
  timestamps?: boolean;
  reno?: boolean;
  mss?: number;
  iss?: number;
  /** One way, in ms. */
  delay?: number;
  /** Bytes that the application sends. */
  bytes?: number;
  window?: number;
  /** Bytes per ms of the bottleneck, and how many ms its queue lasts; none: infinitely fast. */
  rate?: number;
  queueMs?: number;
  /** Called per data segment: true drops it. `copy` counts the transmissions of this segment. */
  drop?: (seq: number, copy: number) => boolean;
  dropAck?: () => boolean;
  /** Additional delay of a segment in ms. */
  jitter?: (seq: number, copy: number) => number;
  dsack?: boolean;
  /** Most bytes for the records. */
  memory?: number;
  synLost?: boolean;
}

interface Packet {
  at: number;
  order: number;
  kind: 'data' | 'ack';
  seq: number;
  end: number;
  ts: number;
  sacks: [number, number][];
}

/** Row 1 of two, so that offsets matter. */
const ROW = 1;

export class RecoveryNetwork {
  now = 1000;
  readonly rows = new Rows(2);
  readonly clock: Clock;
  readonly counters = createTcpCounters();
  readonly regions: RegionPool;
  readonly recovery: Recovery;
  readonly r = ROW * ROW_WORDS;
  readonly iss: number;
  readonly mss: number;
  /** What went out: every transmission, in order. */
  readonly log: { at: number; seq: number; end: number; again: boolean }[] = [];
  /** Deadline of the timer in ms, or null. */
  deadline: number | null = null;
  /** Called after each step. */
  check: (() => void) | null = null;

  private readonly packets: Packet[] = [];
  private order = 0;
  private busyUntil = 0;
  private readonly copies = new Map<number, number>();
  private rcvNxt: number;
  private tsRecent = 0;
  private readonly outOfOrder: [number, number][] = [];
  private latest = 0;

  constructor(readonly options: NetworkOptions) {
    this.clock = new Clock(() => this.now);
    this.regions = new RegionPool(options.memory ?? 1 << 28);
    this.iss = options.iss ?? -100_000;
    this.mss = options.mss ?? 1000;
    const wheel = {
      set: (id: number, deadline: number) => {
        if (id !== ROW * 4) throw new Error(`timer ${id}`);
        this.deadline = deadline;
      },
      clear: () => {
        this.deadline = null;
      },
    };
    this.recovery = new Recovery({
      rows: this.rows,
      regions: this.regions,
      clock: this.clock,
      wheel,
      counters: this.counters,
    });
    const { i32 } = this.rows;
    const r = this.r;
    i32[r + SND_UNA] = i32[r + SND_NXT] = this.iss;
    i32[r + SND_END] = (this.iss + (options.bytes ?? 100_000)) | 0;
    i32[r + SND_WND] = options.window ?? 1 << 28;
    i32[r + MSS] = this.mss;
    i32[r + TS_OFFSET] = 123_456_789;
    i32[r + FLAGS] =
      ((options.sack ?? true) ? FLAG_SACK : 0) |
      ((options.timestamps ?? true) ? FLAG_TIMESTAMPS : 0) |
      (options.reno ? FLAG_RENO : 0);
    this.rcvNxt = this.iss;
    this.recovery.open(r, options.synLost ?? false);
    if (!options.synLost) this.recovery.handshakeRtt(r, 2 * (options.delay ?? 10) * 1000);
  }

  get cwnd(): number {
    return this.rows.i32[this.r + CWND]!;
  }

  get done(): boolean {
    return this.rows.i32[this.r + SND_UNA]! === this.rows.i32[this.r + SND_END]!;
  }

  /** Lets the application send `bytes` more. */
  write(bytes: number): void {
    const { i32 } = this.rows;
    i32[this.r + SND_END] = (i32[this.r + SND_END]! + bytes) | 0;
    this.clock.read();
    this.send();
  }

  /** The path takes shorter segments from now on. */
  reduceMtu(mss: number): void {
    this.rows.i32[this.r + MSS] = mss;
    this.clock.read();
    this.recovery.mtuReduced(this.r, mss);
    this.send();
  }

  /** The receiver drops everything that is out of order. */
  renege(): void {
    this.outOfOrder.length = 0;
  }

  /** Runs until everything is acknowledged, or until the time. Returns whether it is done. */
  run(untilMs: number, maxSteps = 2_000_000): boolean {
    this.clock.read();
    this.send();
    for (let step = 0; step < maxSteps; step++) {
      const packet = this.packets[0];
      const packetAt = packet?.at ?? Number.POSITIVE_INFINITY;
      const timerAt = this.deadline ?? Number.POSITIVE_INFINITY;
      const next = Math.min(packetAt, timerAt);
      if (next === Number.POSITIVE_INFINITY || next > untilMs) {
        this.now = Math.max(this.now, Math.min(untilMs, next === Number.POSITIVE_INFINITY ? this.now : untilMs));
        return this.done;
      }
      this.now = Math.max(this.now, next);
      this.clock.read();
      if (packet !== undefined && packetAt <= timerAt) {
        this.pop();
        if (packet.kind === 'data') this.receive(packet);
        else this.acknowledge(packet);
      } else {
        this.expire();
      }
      this.check?.();
    }
    throw new Error('too many steps');
  }

  /** Counts what the sums of the scoreboard must be, from the records. */
  recount(): { pipe: number; lost: number; sacked: number; sackedSegments: number; records: number } {
    const { i32 } = this.rows;
    const { ring } = this.recovery;
    const sums = { pipe: 0, lost: 0, sacked: 0, sackedSegments: 0, records: 0 };
    ring.select(this.r);
    let seq = i32[this.r + SND_UNA]!;
    for (let record = i32[this.r + RING_HEAD]!; record !== i32[this.r + RING_TAIL]!; record = ring.after(record)) {
      const at = ring.at(record);
      if (ring.words[at + SEQ] !== seq)
        throw new Error(`record ${record} begins at ${ring.words[at + SEQ]!}, not ${seq}`);
      seq = ring.words[at + END]!;
      const length = (ring.words[at + END]! - ring.words[at + SEQ]!) | 0;
      const bits = ring.words[at + BITS]!;
      if ((bits & SEGMENT_SACKED) !== 0) {
        sums.sacked += length;
        sums.sackedSegments++;
      } else if ((bits & SEGMENT_LOST) !== 0) sums.lost += length;
      else sums.pipe += length;
      sums.records++;
    }
    if (seq !== i32[this.r + SND_NXT]!) throw new Error(`records end at ${seq}, SND.NXT is ${i32[this.r + SND_NXT]!}`);
    return sums;
  }

  /** What the scoreboard says. */
  sums(): { pipe: number; lost: number; sacked: number; sackedSegments: number } {
    const { i32 } = this.rows;
    const r = this.r;
    return {
      pipe: i32[r + PIPE]!,
      lost: i32[r + LOST_BYTES]!,
      sacked: i32[r + SACKED_BYTES]!,
      sackedSegments: i32[r + SACKED_SEGMENTS]!,
    };
  }

  private send(): void {
    const { i32 } = this.rows;
    const r = this.r;
    const recovery = this.recovery;
    for (;;) {
      const lost = recovery.nextLost(r);
      const allowance = recovery.allowance(r);
      if (lost >= 0) {
        const length = (recovery.recordEnd(r, lost) - recovery.recordSeq(r, lost)) | 0;
        if (allowance < length) break;
        this.resend(lost);
      } else {
        const length = Math.min(i32[r + MSS]!, (i32[r + SND_END]! - i32[r + SND_NXT]!) | 0);
        if (length <= 0 || allowance < length || !this.sendNew(length)) break;
      }
    }
    recovery.rearm(r);
  }

  private sendNew(length: number): boolean {
    const { i32 } = this.rows;
    const r = this.r;
    const seq = i32[r + SND_NXT]!;
    const end = (seq + length) | 0;
    if (((i32[r + SND_UNA]! + i32[r + SND_WND]! - end) | 0) < 0) return false;
    if (!this.recovery.sent(r, seq, (end - seq) | 0, 1)) return false;
    i32[r + SND_NXT] = end;
    this.transmit(seq, end, false);
    return true;
  }

  private resend(record: number): void {
    const recovery = this.recovery;
    const seq = recovery.recordSeq(this.r, record);
    const end = recovery.recordEnd(this.r, record);
    recovery.resent(this.r, record);
    for (let from = seq; ((end - from) | 0) > 0; ) {
      const to = ((end - from) | 0) > this.rows.i32[this.r + MSS]! ? (from + this.rows.i32[this.r + MSS]!) | 0 : end;
      this.transmit(from, to, true);
      from = to;
    }
  }

  private expire(): void {
    this.deadline = null;
    const { i32 } = this.rows;
    const r = this.r;
    const result = this.recovery.expired(r);
    if (result === EXPIRED_PROBE) {
      const length = Math.min(i32[r + MSS]!, (i32[r + SND_END]! - i32[r + SND_NXT]!) | 0);
      const isNew = length > 0 && this.sendNew(length);
      if (!isNew) this.resend(this.recovery.probeRecord(r));
      this.recovery.probeSent(r, !isNew);
    } else if (result === EXPIRED_RTO) {
      this.resend(this.recovery.nextLost(r));
    }
    this.send();
  }

  private transmit(seq: number, end: number, again: boolean): void {
    const { delay = 10, rate, queueMs = 100, drop, jitter } = this.options;
    const copy = this.copies.get(seq) ?? 0;
    this.copies.set(seq, copy + 1);
    this.log.push({ at: this.now, seq, end, again });
    if (drop?.(seq, copy)) return;
    let at = this.now;
    if (rate !== undefined) {
      const start = Math.max(this.busyUntil, this.now);
      if (start - this.now > queueMs) return;
      this.busyUntil = start + ((end - seq) | 0) / rate;
      at = this.busyUntil;
    }
    const ts = (this.clock.ms + this.rows.i32[this.r + TS_OFFSET]!) | 0;
    this.push({ at: at + delay + (jitter?.(seq, copy) ?? 0), order: 0, kind: 'data', seq, end, ts, sacks: [] });
  }

  private receive(packet: Packet): void {
    const sacks: [number, number][] = [];
    const { seq, end } = packet;
    if (((seq - this.rcvNxt) | 0) <= 0) this.tsRecent = packet.ts;
    if (((end - this.rcvNxt) | 0) <= 0) {
      if (this.options.dsack ?? true) sacks.push([seq, end]);
    } else {
      const known = this.outOfOrder.find(([a, b]) => ((seq - a) | 0) >= 0 && ((b - end) | 0) >= 0);
      if (known && (this.options.dsack ?? true)) sacks.push([seq, end]);
      if (!known) this.store(seq, end);
    }
    while (this.outOfOrder.length > 0) {
      const i = this.outOfOrder.findIndex(([a]) => ((a - this.rcvNxt) | 0) <= 0);
      if (i < 0) break;
      const block = this.outOfOrder[i]!;
      this.outOfOrder.splice(i, 1);
      if (((block[1] - this.rcvNxt) | 0) > 0) this.rcvNxt = block[1];
    }
    const latest = this.outOfOrder.findIndex(([a, b]) => ((this.latest - a) | 0) >= 0 && ((b - this.latest) | 0) > 0);
    const most = (this.options.timestamps ?? true) ? 3 : 4;
    if (latest >= 0) sacks.push(this.outOfOrder[latest]!);
    for (let i = 0; i < this.outOfOrder.length && sacks.length < most; i++) {
      if (i !== latest) sacks.push(this.outOfOrder[i]!);
    }
    if (this.options.dropAck?.()) return;
    const { delay = 10 } = this.options;
    this.push({
      at: this.now + delay,
      order: 0,
      kind: 'ack',
      seq: this.rcvNxt,
      end: 0,
      ts: this.tsRecent,
      sacks: sacks.map(([a, b]) => [a, b]),
    });
  }

  private store(seq: number, end: number): void {
    this.latest = seq;
    let [start, stop] = [seq, end];
    for (let i = this.outOfOrder.length - 1; i >= 0; i--) {
      const [a, b] = this.outOfOrder[i]!;
      if (((a - stop) | 0) > 0 || ((start - b) | 0) > 0) continue;
      if (((start - a) | 0) > 0) start = a;
      if (((b - stop) | 0) > 0) stop = b;
      this.outOfOrder.splice(i, 1);
    }
    this.outOfOrder.unshift([start, stop]);
  }

  private acknowledge(packet: Packet): void {
    const { i32 } = this.rows;
    const r = this.r;
    if (((packet.seq - i32[r + SND_UNA]!) | 0) < 0) return;
    const blocks = new SackBlocks();
    if (this.options.sack ?? true) for (const [a, b] of packet.sacks) blocks.add(a, b);
    this.recovery.acked(r, packet.seq, blocks, this.options.timestamps ?? true, packet.ts, 0, false);
    i32[r + SND_UNA] = packet.seq;
    this.send();
  }

  private push(packet: Packet): void {
    packet.order = this.order++;
    const list = this.packets;
    let i = list.length;
    list.push(packet);
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (list[up]!.at < packet.at || (list[up]!.at === packet.at && list[up]!.order < packet.order)) break;
      list[i] = list[up]!;
      i = up;
    }
    list[i] = packet;
  }

  private pop(): void {
    const list = this.packets;
    const last = list.pop()!;
    if (list.length === 0) return;
    let i = 0;
    const before = (a: Packet, b: Packet) => a.at < b.at || (a.at === b.at && a.order < b.order);
    for (;;) {
      let child = 2 * i + 1;
      if (child >= list.length) break;
      if (child + 1 < list.length && before(list[child + 1]!, list[child]!)) child++;
      if (!before(list[child]!, last)) break;
      list[i] = list[child]!;
      i = child;
    }
    list[i] = last;
  }
}
