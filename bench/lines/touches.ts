/**
 * The touches that `bench -- lines` measures. Each function touches all lines, `atOnce` of them independently of each
 * other; then it waits until these have come.
 */

/** Lines that go from one CPU to the other per turn. */
export const LINES = 256;

export const TOUCHES = ['read', 'write', 'rewrite', 'exchange'] as const;
export type Touch = (typeof TOUCHES)[number];

/** How far apart in bytes the lines are that are touched one after the other; `random`: 256, in random order. */
export type Stride = 64 | 128 | 256 | 'random';

/** One row. */
export interface Spec {
  readonly name: string;
  readonly touch: Touch;
  readonly stride: Stride;
  /** Lines that are touched independently of each other. With 1, each touch waits for the one before. */
  readonly atOnce: number;
}

const RANDOM_STRIDE = 256;
const WORD_BYTES = 4;
/** Words from the beginning of the memory to the lines; the word that passes the turn is at the beginning. */
const FIRST_LINE = 1024;

export const MEMORY_BYTES = FIRST_LINE * WORD_BYTES + LINES * RANDOM_STRIDE;

/** Returns the index of the first word of each line, in the order in which the lines are touched. */
export function placesOf(stride: Stride): Int32Array {
  const words = (stride === 'random' ? RANDOM_STRIDE : stride) / WORD_BYTES;
  const places = Int32Array.from({ length: LINES }, (_, i) => FIRST_LINE + i * words);
  if (stride !== 'random') return places;
  // Fisher and Yates, with the generator of Numerical Recipes, so that each run has the same order.
  let state = 1;
  for (let i = LINES - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [places[i], places[j]] = [places[j], places[i]];
  }
  return places;
}

/** Touches all lines once. Returns the sum of what was read, which is 0. */
export type Pass = (turn: number) => number;

/**
 * Makes the pass of a row.
 * @param words the shared memory. The first word of each line is read, and stays 0
 */
export function makePass({ touch, atOnce }: Spec, words: Int32Array, places: Int32Array): Pass {
  if (touch === 'read') return makeRead(words, places, atOnce);
  return touch === 'exchange' ? makeExchange(words, places, atOnce) : makeWrite(words, places, atOnce);
}

/** The sum of a group, which is 0, is part of the next group's addresses: no load begins before the group has come. */
export function makeRead(words: Int32Array, places: Int32Array, atOnce: number): Pass {
  return () => {
    let base = 0;
    for (let group = 0; group < LINES; group += atOnce) {
      let sum = 0;
      for (let i = group; i < group + atOnce; i++) sum = (sum + words[places[i] + base]) | 0;
      base = sum;
    }
    return base;
  };
}

/**
 * As the driver publishes a burst: plain stores, and an exchange, which waits until the CPU has their lines. What the
 * exchange returns is part of the next group's addresses, so that the CPU cannot ask for these lines earlier.
 */
export function makeWrite(words: Int32Array, places: Int32Array, atOnce: number): Pass {
  const own = new Int32Array(new SharedArrayBuffer(WORD_BYTES));
  return (turn) => {
    let base = 0;
    for (let group = 0; group < LINES; group += atOnce) {
      for (let i = group; i < group + atOnce; i++) words[places[i] + base + 1] = turn;
      base = Atomics.exchange(own, 0, 0);
    }
    return base;
  };
}

/** V8 emits the same instruction for Atomics.store, which then returns nothing to wait for. */
function makeExchange(words: Int32Array, places: Int32Array, atOnce: number): Pass {
  return () => {
    let base = 0;
    for (let group = 0; group < LINES; group += atOnce) {
      let sum = 0;
      for (let i = group; i < group + atOnce; i++) sum = (sum + Atomics.exchange(words, places[i] + base, 0)) | 0;
      base = sum;
    }
    return base;
  };
}
