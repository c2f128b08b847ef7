/** `npm run bench -- rss` runs and prints well-formed JSON. How fast anything is, is not tested. */
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { runBenchmark } from '../support/bench/run-benchmark.js';
import { command, describeWith, type Requirement } from '../support/requirements.js';

const headers: Requirement = {
  what: "DPDK's headers",
  remedy: "run 'npm run setup:peers' as root",
  isMet: () => existsSync('/usr/include/dpdk/rte_thash.h'),
};

describeWith('npm run bench -- rss', [command('gcc'), headers], () => {
  // The benchmark itself checks that rte_softrss has the same hashes, and fails otherwise.
  it('measures all rows, and prints them as JSON', { timeout: 120_000 }, async () => {
    const { rows } = await runBenchmark('rss');
    const splits = Array.from({ length: 15 }, (_, i) => `split/${i + 2}`);
    const hashes = ['toeplitz', 'frame', 'packet'].flatMap((kind) => [`${kind}/ipv4`, `${kind}/ipv6`]);
    expect(rows.map(({ name }) => name)).toEqual([...hashes, ...splits]);
    for (const { name, ours, peers, ratio } of rows) {
      expect(ours.median).toBeGreaterThan(0);
      const isCompared = name.startsWith('toeplitz/');
      expect(Object.keys(peers)).toEqual(isCompared ? ['rte_softrss', 'rte_softrss_be'] : []);
      if (isCompared) expect(ratio.rte_softrss).toBeCloseTo(ours.median / peers.rte_softrss!.median, 2);
      // This is not a time: flows are random, but it is known how much 100,000 of them may deviate.
      if (name.startsWith('split/')) expect(ours.median).toBeLessThan(2);
    }
  });
});
