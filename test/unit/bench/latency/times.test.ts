/** The histogram of `bench -- latency`. */
import { describe, expect, it } from 'vitest';
import { Times } from '../../../../bench/latency/times.js';

describe('times of round trips', () => {
  it('tells percentiles to one percent, from tenths of a microsecond to seconds', () => {
    for (const scale of [0.1, 1, 7, 1000, 1e4]) {
      const times = new Times();
      for (let i = 1; i <= 1000; i++) times.record((i * scale) / 1000);
      for (const percent of [1, 50, 90, 99, 99.9, 100]) {
        const exact = percent * 10 * scale;
        expect(Math.abs(times.percentile(percent) - exact)).toBeLessThan(exact / 100 + 1 / 64);
      }
    }
  });

  it('tells how many there are, and 0 for none', () => {
    const times = new Times();
    expect(times.percentile(50)).toBe(0);
    times.record(0.002);
    times.record(0.002);
    expect(times.count).toBe(2);
    expect(times.percentile(100)).toBeCloseTo(2, 1);
    times.clear();
    expect(times.count).toBe(0);
    expect(times.percentile(99.9)).toBe(0);
  });

  it('keeps times that no bucket has: negative ones, and those of minutes', () => {
    const times = new Times();
    times.record(-1);
    times.record(1e9);
    expect(times.count).toBe(2);
    expect(times.percentile(50)).toBe(0);
    expect(times.percentile(100)).toBeGreaterThan(33e6);
  });
});
