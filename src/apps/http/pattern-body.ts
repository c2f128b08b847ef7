/** The bytes of `/bytes/N`: always the same, so that a client can check them. */
import { seedOf, writePattern } from '../pattern.js';

/**
 * The bytes repeat after this many. It is a prime number: bytes that a stack delivers at a wrong place, which is off by
 * whole segments or buffers, differ from those that belong there.
 */
export const PATTERN_BYTES = 65_521;
/** How many bytes a write can be given at once. */
const RUN_BYTES = 4 * PATTERN_BYTES;
const SEED = seedOf(0);

/** The pattern, several times. */
export const PATTERN = new Uint8Array(RUN_BYTES);
writePattern(PATTERN, 0, PATTERN_BYTES, SEED);
for (let i = PATTERN_BYTES; i < RUN_BYTES; i += PATTERN_BYTES) PATTERN.copyWithin(i, 0, PATTERN_BYTES);

/** Whether received bytes are those that `/bytes/N` has from `position` on. */
export function isPatternAt(position: number, bytes: Uint8Array, offset: number, length: number): boolean {
  let at = position % PATTERN_BYTES;
  for (let i = offset; i < offset + length; i++) {
    if (bytes[i] !== PATTERN[at]) return false;
    at = at + 1 === PATTERN_BYTES ? 0 : at + 1;
  }
  return true;
}
