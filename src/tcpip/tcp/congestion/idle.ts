/**
 * cwnd is an estimate of the path that is valid only while it is used: it does not grow while the application sends less
 * (RFC 7661, 4.3), and falls while nothing is sent (RFC 2861, 3.2; RFC 5681, 4.1).
 */

import { CONGESTION_BITS, CWND, MSS, ROUND_END, ROUND_PIPE, SND_NXT, SSTHRESH } from '../state/rows.js';
import { LIMITED_BEFORE, LIMITED_NOW } from './bits.js';
import { pauseCubic } from './cubic.js';
import { initialWindow } from './initial.js';

/** A round begins: it ends when what is sent until now is acknowledged. `pipe` is what was in flight. */
export function beginRound(i32: Int32Array, r: number, pipe: number): void {
  const bits = i32[r + CONGESTION_BITS];
  const before = (bits & LIMITED_NOW) !== 0 ? LIMITED_BEFORE : 0;
  i32[r + CONGESTION_BITS] = (bits & ~(LIMITED_NOW | LIMITED_BEFORE)) | before;
  i32[r + ROUND_END] = i32[r + SND_NXT];
  i32[r + ROUND_PIPE] = pipe;
}

/** A segment was sent; `pipe` counts it. */
export function noteSent(i32: Int32Array, r: number, pipe: number): void {
  if (pipe > i32[r + ROUND_PIPE]) i32[r + ROUND_PIPE] = pipe;
  if (pipe + i32[r + MSS] > i32[r + CWND]) i32[r + CONGESTION_BITS] |= LIMITED_NOW;
}

/** Whether cwnd may grow: it is filled, or in slow start to one half, because a full window is sent only later. */
export function isWindowUsed(i32: Int32Array, r: number): boolean {
  if ((i32[r + CONGESTION_BITS] & (LIMITED_NOW | LIMITED_BEFORE)) !== 0) return true;
  return i32[r + CWND] < i32[r + SSTHRESH] && i32[r + CWND] < 2 * i32[r + ROUND_PIPE];
}

/** cwnd as far as it was used: what a reduction begins from (RFC 7661, 4.4.1). `flight` is what is in flight. */
export function usedWindow(i32: Int32Array, r: number, flight: number): number {
  return Math.min(i32[r + CWND], Math.max(flight, i32[r + ROUND_PIPE]));
}

/**
 * Nothing was in flight for a while: cwnd is halved per RTO, down to the initial window, and ssthresh remembers it
 * (RFC 2861, 3.2).
 */
export function restartAfterIdle(i32: Int32Array, r: number, idleMs: number, rtoMs: number): void {
  pauseCubic(i32, r);
  const restart = Math.min(initialWindow(i32, r), i32[r + CWND]);
  i32[r + SSTHRESH] = Math.max(i32[r + SSTHRESH], Math.floor(i32[r + CWND] * 0.75));
  for (let idle = idleMs; idle > rtoMs && i32[r + CWND] > restart; idle -= rtoMs) i32[r + CWND] >>= 1;
  i32[r + CWND] = Math.max(i32[r + CWND], restart);
}
