/**
 * HyStart++ (RFC 9406): leaves the first slow start when the round trip time rises, before the queue of the path
 * overflows. Rounds are those of idle.ts.
 */

import { CONGESTION_BITS, CWND, HYSTART_BASE, HYSTART_CURRENT, HYSTART_LAST, MSS, SSTHRESH } from '../state/rows.js';
import { HYSTART_CSS, HYSTART_ROUNDS, HYSTART_ROUNDS_SHIFT, HYSTART_SAMPLES, HYSTART_SAMPLES_SHIFT } from './bits.js';

// Constants of RFC 9406, 4.3.
const MIN_RTT_THRESH_US = 4_000;
const MAX_RTT_THRESH_US = 16_000;
const MIN_RTT_DIVISOR = 8;
const N_RTT_SAMPLE = 8;
const CSS_GROWTH_DIVISOR = 4;
const CSS_ROUNDS = 5;
/** Without pacing, an ACK adds at most this many segments. */
const L = 8;

const INFINITE = 0x7fffffff;

export function openHyStart(i32: Int32Array, r: number): void {
  i32[r + HYSTART_LAST] = INFINITE;
  i32[r + HYSTART_CURRENT] = INFINITE;
  i32[r + HYSTART_BASE] = INFINITE;
  i32[r + CONGESTION_BITS] &= ~(HYSTART_CSS | HYSTART_SAMPLES | HYSTART_ROUNDS);
}

/** A round begins: the samples of the last one are compared with those of this one. Ends CSS after 5 rounds. */
export function beginHyStartRound(i32: Int32Array, r: number): void {
  i32[r + HYSTART_LAST] = i32[r + HYSTART_CURRENT];
  i32[r + HYSTART_CURRENT] = INFINITE;
  i32[r + CONGESTION_BITS] &= ~HYSTART_SAMPLES;
  if ((i32[r + CONGESTION_BITS] & HYSTART_CSS) === 0) return;
  const rounds = ((i32[r + CONGESTION_BITS] & HYSTART_ROUNDS) >> HYSTART_ROUNDS_SHIFT) + 1;
  i32[r + CONGESTION_BITS] = (i32[r + CONGESTION_BITS] & ~HYSTART_ROUNDS) | (rounds << HYSTART_ROUNDS_SHIFT);
  if (rounds >= CSS_ROUNDS) i32[r + SSTHRESH] = i32[r + CWND];
}

/** Takes a sample of the round trip time in µs. */
export function sampleHyStart(i32: Int32Array, r: number, rttUs: number): void {
  if (rttUs < i32[r + HYSTART_CURRENT]) i32[r + HYSTART_CURRENT] = rttUs;
  const bits = i32[r + CONGESTION_BITS];
  const samples = Math.min(N_RTT_SAMPLE, ((bits & HYSTART_SAMPLES) >> HYSTART_SAMPLES_SHIFT) + 1);
  i32[r + CONGESTION_BITS] = (bits & ~HYSTART_SAMPLES) | (samples << HYSTART_SAMPLES_SHIFT);
  if (samples < N_RTT_SAMPLE) return;
  const current = i32[r + HYSTART_CURRENT];
  if ((bits & HYSTART_CSS) !== 0) {
    // The rise was spurious: slow start goes on.
    if (current < i32[r + HYSTART_BASE]) {
      i32[r + HYSTART_BASE] = INFINITE;
      i32[r + CONGESTION_BITS] &= ~(HYSTART_CSS | HYSTART_ROUNDS);
    }
    return;
  }
  const last = i32[r + HYSTART_LAST];
  if (last === INFINITE) return;
  const threshold = Math.max(MIN_RTT_THRESH_US, Math.min(last / MIN_RTT_DIVISOR, MAX_RTT_THRESH_US));
  if (current < last + threshold) return;
  i32[r + HYSTART_BASE] = current;
  i32[r + CONGESTION_BITS] = (i32[r + CONGESTION_BITS] & ~HYSTART_ROUNDS) | HYSTART_CSS;
}

/** By how many bytes cwnd grows in slow start, for an ACK of `acked` bytes. */
export function slowStartGrowth(i32: Int32Array, r: number, acked: number): number {
  const growth = Math.min(acked, L * i32[r + MSS]);
  return (i32[r + CONGESTION_BITS] & HYSTART_CSS) === 0 ? growth : growth / CSS_GROWTH_DIVISOR;
}
