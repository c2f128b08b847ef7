/**
 * Sequence numbers (RFC 9293, 3.4) and clocks: signed words that wrap. A comparison holds for numbers that are less than
 * 2^31 apart.
 */

/** The later one. */
export function later(a: number, b: number): number {
  return ((a - b) | 0) > 0 ? a : b;
}
