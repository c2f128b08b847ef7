/** The heap that finds the largest of many in one pass. */
import { describe, expect, it } from 'vitest';
import { RandomBytes } from '../../../../../src/tcpip/random-bytes.js';
import { Largest } from '../../../../../src/tcpip/tcp/largest.js';

describe('the largest of many', () => {
  it.each([1, 2, 3, 7, 50, 999, 1000, 1001, 5000])('are those of a sorted list, limit %i', (limit) => {
    const random = new RandomBytes(limit);
    const ranks = Array.from({ length: 1000 }, () => new DataView(random.take(4).slice().buffer).getUint32(0) % 500);
    const largest = new Largest(limit);
    for (const [item, rank] of ranks.entries()) largest.offer(rank, item);
    const found = largest.all.map((item) => ranks[item]!);
    const sorted = [...ranks].sort((one, other) => other - one).slice(0, limit);
    expect(found.sort((one, other) => other - one)).toEqual(sorted);
    expect(new Set(largest.all).size).toBe(sorted.length);
  });

  it('are the first ones of equals', () => {
    const largest = new Largest(3);
    for (let item = 0; item < 10; item++) largest.offer(0, item);
    expect(largest.all.sort()).toEqual([0, 1, 2]);
  });

  it('are none without room, or without items', () => {
    const none = new Largest(0);
    none.offer(1, 1);
    expect(none.all).toEqual([]);
    expect(new Largest(5).all).toEqual([]);
  });
});
