/** Payload bytes that follow from a number, so that a receiver can check them without a copy of what was sent. */

/** Returns the next state of Marsaglia's xorshift generator. The state has 32 bits and must not be 0. */
export function xorshift32(state: number): number {
  let x = state;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  return x | 0;
}

/**
 * Returns a seed for a number, never 0. Neighbouring numbers have very different seeds (factor: 2^32 / golden ratio).
 */
export function seedOf(number: number): number {
  return Math.imul(number + 1, 0x9e3779b1) | 1;
}

/** Writes the pattern of `seed` to the bytes from `from` up to, but not including, `end`. */
export function writePattern(u8: Uint8Array, from: number, end: number, seed: number): void {
  let state = seed;
  for (let i = from; i < end; i++) {
    state = xorshift32(state);
    u8[i] = state;
  }
}

/** Whether the bytes are those that {@link writePattern} writes. */
export function isPattern(u8: Uint8Array, from: number, end: number, seed: number): boolean {
  let state = seed;
  for (let i = from; i < end; i++) {
    state = xorshift32(state);
    if (u8[i] !== (state & 0xff)) return false;
  }
  return true;
}
