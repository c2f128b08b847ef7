/** Reno's congestion avoidance (RFC 5681, 3.1), with byte counting (RFC 3465, 2.1). */

import { CWND, CWND_PART, MSS } from '../state/rows.js';

/** Factor of the reduction after a loss (RFC 5681, 3.1, equation 4). */
export const RENO_BETA = 0.5;

/** Grows cwnd by one MSS per cwnd of acknowledged bytes. */
export function growReno(i32: Int32Array, f64: Float64Array, r: number, acked: number): void {
  addToWindow(i32, f64, r, (i32[r + MSS] * acked) / i32[r + CWND]);
}

/** Adds bytes to cwnd. The fraction of a byte is kept for the next time. */
export function addToWindow(i32: Int32Array, f64: Float64Array, r: number, bytes: number): void {
  const total = f64[(r >> 1) + CWND_PART] + bytes;
  const whole = Math.floor(total);
  i32[r + CWND] += whole;
  f64[(r >> 1) + CWND_PART] = total - whole;
}
