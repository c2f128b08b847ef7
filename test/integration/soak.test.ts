/** The short form of `npm run soak`: some seconds of checked traffic in each thread layout, while an endpoint comes and goes. */
import { expect, it } from 'vitest';
import { rise, tooMuch } from '../reliability/growth.js';
import { Soak } from '../reliability/soaking.js';

it('soaks without a violation', { timeout: 180_000 }, async () => {
  const { answered, kills, terms, violations } = await new Soak({ ms: 10_000, seed: 2 }).run();
  expect(violations).toEqual([]);
  expect(answered).toBeGreaterThan(10_000);
  // In each layout once at least.
  expect(kills + terms).toBeGreaterThanOrEqual(3);
});

it('knows memory that grows from memory that goes up and down', () => {
  const samples = (heap: (i: number) => number) =>
    Array.from({ length: 40 }, (_, i) => ({ ms: i * 1000, heapKb: heap(i), endpointsKb: 80_000, switchKb: 60_000 }));
  const steady = samples((i) => 9000 + (i % 2) * 700);
  const leaky = samples((i) => 9000 + i * 50);
  expect(Math.abs(rise(steady, 'heapKb'))).toBeLessThan(100);
  expect(tooMuch(steady)).toEqual([]);
  expect(Math.round(rise(leaky, 'heapKb'))).toBe(29 * 50);
  expect(tooMuch(leaky)).toEqual([expect.stringMatching(/^memory grows: heapKb by 1450 in 40 samples$/)]);
  // The code that is compiled in the beginning is none.
  expect(tooMuch(samples((i) => (i < 10 ? i * 900 : 9000)))).toEqual([]);
});
