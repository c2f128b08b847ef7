/** `npm run bench -- vm` runs and prints well-formed JSON. How fast anything is, is not tested. */
import { expect, it } from 'vitest';
import { runBenchmark, startBenchmark } from '../support/bench/run-benchmark.js';
import { command, describeWith, guest, noIommu, testpmd } from '../support/requirements.js';

const figure = {
  median: expect.any(Number),
  min: expect.any(Number),
  max: expect.any(Number),
  unit: 'frames/s',
};

describeWith('npm run bench -- vm', [guest, noIommu, testpmd, command('qemu-system-x86_64')], () => {
  it('measures a row, and prints it as JSON', { timeout: 240_000 }, async () => {
    const name = 'tx/64/no-iommu/vhost-user';
    const report = await runBenchmark('vm', '--rows', `^${name}$`);
    expect(report).toEqual({
      benchmark: 'vm',
      machine: {
        cpu: expect.any(String),
        cores: expect.any(Number),
        load: expect.any(Number),
        node: process.version,
        kernel: expect.any(String),
        qemu: expect.stringMatching(/^\d+\./),
        dpdk: expect.stringMatching(/^\d+\./),
        ovs: expect.any(String),
        hugepages: expect.any(Boolean),
      },
      rows: [{ name, ours: figure, peers: { dpdk: figure }, ratio: { dpdk: expect.any(Number) } }],
    });
    const { ours, peers, ratio } = report.rows[0]!;
    for (const { median, min, max } of [ours, peers.dpdk!]) {
      expect(min).toBeGreaterThan(0);
      expect(median).toBeGreaterThanOrEqual(min);
      expect(max).toBeGreaterThanOrEqual(median);
    }
    expect(ratio.dpdk).toBeCloseTo(ours.median / peers.dpdk!.median, 2);
  });

  it('ends in good order when it is told to', { timeout: 120_000 }, async () => {
    const bench = startBenchmark('vm', '--quick', '--rows', 'tx/64/no-iommu/vhost-user');
    await bench.waitFor(/window 1 of 2/, 100_000);
    bench.signal('SIGTERM');
    expect((await bench.exited).code, bench.output).toBe(1);
    expect(bench.output).toContain('bench: stopped before the end');
    expect(bench.stdout).toBe('');
  });
});
