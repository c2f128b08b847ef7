/**
 * Loss recovery of the sender: what is in flight, what is lost, how much may be sent, and which timer runs. This file
 * goes through the steps of one ACK and of one timeout; each step is a file of its own.
 *
 * SACK marks are kept on a timeout, unless the first segment in flight is SACKed: then the receiver has dropped data
 * that it had SACKed, because it would have acknowledged that segment otherwise. RFC 2018, 8 has the sender ignore all
 * marks on every timeout; but a receiver that drops data is very rare, and a timeout with much data SACKed is not.
 */

import type { Clock } from '../../clock.js';
import { CongestionControl, NO_SSTHRESH } from '../congestion/control.js';
import { noteSent } from '../congestion/idle.js';
import { countPrr } from '../congestion/prr.js';
import { TCP, type TcpCounters } from '../counters.js';
import type { RegionPool } from '../state/regions.js';
import {
  CWND,
  FLAG_SACK,
  FLAG_TIMESTAMPS,
  FLAGS,
  HIGHEST_SACKED,
  LAST_SENT_MS,
  LOST_BYTES,
  MSS,
  PIPE,
  RECOVERY_BITS,
  RECOVERY_POINT,
  RETRANSMITTED,
  RING_HEAD,
  type Rows,
  SND_NXT,
  SND_UNA,
  TS_OFFSET,
} from '../state/rows.js';
import type { SackBlocks } from '../state/sack-blocks.js';
import { AckEvent } from './ack-event.js';
import { FRTO_NEW_DATA, MEASURED, PARTIAL_SEEN, RACK_VALID, RECOVERY, TIMER_PTO, TIMER_RACK, TLP_OUT } from './bits.js';
import { Delivery } from './delivery.js';
import { Episode } from './episode.js';
import { type RecoveryInfo, readInfo } from './info.js';
import { NewReno } from './newreno.js';
import { OnlySegment } from './only-segment.js';
import { Rack } from './rack.js';
import { RetransmitTimer, type TimerSetter } from './retransmit-timer.js';
import { createRttHistogram, noteProgress, openRtt, rtoUs, sampleMinRtt, sampleRtt, timeoutsInRow } from './rtt.js';
import { Scoreboard } from './scoreboard.js';
import { END, NO_RECORD, SENT_MS, SENT_US, SEQ, SentRing } from './sent-ring.js';
import { noteProbe, probeRepairedLoss } from './tlp.js';
import { noteRetransmission } from './undo.js';

/** Results of {@link Recovery.expired}. */

/** Nothing is to be sent, except what `allowance` lets out. */
export const EXPIRED_NOTHING = 0;
/** A tail loss probe is due: one new segment if there is one and the window lets it, otherwise `probeRecord`. */
export const EXPIRED_PROBE = 1;
/** A timeout: send `nextLost`. */
export const EXPIRED_RTO = 2;
/** Segments were found to be lost: send `nextLost` as `allowance` lets out. */
export const EXPIRED_LOST = 3;

/** What {@link Recovery} works on. */
export interface RecoveryParts {
  readonly rows: Rows;
  /** Memory for the records of what is in flight. */
  readonly regions: RegionPool;
  readonly clock: Clock;
  /** The timer wheel. */
  readonly wheel: TimerSetter;
  readonly counters: TcpCounters;
}

export class Recovery {
  readonly ring: SentRing;
  readonly scoreboard: Scoreboard;
  readonly congestion: CongestionControl;
  readonly episode: Episode;
  /** All RTT samples of the stack, as a histogram (rtt.ts). */
  readonly rtts = createRttHistogram();
  private readonly delivery: Delivery;
  private readonly rack: Rack;
  private readonly timer: RetransmitTimer;
  private readonly onlySegment: OnlySegment;
  private readonly rows: Rows;
  private readonly event = new AckEvent();
  private readonly i32: Int32Array;
  private readonly f64: Float64Array;
  private readonly clock: Clock;
  private readonly counters: Float64Array;

  constructor(parts: RecoveryParts) {
    const { rows, regions, clock, wheel } = parts;
    this.rows = rows;
    this.i32 = rows.i32;
    this.f64 = rows.f64;
    this.clock = clock;
    this.counters = parts.counters.values;
    this.ring = new SentRing(rows, regions);
    this.congestion = new CongestionControl(rows, clock);
    this.delivery = new Delivery(rows, this.ring, this.congestion, clock, this.counters, this.rtts);
    this.scoreboard = new Scoreboard(rows, this.ring, this.delivery, this.counters);
    this.rack = new Rack(rows, this.ring, this.scoreboard, clock);
    this.timer = new RetransmitTimer(rows, this.ring, clock, wheel);
    this.onlySegment = new OnlySegment(rows, this.ring, this.congestion, this.timer, clock, this.rtts);
    const newReno = new NewReno(rows, this.ring, this.scoreboard);
    this.episode = new Episode(rows, this.ring, this.scoreboard, this.rack, newReno, this.congestion, this.counters);
  }

  /**
   * Prepares a row: the connection becomes ESTABLISHED. Its words SND_UNA, SND_NXT, MSS and FLAGS are set.
   * @param synLost our SYN or SYN-ACK had to be sent again: cwnd is one segment, the RTO 3 s (RFC 6298, 5.7)
   */
  open(r: number, synLost: boolean): void {
    const i32 = this.i32;
    i32[r + RECOVERY_BITS] = 0;
    i32[r + RECOVERY_POINT] = i32[r + SND_NXT];
    i32[r + HIGHEST_SACKED] = i32[r + SND_UNA];
    this.ring.open(r);
    this.scoreboard.open(r);
    this.rack.open(r);
    openRtt(i32, this.f64, r, synLost);
    this.congestion.open(r, synLost);
    this.timer.restart(r);
    this.timer.restartProbe(r);
  }

  /** The round trip time of the handshake in µs. Not if the SYN was sent again (RFC 6298, 3). */
  handshakeRtt(r: number, us: number): void {
    sampleRtt(this.i32, this.f64, r, us, 0, this.rtts);
    sampleMinRtt(this.i32, r, us, this.clock.ms);
  }

  /** Gives the memory of the row back. The caller clears its timers. */
  close(r: number): void {
    this.ring.close(r);
    this.scoreboard.open(r);
  }

  /**
   * `count` segments of `length` bytes each, from `seq` on, go out now for the first time; a FIN counts as a byte.
   * @returns false when there is no memory to remember them: then they must not be sent
   */
  sent(r: number, seq: number, length: number, count: number): boolean {
    const i32 = this.i32;
    if (this.ring.count(r) === 0) {
      this.timer.restart(r);
      // Everything that was sent before has arrived. Its time would be ahead of ours after 35 minutes.
      i32[r + RECOVERY_BITS] &= ~RACK_VALID;
    }
    if (!this.ring.append(r, seq, length, count, this.clock.us, this.clock.ms)) {
      this.counters[TCP.tcp_sent_ring_no_memory]++;
      return false;
    }
    i32[r + PIPE] += length * count;
    this.timer.restartProbe(r);
    this.noteSent(r, length * count);
    return true;
  }

  /** Makes room for `segments` records. Returns false when there is no memory: then nothing new may be sent. */
  reserve(r: number, segments: number): boolean {
    if (this.ring.reserve(r, segments)) return true;
    this.counters[TCP.tcp_sent_ring_no_memory]++;
    return false;
  }

  /** The record was sent again now, because it was lost or as a probe. */
  resent(r: number, record: number): void {
    const i32 = this.i32;
    const ring = this.ring;
    ring.select(r);
    const at = ring.at(record);
    this.scoreboard.resent(r, record);
    ring.words[at + SENT_US] = this.clock.us;
    ring.words[at + SENT_MS] = this.clock.ms;
    noteRetransmission(i32, r, this.clock.ms);
    i32[r + RETRANSMITTED]++;
    this.counters[TCP.tcp_retransmitted_segments]++;
    if (record === i32[r + RING_HEAD] && !this.isImpatient(r)) this.timer.restart(r);
    this.noteSent(r, (ring.words[at + END] - ring.words[at + SEQ]) | 0);
  }

  /**
   * Takes an ACK with SND.UNA <= ack <= SND.NXT. The caller stores SND_UNA afterwards, sends, and calls {@link rearm}.
   * @param sacks blocks of the SACK option; none: count is 0
   * @param hasTs the ACK has a timestamp option with the echo `tsEcr`
   * @param dataLength bytes of data in the segment
   * @param windowChanged the ACK changes SND.WND
   * @returns bytes that are acknowledged newly
   */
  acked(
    r: number,
    ack: number,
    sacks: SackBlocks,
    hasTs: boolean,
    tsEcr: number,
    dataLength: number,
    windowChanged: boolean,
  ): number {
    const i32 = this.i32;
    const event = this.event;
    const una = i32[r + SND_UNA];
    if (sacks.count === 0 && this.onlySegment.acked(r, ack)) return (ack - una) | 0;
    this.ring.select(r);
    event.begin(ack, una, i32[r + HIGHEST_SACKED], this.scoreboard.pipe(r));
    event.hasEcho = hasTs && (i32[r + FLAGS] & FLAG_TIMESTAMPS) !== 0;
    if (event.hasEcho) event.echoMs = (tsEcr - i32[r + TS_OFFSET]) | 0;
    event.duplicate = event.acked === 0 && dataLength === 0 && !windowChanged && this.awaitsAck(r);
    this.scoreboard.acknowledge(r, event);
    if ((i32[r + FLAGS] & FLAG_SACK) !== 0) this.scoreboard.sack(r, sacks, event);
    this.delivery.measure(r, event, (i32[r + SND_NXT] - una) | 0);
    if (event.acked > 0) {
      noteProgress(i32, r);
      if (!this.isImpatient(r)) this.timer.restart(r);
      this.timer.restartProbe(r);
    }
    if (probeRepairedLoss(i32, r, event)) this.episode.repairedByProbe(r, event);
    this.rack.adapt(r, event);
    this.episode.step(r, event);
    return event.acked;
  }

  /**
   * Whether an ACK is of interest: something is in flight, or the answer to a tail loss probe is open. Other ACKs need
   * not be given to {@link acked}, unless they have SACK blocks: a D-SACK may come when all is acknowledged.
   */
  awaitsAck(r: number): boolean {
    return this.ring.count(r) > 0 || (this.i32[r + RECOVERY_BITS] & TLP_OUT) !== 0;
  }

  /**
   * Bytes that may be sent now, as far as congestion control is asked; at least 0. With nothing in flight, one segment
   * at least: the MSS grows beyond a small cwnd when the path MTU is tried anew.
   */
  allowance(r: number): number {
    const { i32 } = this;
    if (this.ring.count(r) === 0) this.congestion.checkIdle(r, rtoUs(i32, r));
    const pipe = this.scoreboard.pipe(r);
    return pipe === 0 ? Math.max(i32[r + CWND], i32[r + MSS]) : Math.max(0, i32[r + CWND] - pipe);
  }

  /**
   * The record to be sent again next, or -1. After a timeout it is -1 while new data has to go out first, to find out
   * whether the timeout was spurious (RFC 5682, 2.1, step 2b). A record that is longer than MSS, because MSS became
   * smaller, is sent as several segments.
   */
  nextLost(r: number): number {
    if (this.i32[r + LOST_BYTES] === 0 || (this.i32[r + RECOVERY_BITS] & FRTO_NEW_DATA) !== 0) return NO_RECORD;
    this.ring.select(r);
    return this.scoreboard.nextLost(r);
  }

  recordSeq(r: number, record: number): number {
    this.ring.select(r);
    return this.ring.words[this.ring.at(record) + SEQ];
  }

  recordEnd(r: number, record: number): number {
    this.ring.select(r);
    return this.ring.words[this.ring.at(record) + END];
  }

  /** The timer RETRANSMIT has expired. The caller sends, and calls {@link rearm}. Returns an EXPIRED_ number. */
  expired(r: number): number {
    const i32 = this.i32;
    if (this.ring.count(r) === 0) return EXPIRED_NOTHING;
    this.ring.select(r);
    const kind = this.timer.kind(r);
    if (kind === TIMER_RACK) return this.episode.reorderingExpired(r, this.event) ? EXPIRED_LOST : EXPIRED_NOTHING;
    this.timer.restart(r);
    if (kind === TIMER_PTO) {
      // Even if no probe can be sent, the RTO is next (RFC 8985, 7.3).
      i32[r + RECOVERY_BITS] &= ~MEASURED;
      return EXPIRED_PROBE;
    }
    this.episode.timeout(r);
    return EXPIRED_RTO;
  }

  /** The record that is sent as a tail loss probe if there is no new data: the newest (RFC 8985, 7.3). */
  probeRecord(r: number): number {
    return this.ring.last(r);
  }

  /** A tail loss probe was sent, after {@link sent} or {@link resent}. */
  probeSent(r: number, isRetransmission: boolean): void {
    this.counters[TCP.tcp_tlp_probes]++;
    noteProbe(this.i32, r, isRetransmission);
    this.timer.restart(r);
  }

  /** Sets the timer RETRANSMIT for what is in flight. Call it after an ACK and after sending. */
  rearm(r: number): void {
    this.timer.rearm(r);
  }

  /**
   * The path takes at most `mss` bytes: longer segments in flight count as lost at once, which says nothing about
   * congestion (RFC 1191, 6.4).
   */
  mtuReduced(r: number, mss: number): void {
    this.ring.select(r);
    this.scoreboard.loseLonger(r, mss);
  }

  /** Timeouts in a row without progress. */
  timeouts(r: number): number {
    return timeoutsInRow(this.i32, r);
  }

  /** An ACK had ECE. */
  ecnEcho(r: number): void {
    this.episode.ecnEcho(r);
  }

  /** What is known of the path and the sender now. Makes an object. */
  info(r: number): RecoveryInfo {
    return readInfo(this.rows, r, this.scoreboard.pipe(r), NO_SSTHRESH);
  }

  /**
   * Without SACK, a recovery repairs one segment per round trip. If that takes longer than the RTO, a timeout is faster,
   * so only the first partial ACK restarts the timer (RFC 6582, 4: the Impatient variant).
   */
  private isImpatient(r: number): boolean {
    return (this.i32[r + RECOVERY_BITS] & PARTIAL_SEEN) !== 0 && this.episode.state(r) === RECOVERY;
  }

  private noteSent(r: number, length: number): void {
    const i32 = this.i32;
    i32[r + LAST_SENT_MS] = this.clock.ms;
    noteSent(i32, r, i32[r + PIPE]);
    if (this.episode.state(r) === RECOVERY) countPrr(i32, r, length);
  }
}
