/**
 * Bytes that follow from a number: what one end writes into a packet the other can check without having kept it.
 */

/** Marsaglia's xorshift with 32 bits of state, which must not be 0. */
export function xorshift32(state: number): number {
  let x = state;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  return x | 0;
}

/** Spreads neighbouring numbers apart (2^32 / golden ratio); never 0. */
export function seedOf(number: number): number {
  return Math.imul(number + 1, 0x9e3779b1) | 1;
}

/** Writes the pattern of `seed` to `from` and on, up to `end`. */
export function writePattern(u8: Uint8Array, from: number, end: number, seed: number): void {
  let state = seed;
  for (let i = from; i < end; i++) {
    state = xorshift32(state);
    u8[i] = state;
  }
}

/** Whether {@link writePattern} wrote what is there. */
export function isPattern(u8: Uint8Array, from: number, end: number, seed: number): boolean {
  let state = seed;
  for (let i = from; i < end; i++) {
    state = xorshift32(state);
    if (u8[i] !== (state & 0xff)) return false;
  }
  return true;
}
