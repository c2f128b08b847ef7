/** `npm run bench -- pipeline` runs and prints well-formed JSON. How fast anything is, is not tested. */
import { describe, expect, it } from 'vitest';
import type { Report } from '../../bench/report/report.js';
import { runBenchmark, startBenchmark } from '../support/bench/run-benchmark.js';

/** Runs these rows. */
async function measure(rows: string): Promise<Report['rows']> {
  return (await runBenchmark('pipeline', '--rows', rows)).rows;
}

describe('npm run bench -- pipeline', () => {
  // The benchmark itself checks that no packet is lost, and fails otherwise.
  it('measures the cost of a hop, which grows with nothing', { timeout: 120_000 }, async () => {
    const rows = await measure('^(hop|flat)/(1|64)/100$|^hop-2kb/1/1$');
    expect(rows.map(({ name }) => name)).toEqual([
      'hop/1/100',
      'hop/64/100',
      'hop-2kb/1/1',
      'flat/1/100',
      'flat/64/100',
    ]);
    for (const { name, ours, peers, ratio } of rows) {
      const isHop = name.startsWith('hop');
      expect(ours.unit).toBe(isHop ? 'ns/packet and direction' : 'ns/packet');
      expect(Object.keys(peers)).toEqual([isHop ? 'goal' : 'one core, one flow']);
      expect(Object.values(ratio)).toEqual([expect.any(Number)]);
      if (!isHop) expect(ours.min).toBeGreaterThan(0);
    }
  });

  it('measures threads on their own CPUs, and with a core that stands still', { timeout: 120_000 }, async () => {
    const rows = await measure('^(threads/1kb|stall/4)$');
    expect(rows.map(({ name }) => name)).toEqual(['threads/1kb', 'stall/4']);
    const [threads, stall] = rows;
    expect(threads!.ours).toMatchObject({ unit: 'packets/s', median: expect.any(Number) });
    expect(threads!.ours.max).toBeGreaterThan(0);
    expect(Object.keys(threads!.peers)).toEqual(['Case I']);
    expect(stall!.ours.max).toBeGreaterThan(0);
    expect(Object.keys(stall!.peers)).toEqual(['none stalled']);
  });

  it('ends in good order when it is told to', { timeout: 120_000 }, async () => {
    const bench = startBenchmark('pipeline', '--rows', '^threads/1kb$|^hop/1/1$');
    await bench.waitFor(/^hop\/1\/1: /m, 90_000);
    bench.signal('SIGTERM');
    expect((await bench.exited).code, bench.output).toBe(1);
    expect(bench.output).toContain('bench: stopped before the end');
    expect(bench.stdout).toBe('');
  });
});
