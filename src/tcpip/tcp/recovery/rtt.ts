/**
 * Round trip time and retransmission timeout (RFC 6298), with several samples per round trip weighted as RFC 7323,
 * appendix G says, and the windowed least round trip time that RACK needs (RFC 8985, 6.2, step 1).
 */

import {
  MIN_RTT,
  MIN_RTT_BEFORE,
  MIN_RTT_MS,
  MSS,
  RECOVERY_BITS,
  RTO_US,
  RTTVAR,
  SRTT,
  TIMEOUTS,
} from '../state/rows.js';
import { MEASURED } from './bits.js';

/** RTO before the first measurement (RFC 6298, 2.1). */
export const INITIAL_RTO_US = 1_000_000;
/** The same if the SYN was lost (RFC 6298, 5.7). */
export const RTO_AFTER_SYN_LOSS_US = 3_000_000;
/**
 * The RTO is longer than SRTT by at least this, as in Linux: it covers delayed ACKs. RFC 6298, 2.4 recommends an RTO of
 * at least 1 s.
 */
export const MIN_RTO_MARGIN_US = 200_000;
/** The longest RTO, with backoff (RFC 6298, 2.5 allows 60 s or more). */
export const MAX_RTO_US = 120_000_000;
/** Weights of a sample (RFC 6298, 2.3). */
const ALPHA = 1 / 8;
const BETA = 1 / 4;
const K = 4;
/** The least RTT is that of the last one or two periods of this length. */
const MIN_RTT_PERIOD_MS = 150_000;
const WORD_BITS = 32;
const BACKOFF_SHIFT = 16;
const COUNT_MASK = 0xffff;
/** More doublings do not change the RTO any more. */
const MAX_DOUBLINGS = 10;

/**
 * A histogram of RTT samples: the first places count those of up to 1, 2, 4, … µs, each without those of the places before
 * it; the last place has the sum of all in µs.
 */
export const RTT_BUCKETS = 32;
export const RTT_SUM = RTT_BUCKETS;

export function createRttHistogram(): Float64Array {
  return new Float64Array(RTT_BUCKETS + 1);
}

/** Prepares a row. */
export function openRtt(i32: Int32Array, f64: Float64Array, r: number, synLost: boolean): void {
  f64[(r >> 1) + SRTT] = 0;
  f64[(r >> 1) + RTTVAR] = 0;
  i32[r + RTO_US] = synLost ? RTO_AFTER_SYN_LOSS_US : INITIAL_RTO_US;
  i32[r + TIMEOUTS] = 0;
  i32[r + MIN_RTT] = 0;
  i32[r + MIN_RTT_BEFORE] = 0;
  i32[r + MIN_RTT_MS] = 0;
}

/**
 * Takes a sample for SRTT, RTTVAR and the RTO, and ends the backoff (RFC 6298, 2 and 5).
 * @param rtt in µs
 * @param flight bytes in flight when the ACK came: how many samples a round trip has
 * @param histogram that of the stack, which counts the sample
 */
export function sampleRtt(
  i32: Int32Array,
  f64: Float64Array,
  r: number,
  rtt: number,
  flight: number,
  histogram: Float64Array,
): void {
  const d = r >> 1;
  const sample = Math.max(1, rtt);
  histogram[WORD_BITS - Math.clz32(sample - 1)]++;
  histogram[RTT_SUM] += sample;
  if (f64[d + SRTT] === 0) {
    f64[d + SRTT] = sample;
    f64[d + RTTVAR] = sample / 2;
  } else {
    let alpha = ALPHA;
    let beta = BETA;
    const step = 2 * i32[r + MSS];
    if (flight > step) {
      const expected = Math.ceil(flight / step);
      alpha /= expected;
      beta /= expected;
    }
    f64[d + RTTVAR] = (1 - beta) * f64[d + RTTVAR] + beta * Math.abs(f64[d + SRTT] - sample);
    f64[d + SRTT] = (1 - alpha) * f64[d + SRTT] + alpha * sample;
  }
  setRto(i32, f64, r);
  i32[r + TIMEOUTS] &= COUNT_MASK;
  i32[r + RECOVERY_BITS] |= MEASURED;
}

/**
 * After a spurious timeout the delay has grown: the RTO follows at once (RFC 4015, 3.3).
 * @param rtt of the segment that was late, in µs
 */
export function raiseRtt(i32: Int32Array, f64: Float64Array, r: number, rtt: number): void {
  const d = r >> 1;
  if (f64[d + SRTT] < rtt) f64[d + SRTT] = rtt;
  if (f64[d + RTTVAR] < rtt / 2) f64[d + RTTVAR] = rtt / 2;
  setRto(i32, f64, r);
}

/** Takes a sample for the least RTT. */
export function sampleMinRtt(i32: Int32Array, r: number, rtt: number, ms: number): void {
  const sample = Math.max(1, rtt);
  const age = (ms - i32[r + MIN_RTT_MS]) | 0;
  if (i32[r + MIN_RTT] === 0) {
    i32[r + MIN_RTT] = sample;
    i32[r + MIN_RTT_MS] = ms;
  } else if (age > MIN_RTT_PERIOD_MS || age < 0) {
    // It is negative after more than 24 days.
    i32[r + MIN_RTT_BEFORE] = i32[r + MIN_RTT];
    i32[r + MIN_RTT] = sample;
    i32[r + MIN_RTT_MS] = ms;
  } else if (sample < i32[r + MIN_RTT]) {
    i32[r + MIN_RTT] = sample;
  }
}

/** The least RTT of the last 2.5 to 5 minutes in µs; 0: unknown. */
export function minRtt(i32: Int32Array, r: number): number {
  const before = i32[r + MIN_RTT_BEFORE];
  const now = i32[r + MIN_RTT];
  return before !== 0 && before < now ? before : now;
}

/** The RTO in µs, with backoff (RFC 6298, 5.5). */
export function rtoUs(i32: Int32Array, r: number): number {
  const doublings = Math.min(MAX_DOUBLINGS, i32[r + TIMEOUTS] >>> BACKOFF_SHIFT);
  return Math.min(MAX_RTO_US, i32[r + RTO_US] * (1 << doublings));
}

/** Timeouts in a row without progress. */
export function timeoutsInRow(i32: Int32Array, r: number): number {
  return i32[r + TIMEOUTS] & COUNT_MASK;
}

/** The timer has expired. */
export function countTimeout(i32: Int32Array, r: number): void {
  const timeouts = Math.min(COUNT_MASK, (i32[r + TIMEOUTS] & COUNT_MASK) + 1);
  const doublings = Math.min(MAX_DOUBLINGS, (i32[r + TIMEOUTS] >>> BACKOFF_SHIFT) + 1);
  i32[r + TIMEOUTS] = (doublings << BACKOFF_SHIFT) | timeouts;
}

/** New data was acknowledged. The backoff stays until there is an RTT sample (RFC 6298, 3: Karn's algorithm). */
export function noteProgress(i32: Int32Array, r: number): void {
  i32[r + TIMEOUTS] &= ~COUNT_MASK;
}

function setRto(i32: Int32Array, f64: Float64Array, r: number): void {
  const d = r >> 1;
  const rto = f64[d + SRTT] + Math.max(MIN_RTO_MARGIN_US, K * f64[d + RTTVAR]);
  i32[r + RTO_US] = Math.min(MAX_RTO_US, Math.ceil(rto));
}
