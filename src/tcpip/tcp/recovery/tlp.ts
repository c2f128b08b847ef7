/** Tail loss probes (RFC 8985, 7): a segment that brings an ACK when the end of a flight may be lost. */

import { FLAG_SACK, FLAGS, RECOVERY_BITS, SACKED_SEGMENTS, SND_NXT, SRTT, TIMEOUTS, TLP_END } from '../state/rows.js';
import type { AckEvent } from './ack-event.js';
import { MEASURED, OPEN, RECOVERY_STATE, TLP_OUT, TLP_RETRANSMISSION } from './bits.js';

/** TLP.max_ack_delay: how long a receiver may wait before it acknowledges one segment. */
const MAX_ACK_DELAY_US = 200_000;
/** With round trips far below the tick of the timer, a probe must not come before the ACK can. */
const MIN_MARGIN_US = 8_000;

/**
 * Whether a probe may be planned: no loss is suspected, none is out, and there was an RTT sample since the last one
 * (RFC 8985, 7.2 and 7.3). RACK needs SACK to use what a probe brings.
 */
export function canProbe(i32: Int32Array, r: number): boolean {
  return (
    (i32[r + RECOVERY_BITS] & (RECOVERY_STATE | TLP_OUT | MEASURED)) === (OPEN | MEASURED) &&
    (i32[r + FLAGS] & FLAG_SACK) !== 0 &&
    i32[r + SACKED_SEGMENTS] === 0 &&
    i32[r + TIMEOUTS] === 0
  );
}

/** PTO in µs (RFC 8985, 7.2: TLP_calc_PTO), without its limit by the RTO. `isSingle`: one segment is in flight. */
export function probeTimeoutUs(f64: Float64Array, r: number, isSingle: boolean): number {
  return Math.ceil(2 * f64[(r >> 1) + SRTT] + (isSingle ? MAX_ACK_DELAY_US : MIN_MARGIN_US)) | 0;
}

/** A probe was sent (RFC 8985, 7.3: TLP_send_probe). */
export function noteProbe(i32: Int32Array, r: number, isRetransmission: boolean): void {
  const kind = isRetransmission ? TLP_RETRANSMISSION : 0;
  i32[r + TLP_END] = i32[r + SND_NXT];
  i32[r + RECOVERY_BITS] = (i32[r + RECOVERY_BITS] & ~(TLP_RETRANSMISSION | MEASURED)) | TLP_OUT | kind;
}

/** Forgets the probe: a recovery begins, or everything is acknowledged (RFC 8985, 7.1). */
export function forgetProbe(i32: Int32Array, r: number): void {
  i32[r + RECOVERY_BITS] &= ~(TLP_OUT | TLP_RETRANSMISSION);
}

/**
 * What an ACK says about the probe (RFC 8985, 7.4.2: TLP_process_ack).
 * @returns whether the probe has repaired a loss, to which congestion control has to react
 */
export function probeRepairedLoss(i32: Int32Array, r: number, event: AckEvent): boolean {
  const bits = i32[r + RECOVERY_BITS];
  const end = i32[r + TLP_END];
  const beyond = (event.ack - end) | 0;
  if ((bits & TLP_OUT) === 0 || beyond < 0) return false;
  const isDuplicate = event.duplicate && !event.hasSacks;
  const isRetransmission = (bits & TLP_RETRANSMISSION) !== 0;
  event.dsackOfProbe = isRetransmission && event.dsack && event.dsackEnd === end;
  if (!isRetransmission || event.dsackOfProbe || isDuplicate) {
    forgetProbe(i32, r);
    return false;
  }
  if (beyond === 0) return false;
  forgetProbe(i32, r);
  return true;
}
