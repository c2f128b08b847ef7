/**
 * Proportional Rate Reduction (RFC 6937 and its successor RFC 9937): in fast recovery, what is sent follows what is
 * delivered, so that cwnd comes to ssthresh by the end of recovery without a pause and without a burst.
 */

import { CWND, MSS, PRR_DELIVERED, PRR_FLIGHT, PRR_OUT, SACKED_BYTES, SND_NXT, SSTHRESH } from '../state/rows.js';

/**
 * Recovery begins with this ACK. RecoverFS is what can be delivered during recovery: what was in flight before the ACK,
 * without what had been SACKed before (RFC 9937, 6).
 * @param una SND.UNA before the ACK
 * @param sacked bytes that the ACK SACKs newly
 */
export function beginPrr(i32: Int32Array, r: number, una: number, sacked: number): void {
  i32[r + PRR_DELIVERED] = 0;
  i32[r + PRR_OUT] = 0;
  const flight = (i32[r + SND_NXT] - una) | 0;
  i32[r + PRR_FLIGHT] = Math.max(i32[r + MSS], flight - (i32[r + SACKED_BYTES] - sacked));
}

/**
 * Sets cwnd after an ACK in recovery.
 * @param pipe bytes in the network after the ACK
 * @param delivered bytes that the ACK reports as delivered
 * @param safe the ACK number advanced, and the ACK told of no further loss: slow start is allowed (SSRB); otherwise not
 *   more is sent than was delivered (CRB)
 */
export function updatePrr(i32: Int32Array, r: number, pipe: number, delivered: number, safe: boolean): void {
  const mss = i32[r + MSS];
  const ssthresh = i32[r + SSTHRESH];
  // The count stops at 2^30 bytes, so that it stays an int32.
  const total = Math.min(1 << 30, i32[r + PRR_DELIVERED] + delivered);
  const out = i32[r + PRR_OUT];
  i32[r + PRR_DELIVERED] = total;
  let count: number;
  if (pipe > ssthresh) {
    count = Math.ceil((total * ssthresh) / i32[r + PRR_FLIGHT]) - out;
  } else {
    count = Math.max(total - out, delivered);
    if (safe) count += mss;
    count = Math.min(ssthresh - pipe, count);
  }
  // The first retransmission goes out in any case. So does another one if no ACK would come otherwise.
  if ((out === 0 || pipe === 0) && count < mss) count = mss;
  i32[r + CWND] = pipe + Math.max(0, count);
}

/** A segment was sent in recovery. */
export function countPrr(i32: Int32Array, r: number, bytes: number): void {
  i32[r + PRR_OUT] = Math.min(1 << 30, i32[r + PRR_OUT] + bytes);
}
