/**
 * What a record that arrived tells: the round trip time, RACK's most recent delivery and reordering (RFC 8985, 6.2,
 * steps 2 and 3), and whether an original arrived after its loss was suspected (RFC 5682).
 */

import type { Clock } from '../../clock.js';
import type { CongestionControl } from '../congestion/control.js';
import { TCP } from '../counters.js';
import {
  HIGHEST_SACKED,
  RACK_ORDER,
  RACK_RTT,
  RACK_US,
  RECOVERY_BITS,
  RECOVERY_POINT,
  type Rows,
} from '../state/rows.js';
import type { AckEvent } from './ack-event.js';
import { RACK_VALID, REORDERING_SEEN } from './bits.js';
import { minRtt, sampleMinRtt, sampleRtt } from './rtt.js';
import { END, ORDER, SEGMENT_RETRANSMITTED, SENT_MS, SENT_US, type SentRing } from './sent-ring.js';

/** An RTT from a timestamp of the peer is not believed if it is longer, in ms. */
const MAX_ECHO_MS = 120_000;
const US_PER_MS = 1000;

export class Delivery {
  private readonly i32: Int32Array;
  private readonly f64: Float64Array;

  constructor(
    rows: Rows,
    private readonly ring: SentRing,
    private readonly congestion: CongestionControl,
    private readonly clock: Clock,
    private readonly counters: Float64Array,
    private readonly rtts: Float64Array,
  ) {
    this.i32 = rows.i32;
    this.f64 = rows.f64;
  }

  /** A record that was not SACKed before is acknowledged by the ACK number. */
  acknowledged(r: number, at: number, bits: number, event: AckEvent): void {
    if ((bits & SEGMENT_RETRANSMITTED) !== 0) {
      event.ackedRetransmitted = true;
    } else {
      const rtt = (this.clock.us - this.ring.words[at + SENT_US]) | 0;
      if (event.rtt < 0) event.rtt = rtt;
      event.shortRtt = rtt;
    }
    // The echo of an ACK that advances is that of a segment that it covers. A SACK tells nothing by its echo.
    const isOld = event.hasEcho && ((event.echoMs - this.ring.words[at + SENT_MS]) | 0) < 0;
    this.arrived(r, at, bits, event, isOld);
  }

  /** A record is SACKed. */
  sacked(r: number, at: number, bits: number, event: AckEvent): void {
    if ((bits & SEGMENT_RETRANSMITTED) === 0) {
      const rtt = (this.clock.us - this.ring.words[at + SENT_US]) | 0;
      if (event.sackRtt < rtt) event.sackRtt = rtt;
      if (event.shortSackRtt < 0 || event.shortSackRtt > rtt) event.shortSackRtt = rtt;
    }
    this.arrived(r, at, bits, event, false);
  }

  /** Takes the round trip time from what the ACK reports (RFC 6298, 3; RFC 7323, 4). */
  measure(r: number, event: AckEvent, flight: number): void {
    const i32 = this.i32;
    let rtt = event.ackedRetransmitted ? -1 : event.rtt;
    let short = event.ackedRetransmitted ? -1 : event.shortRtt;
    if (rtt < 0) {
      rtt = event.sackRtt;
      short = event.shortSackRtt;
    }
    if (short >= 0) sampleMinRtt(i32, r, short, this.clock.ms);
    this.congestion.observe(r, event.ack, event.pipe, short);
    if (rtt < 0 && event.hasEcho && event.acked > 0) {
      const ms = (this.clock.ms - event.echoMs) | 0;
      if (ms >= 0 && ms <= MAX_ECHO_MS) rtt = Math.max(1, ms) * US_PER_MS;
    }
    if (rtt >= 0) sampleRtt(i32, this.f64, r, rtt, flight, this.rtts);
  }

  /** `isOld`: the ACK answers an earlier transmission of the record than the last one. */
  private arrived(r: number, at: number, bits: number, event: AckEvent, isOld: boolean): void {
    const i32 = this.i32;
    const words = this.ring.words;
    const end = words[at + END];
    const sentUs = words[at + SENT_US];
    const order = words[at + ORDER];
    const retransmitted = (bits & SEGMENT_RETRANSMITTED) !== 0;
    if (!retransmitted && ((end - i32[r + RECOVERY_POINT]) | 0) <= 0) event.ackedOriginal = true;
    // Step 3: an original below what had arrived before this ACK was overtaken.
    if (((end - i32[r + HIGHEST_SACKED]) | 0) > 0) i32[r + HIGHEST_SACKED] = end;
    if (!retransmitted && ((end - event.highest) | 0) < 0) this.sawReordering(r);
    // Step 2. Not when it may have been an earlier transmission that arrived.
    const rtt = Math.max(1, (this.clock.us - sentUs) | 0);
    if (retransmitted && (isOld || rtt < minRtt(i32, r))) return;
    const ahead = (sentUs - i32[r + RACK_US]) | 0;
    if (
      (i32[r + RECOVERY_BITS] & RACK_VALID) === 0 ||
      ahead > 0 ||
      (ahead === 0 && ((order - i32[r + RACK_ORDER]) | 0) > 0)
    ) {
      i32[r + RACK_US] = sentUs;
      i32[r + RACK_ORDER] = order;
      i32[r + RECOVERY_BITS] |= RACK_VALID;
    }
    // RACK.rtt is that of the record that was sent last, among those that this ACK reports.
    if (event.rackRtt < 0 || rtt < event.rackRtt) {
      event.rackRtt = rtt;
      i32[r + RACK_RTT] = rtt;
    }
  }

  private sawReordering(r: number): void {
    if ((this.i32[r + RECOVERY_BITS] & REORDERING_SEEN) !== 0) return;
    this.i32[r + RECOVERY_BITS] |= REORDERING_SEEN;
    this.counters[TCP.tcp_reordering_seen]++;
  }
}
