/**
 * Whether a recovery was unnecessary: by timestamps (RFC 3522: Eifel detection), by D-SACKs for all retransmissions
 * (RFC 3708; RFC 8985, 6.2), and after a timeout without timestamps by F-RTO (RFC 5682). Recovery undoes the reduction
 * then (RFC 4015).
 */

import {
  FLAG_NO_DELAY,
  FLAG_SACK,
  FLAG_TIMESTAMPS,
  FLAGS,
  MSS,
  RECOVERY_BITS,
  RECOVERY_POINT,
  RESENT_LIST,
  RETRANSMIT_MS,
  SND_END,
  SND_NXT,
  SND_WND,
  UNDO_COUNT,
  UNDO_FROM,
} from '../state/rows.js';
import type { AckEvent } from './ack-event.js';
import { CAN_UNDO, FRTO, FRTO_NEW_DATA, LOSS, OPEN, PARTIAL_SEEN, RECOVERY_STATE, RETRANSMITTED } from './bits.js';
import { NEXT, NO_RECORD, SENT_MS, type SentRing } from './sent-ring.js';

/**
 * A recovery begins whose reduction can be undone. Retransmissions of the last recovery and probes that are still on
 * their way count for this one: their ACKs say nothing about it, and D-SACKs may come for them, too.
 * @param una SND.UNA
 */
export function beginUndo(i32: Int32Array, r: number, ring: SentRing, una: number): void {
  const first = i32[r + RESENT_LIST];
  let count = 0;
  for (let record = first; record !== NO_RECORD; record = ring.words[ring.at(record) + NEXT]) count++;
  i32[r + UNDO_FROM] = una;
  i32[r + UNDO_COUNT] = count;
  i32[r + RECOVERY_BITS] = (i32[r + RECOVERY_BITS] & ~(RETRANSMITTED | PARTIAL_SEEN)) | CAN_UNDO;
  if (count === 0) return;
  i32[r + RECOVERY_BITS] |= RETRANSMITTED;
  i32[r + RETRANSMIT_MS] = ring.words[ring.at(first) + SENT_MS];
}

/** A segment was sent again, at `ms`. */
export function noteRetransmission(i32: Int32Array, r: number, ms: number): void {
  i32[r + UNDO_COUNT]++;
  if ((i32[r + RECOVERY_BITS] & RETRANSMITTED) !== 0) return;
  i32[r + RECOVERY_BITS] |= RETRANSMITTED;
  i32[r + RETRANSMIT_MS] = ms;
}

/** Whether this ACK shows that the recovery was unnecessary. */
export function isSpurious(i32: Int32Array, r: number, event: AckEvent): boolean {
  const bits = i32[r + RECOVERY_BITS];
  if (event.dsack && isOfEpisode(i32, r, event.dsackEnd)) {
    // A D-SACK reports one segment, which may have been sent again in several pieces or as part of a longer one.
    const segments = Math.max(1, Math.ceil(((event.dsackEnd - event.dsackStart) | 0) / i32[r + MSS]));
    i32[r + UNDO_COUNT] = Math.max(0, i32[r + UNDO_COUNT] - segments);
  }
  if ((bits & (CAN_UNDO | RETRANSMITTED)) !== (CAN_UNDO | RETRANSMITTED)) return false;
  if (event.dsack && isOfEpisode(i32, r, event.dsackEnd) && i32[r + UNDO_COUNT] === 0) return true;
  if ((bits & RECOVERY_STATE) === OPEN) return false;
  // The ACK answers a segment from before the first retransmission.
  if (event.acked > 0 && event.hasEcho && ((event.echoMs - i32[r + RETRANSMIT_MS]) | 0) < 0) return true;
  return (bits & RECOVERY_STATE) === LOSS && (bits & FRTO) !== 0 && frtoStep(i32, r, event);
}

/**
 * Whether F-RTO can be used: with timestamps the first ACK tells all. Not when an earlier recovery is under way, whose
 * segments arrive late (RFC 5682, 2.1, step 1).
 */
export function beginFrto(i32: Int32Array, r: number, stateBefore: number): void {
  const bits = i32[r + RECOVERY_BITS];
  const isRepeated = stateBefore === LOSS && (bits & FRTO) !== 0;
  const wanted = (i32[r + FLAGS] & FLAG_TIMESTAMPS) === 0 && (stateBefore === OPEN || isRepeated);
  i32[r + RECOVERY_BITS] = (bits & ~(FRTO | FRTO_NEW_DATA)) | (wanted ? FRTO : 0);
}

/** Whether a D-SACK that ends at `end` is about data that was in flight when the recovery began. */
function isOfEpisode(i32: Int32Array, r: number, end: number): boolean {
  return ((end - i32[r + UNDO_FROM]) | 0) > 0 && ((end - i32[r + RECOVERY_POINT]) | 0) <= 0;
}

/** An ACK after a timeout (RFC 5682, 2.1 and 3.1, steps 2 and 3). Returns whether the timeout was spurious. */
function frtoStep(i32: Int32Array, r: number, event: AckEvent): boolean {
  // Step 3b: a segment that was not sent again was delivered only now. Without SACK one cannot tell this if the ACK
  // also covers a retransmission, which may have closed a gap.
  const isTold = (i32[r + FLAGS] & FLAG_SACK) !== 0 || !event.ackedRetransmitted;
  if (event.ackedOriginal && isTold) return true;
  const isFirst = (i32[r + RECOVERY_BITS] & FRTO_NEW_DATA) === 0;
  if (isFirst && event.acked > 0 && hasNewData(i32, r, event.ack)) {
    i32[r + RECOVERY_BITS] |= FRTO_NEW_DATA;
  } else if (event.acked > 0 || event.sacked > 0 || event.duplicate) {
    i32[r + RECOVERY_BITS] &= ~(FRTO | FRTO_NEW_DATA);
  }
  return false;
}

/** Whether a new segment would be sent at once if cwnd allows: otherwise step 2b would wait for nothing. */
function hasNewData(i32: Int32Array, r: number, ack: number): boolean {
  const unsent = (i32[r + SND_END] - i32[r + SND_NXT]) | 0;
  const least = (i32[r + FLAGS] & FLAG_NO_DELAY) !== 0 ? 1 : i32[r + MSS];
  const window = (ack + i32[r + SND_WND] - i32[r + SND_NXT]) | 0;
  return unsent >= least && window >= i32[r + MSS];
}
