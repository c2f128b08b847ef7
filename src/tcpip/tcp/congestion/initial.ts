/** The initial window (RFC 6928, 2). */

import { MSS } from '../state/rows.js';

const SEGMENTS = 10;
const BYTES = 14_600;

/** min (10*MSS, max (2*MSS, 14600)), in bytes. */
export function initialWindow(i32: Int32Array, r: number): number {
  const mss = i32[r + MSS];
  return Math.min(SEGMENTS * mss, Math.max(2 * mss, BYTES));
}
