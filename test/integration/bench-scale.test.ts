/** `npm run bench -- tcp` measures what a TCP request costs by the number of stack cores. No figure is tested. */
import { expect, it } from 'vitest';
import { COST_BY_CORES } from '../../bench/report/report.js';
import { runBenchmark } from '../support/bench/run-benchmark.js';

// The row fails when a segment is wrong or is sent again.
it('measures the cost of a TCP request with 1 to 64 stack cores', { timeout: 120_000 }, async () => {
  const { rows } = await runBenchmark('tcp', '--rows', '^scale/1kb$');
  expect(rows.map(({ name }) => name)).toEqual(['scale/1kb']);
  const [{ ours, peers, more }] = rows as [(typeof rows)[number]];
  expect(ours.unit).toBe('ns/request');
  expect(ours.min).toBeGreaterThan(0);
  expect(Object.keys(peers)).toEqual(['one core']);
  const curve = more?.[COST_BY_CORES] as Record<string, number>;
  expect(Object.keys(curve)).toEqual(['1', '2', '4', '8', '16', '32', '64']);
  expect(curve['64']).toBe(ours.median);
  expect(more).toHaveProperty(['requests/s by cores, with threads']);
});
