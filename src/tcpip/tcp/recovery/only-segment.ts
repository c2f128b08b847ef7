/**
 * The ACK of the only segment in flight, which was sent once, while nothing is suspected to be lost. This is the usual
 * ACK of a request or a response. It does what the steps of {@link Recovery.acked} do in this case, without those that
 * would find nothing: a test compares both.
 */

import type { Clock } from '../../clock.js';
import type { CongestionControl } from '../congestion/control.js';
import {
  HIGHEST_SACKED,
  PIPE,
  RACK_ORDER,
  RACK_RTT,
  RACK_US,
  RECOVERY_BITS,
  RING_HEAD,
  RING_TAIL,
  type Rows,
  SACKED_SEGMENTS,
  SND_NXT,
} from '../state/rows.js';
import { CAN_UNDO, DSACK_ROUND_SET, POINT_SET, RACK_VALID, RACK_WAITS, RECOVERY_STATE, TLP_OUT } from './bits.js';
import type { RetransmitTimer } from './retransmit-timer.js';
import { noteProgress, sampleMinRtt, sampleRtt } from './rtt.js';
import { BITS, ORDER, SENT_US, SEQ, type SentRing } from './sent-ring.js';

/** A loss, a probe or a D-SACK is remembered: the ACK may say something about it. */
const UNUSUAL = RECOVERY_STATE | TLP_OUT | CAN_UNDO | POINT_SET | DSACK_ROUND_SET;

export class OnlySegment {
  private readonly i32: Int32Array;
  private readonly f64: Float64Array;

  constructor(
    rows: Rows,
    private readonly ring: SentRing,
    private readonly congestion: CongestionControl,
    private readonly timer: RetransmitTimer,
    private readonly clock: Clock,
    private readonly rtts: Float64Array,
  ) {
    this.i32 = rows.i32;
    this.f64 = rows.f64;
  }

  /**
   * Takes an ACK without SACK blocks, as {@link Recovery.acked}.
   * @returns false when the case is another one: nothing has changed
   */
  acked(r: number, ack: number): boolean {
    const { i32, ring } = this;
    const head = i32[r + RING_HEAD];
    const state = i32[r + RECOVERY_BITS];
    // SACKED_SEGMENTS counts duplicate ACKs, too, where the peer does not SACK.
    if (((i32[r + RING_TAIL] - head) | 0) !== 1 || (state & UNUSUAL) !== 0 || i32[r + SACKED_SEGMENTS] !== 0)
      return false;
    if (ack !== i32[r + SND_NXT] || ((ack - i32[r + HIGHEST_SACKED]) | 0) < 0) return false;
    ring.select(r);
    const { words } = ring;
    const at = ring.at(head);
    const sentUs = words[at + SENT_US];
    const rtt = (this.clock.us - sentUs) | 0;
    // It is negative when more than 35 minutes have passed.
    if (words[at + BITS] !== 0 || rtt < 0) return false;
    const length = (ack - words[at + SEQ]) | 0;
    const pipe = i32[r + PIPE];
    i32[r + PIPE] = pipe - length;
    i32[r + HIGHEST_SACKED] = ack;
    this.rackDelivered(r, state, sentUs, words[at + ORDER]);
    i32[r + RACK_RTT] = rtt > 1 ? rtt : 1;
    ring.dropHead(r);
    sampleMinRtt(i32, r, rtt, this.clock.ms);
    this.congestion.observe(r, ack, pipe, rtt);
    sampleRtt(i32, this.f64, r, rtt, length, this.rtts);
    noteProgress(i32, r);
    this.timer.restart(r);
    this.timer.restartProbe(r);
    this.congestion.grow(r, length, false);
    return true;
  }

  /** RACK's most recent delivery (RFC 8985, 6.2, step 2). With nothing in flight, it waits for no segment. */
  private rackDelivered(r: number, state: number, sentUs: number, order: number): void {
    const { i32 } = this;
    i32[r + RECOVERY_BITS] = (state & ~RACK_WAITS) | RACK_VALID;
    const ahead = (sentUs - i32[r + RACK_US]) | 0;
    if ((state & RACK_VALID) !== 0 && (ahead < 0 || (ahead === 0 && ((order - i32[r + RACK_ORDER]) | 0) <= 0))) return;
    i32[r + RACK_US] = sentUs;
    i32[r + RACK_ORDER] = order;
  }
}
