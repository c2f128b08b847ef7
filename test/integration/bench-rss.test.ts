/** `npm run bench -- rss`, as a test: that it runs and that its JSON is well-formed; never how fast anything is. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { command, describeWith, type Requirement } from '../support/requirements.js';

const BENCH = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));

const headers: Requirement = {
  what: "DPDK's headers",
  remedy: "run 'npm run setup:peers' as root",
  isMet: () => existsSync('/usr/include/dpdk/rte_thash.h'),
};

describeWith('npm run bench -- rss', [command('gcc'), headers], () => {
  // That rte_softrss has the hashes that we have is checked by the benchmark itself, which fails otherwise.
  it('measures all rows, and says so as JSON', { timeout: 120_000 }, async () => {
    const bench = Child.spawn(process.execPath, [BENCH, 'rss', '--quick', '--json']);
    const { code } = await bench.exited;
    expect(code, bench.output).toBe(0);
    const { benchmark, rows } = JSON.parse(bench.stdout);
    expect(benchmark).toBe('rss');
    const splits = Array.from({ length: 15 }, (_, i) => `split/${i + 2}`);
    const hashes = ['toeplitz', 'frame', 'packet'].flatMap((kind) => [`${kind}/ipv4`, `${kind}/ipv6`]);
    expect(rows.map(({ name }: { name: string }) => name)).toEqual([...hashes, ...splits]);
    for (const { name, ours, peers, ratio } of rows) {
      expect(ours.median).toBeGreaterThan(0);
      const isCompared = name.startsWith('toeplitz/');
      expect(Object.keys(peers)).toEqual(isCompared ? ['rte_softrss', 'rte_softrss_be'] : []);
      if (isCompared) expect(ratio.rte_softrss).toBeCloseTo(ours.median / peers.rte_softrss.median, 2);
      // Not a time: flows are random, but what 100,000 of them may deviate is known.
      if (name.startsWith('split/')) expect(ours.median).toBeLessThan(2);
    }
  });
});
