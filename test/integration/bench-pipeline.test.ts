/** `npm run bench -- pipeline`, as a test: that it runs and that its JSON is well-formed; never how fast anything is. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';

const BENCH = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));

interface AnyRow {
  readonly name: string;
  readonly ours: { median: number; min: number; max: number; unit: string };
  readonly peers: Readonly<Record<string, unknown>>;
  readonly ratio: Readonly<Record<string, unknown>>;
}

/** Runs these rows. */
async function measure(rows: string): Promise<AnyRow[]> {
  const bench = Child.spawn(process.execPath, [BENCH, 'pipeline', '--quick', '--json', '--rows', rows]);
  const { code } = await bench.exited;
  expect(code, bench.output).toBe(0);
  const report = JSON.parse(bench.stdout);
  expect(report.benchmark).toBe('pipeline');
  return report.rows;
}

describe('npm run bench -- pipeline', () => {
  // That no packet is lost on the way is checked by the benchmark itself, which fails otherwise.
  it('measures what a hop costs, and that it grows with nothing', { timeout: 120_000 }, async () => {
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

  it('measures threads on CPUs of their own, and with a core that stands still', { timeout: 120_000 }, async () => {
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
    const bench = Child.spawn(process.execPath, [BENCH, 'pipeline', '--rows', '^threads/1kb$|^hop/1/1$']);
    await bench.waitFor(/^hop\/1\/1: /m, 90_000);
    bench.signal('SIGTERM');
    expect((await bench.exited).code, bench.output).toBe(1);
    expect(bench.output).toContain('bench: stopped before the end');
    expect(bench.stdout).toBe('');
  });
});
