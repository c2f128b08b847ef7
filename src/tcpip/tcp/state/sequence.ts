/**
 * Sequence numbers (RFC 9293, 3.4): signed words that wrap. A comparison holds for numbers that are less than 2^31
 * apart.
 */

/** Whether `a` comes before `b`. */
export function before(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** Whether `a` comes before `b`, or is equal. */
export function notAfter(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0;
}

/** Whether `a` comes after `b`. */
export function after(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

/** The later one. */
export function later(a: number, b: number): number {
  return ((a - b) | 0) > 0 ? a : b;
}
