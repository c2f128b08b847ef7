/** What `bench -- lines` touches: each line once, and nothing else. How long it takes is not tested. */
import { describe, expect, it } from 'vitest';
import { LINES, MEMORY_BYTES, makePass, placesOf, type Touch } from '../../../../bench/lines/touches.js';

const STRIDES = [64, 128, 256, 'random'] as const;
const pass = (touch: Touch, atOnce: number) => {
  const words = new Int32Array(new SharedArrayBuffer(MEMORY_BYTES));
  const places = placesOf(64);
  return { words, places, run: makePass({ name: '', touch, stride: 64, atOnce }, words, places) };
};

describe('bench -- lines', () => {
  it.each(STRIDES)('has places on lines of their own, stride %s', (stride) => {
    const places = [...placesOf(stride)];
    expect(new Set(places.map((word) => (word * 4) >> 6)).size).toBe(LINES);
    expect(places.every((word) => word % 16 === 0 && (word + 16) * 4 <= MEMORY_BYTES)).toBe(true);
    const isAscending = places.every((word, i) => i === 0 || word > places[i - 1]!);
    expect(isAscending).toBe(stride !== 'random');
    if (isAscending) expect((places[1]! - places[0]!) * 4).toBe(stride);
  });

  it.each([1, 8, 32, LINES])('reads all lines, %i at once', (atOnce) => {
    const { words, places, run } = pass('read', atOnce);
    expect(run(1)).toBe(0);
    // The first group moves the addresses of the next one by its sum; without a next one, the sum is the result.
    words[places[LINES - 1]!] = 5;
    expect(run(1)).toBe(5);
  });

  it.each(['write', 'rewrite'] as const)('writes the second word of each line: %s', (touch) => {
    const { words, places, run } = pass(touch, 8);
    expect(run(7)).toBe(0);
    const written = [...words.keys()].filter((word) => words[word] !== 0);
    expect(written).toEqual([...places].map((word) => word + 1));
    expect(written.every((word) => words[word] === 7)).toBe(true);
  });

  it.each([1, 32])('exchanges the first word of each line, %i at once', (atOnce) => {
    const { words, places, run } = pass('exchange', atOnce);
    expect(run(7)).toBe(0);
    words[places[LINES - 1]!] = 5;
    expect([run(7), run(7)]).toEqual([5, 0]);
  });
});
