/** What one end of a connection does in a random schedule. */
import type { Random } from '../../../fuzz/random.js';

export interface Plan {
  /** Bytes that this end sends. */
  readonly bytes: number;
  /** Most bytes per write. */
  readonly chunk: number;
  /** Probability of a pause before a write, and of a pause of reading after data; how long it is at most, in ms. */
  readonly pauseWrite: number;
  readonly pauseRead: number;
  readonly pauseMs: number;
  /** When this end ends its side: when it has written all, or when the peer has ended and some time has passed. */
  readonly ends: 'early' | 'late';
  /** Resets the connection so many ms after it was opened; null: never. */
  readonly abortAfterMs: number | null;
}

/** Longest time that an end with a late end waits for the peer's, in ms. */
export const LATE_MS = 3000;

/** Fewest writes that a plan of the most bytes takes. */
const MAX_WRITES = 1000;

/** @param mayAbort whether the connection may be reset */
export function drawPlan(random: Random, mayAbort: boolean): Plan {
  const chunk = 1 + random.below(pick(random, [10, 500, 2000, 20_000, 60_000]));
  return {
    // Byte by byte with pauses, many bytes would take hours.
    bytes: Math.min(drawSize(random), chunk * MAX_WRITES),
    chunk,
    pauseWrite: pick(random, [0, 0, 0.01, 0.2]),
    pauseRead: pick(random, [0, 0, 0.02, 0.2]),
    pauseMs: pick(random, [1, 50, 500]),
    ends: pick(random, ['early', 'early', 'late']),
    abortAfterMs: mayAbort && random.chance(0.25) ? random.unit() * pick(random, [1, 100, 2000]) : null,
  };
}

/** Mostly little, sometimes nothing, sometimes many segments. */
function drawSize(random: Random): number {
  const most = pick(random, [0, 1, 100, 3000, 3000, 30_000, 30_000, 300_000]);
  return most < 2 ? most : random.below(Math.min(most, 65_536)) + (most > 65_536 ? random.below(4) * 65_536 : 0);
}

export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[random.below(choices.length)]!;
}
