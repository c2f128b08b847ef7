/**
 * CUBIC (RFC 9438). W_max, cwnd and W_est are in bytes, as the RFC's segments times MSS; t and K are in ms.
 */

import {
  CONGESTION_BITS,
  CUBIC_EPOCH_MS,
  CUBIC_K,
  CUBIC_MAX,
  CUBIC_RENO,
  CWND,
  MSS,
  PRIOR_CUBIC_EPOCH_MS,
  PRIOR_CUBIC_K,
  PRIOR_CUBIC_MAX,
  PRIOR_CUBIC_RENO,
  PRIOR_CWND,
} from '../state/rows.js';
import { CUBIC_EPOCH, PRIOR_CUBIC_EPOCH } from './bits.js';
import { addToWindow } from './reno.js';

/** C and beta_cubic (RFC 9438, 5 and 4.6). */
const C = 0.4;
export const CUBIC_BETA = 0.7;
/** alpha_cubic: with it the Reno-friendly region has Reno's average window (RFC 9438, 4.3). */
const ALPHA = (3 * (1 - CUBIC_BETA)) / (1 + CUBIC_BETA);
/** The target is at most this times cwnd (RFC 9438, 4.2). */
const MAX_TARGET = 1.5;
const MS = 1000;

/** Grows cwnd in congestion avoidance (RFC 9438, 4.2 to 4.5). `rttUs` is SRTT, `ms` the time. */
export function growCubic(
  i32: Int32Array,
  f64: Float64Array,
  r: number,
  acked: number,
  rttUs: number,
  ms: number,
): void {
  if ((i32[r + CONGESTION_BITS] & CUBIC_EPOCH) === 0) beginEpoch(i32, f64, r, ms);
  const d = r >> 1;
  const cwnd = i32[r + CWND];
  const mss = i32[r + MSS];
  const elapsed = (ms - i32[r + CUBIC_EPOCH_MS]) | 0;
  // W_est reaches Reno's slope once it has made up for the reduction (4.3).
  const alpha = f64[d + CUBIC_RENO] >= i32[r + PRIOR_CWND] ? 1 : ALPHA;
  f64[d + CUBIC_RENO] += (alpha * mss * acked) / cwnd;
  const reno = f64[d + CUBIC_RENO];
  if (cubicWindow(i32, r, elapsed) < reno) {
    if (reno > cwnd) addToWindow(i32, f64, r, reno - cwnd);
    return;
  }
  const target = Math.min(MAX_TARGET * cwnd, cubicWindow(i32, r, elapsed + rttUs / MS));
  if (target > cwnd) addToWindow(i32, f64, r, ((target - cwnd) / cwnd) * acked);
}

/** W_cubic(t) in bytes (RFC 9438, 4.2, equation 1); `elapsed` is t in ms. */
export function cubicWindow(i32: Int32Array, r: number, elapsed: number): number {
  const t = (elapsed - i32[r + CUBIC_K]) / MS;
  return C * i32[r + MSS] * t * t * t + i32[r + CUBIC_MAX];
}

/**
 * W_max after a loss at this window, with fast convergence: a flow that stays below its last W_max leaves room for
 * others (RFC 9438, 4.7). After a timeout, K is 0 and W_max is cwnd when the next stage begins (4.8).
 */
export function reduceCubic(i32: Int32Array, f64: Float64Array, r: number, window: number, isTimeout: boolean): void {
  i32[r + PRIOR_CUBIC_MAX] = i32[r + CUBIC_MAX];
  i32[r + PRIOR_CUBIC_K] = i32[r + CUBIC_K];
  i32[r + PRIOR_CUBIC_EPOCH_MS] = i32[r + CUBIC_EPOCH_MS];
  i32[r + PRIOR_CUBIC_RENO] = Math.floor(f64[(r >> 1) + CUBIC_RENO]);
  const bits = i32[r + CONGESTION_BITS];
  const prior = (bits & CUBIC_EPOCH) !== 0 ? PRIOR_CUBIC_EPOCH : 0;
  i32[r + CONGESTION_BITS] = (bits & ~(CUBIC_EPOCH | PRIOR_CUBIC_EPOCH)) | prior;
  if (isTimeout) i32[r + CUBIC_MAX] = 0;
  else if (window < i32[r + CUBIC_MAX]) i32[r + CUBIC_MAX] = Math.floor((window * (1 + CUBIC_BETA)) / 2);
  else i32[r + CUBIC_MAX] = window;
}

/** The reduction was wrong: everything is as before it (RFC 9438, 4.9.2). */
export function restoreCubic(i32: Int32Array, f64: Float64Array, r: number): void {
  i32[r + CUBIC_MAX] = i32[r + PRIOR_CUBIC_MAX];
  i32[r + CUBIC_K] = i32[r + PRIOR_CUBIC_K];
  i32[r + CUBIC_EPOCH_MS] = i32[r + PRIOR_CUBIC_EPOCH_MS];
  f64[(r >> 1) + CUBIC_RENO] = i32[r + PRIOR_CUBIC_RENO];
  const bits = i32[r + CONGESTION_BITS];
  const epoch = (bits & PRIOR_CUBIC_EPOCH) !== 0 ? CUBIC_EPOCH : 0;
  i32[r + CONGESTION_BITS] = (bits & ~CUBIC_EPOCH) | epoch;
}

/**
 * Time in which cwnd is not used does not count for t (RFC 9438, 5.8): the stage begins anew at the present cwnd, which
 * is the same place on the curve.
 */
export function pauseCubic(i32: Int32Array, r: number): void {
  i32[r + CONGESTION_BITS] &= ~CUBIC_EPOCH;
}

/** A congestion avoidance stage begins (RFC 9438, 4.2, equation 2). */
function beginEpoch(i32: Int32Array, f64: Float64Array, r: number, ms: number): void {
  const cwnd = i32[r + CWND];
  i32[r + CONGESTION_BITS] |= CUBIC_EPOCH;
  i32[r + CUBIC_EPOCH_MS] = ms;
  f64[(r >> 1) + CUBIC_RENO] = cwnd;
  if (i32[r + CUBIC_MAX] <= cwnd) {
    i32[r + CUBIC_MAX] = cwnd;
    i32[r + CUBIC_K] = 0;
  } else {
    const segments = (i32[r + CUBIC_MAX] - cwnd) / i32[r + MSS];
    i32[r + CUBIC_K] = Math.round(Math.cbrt(segments / C) * MS);
  }
}
