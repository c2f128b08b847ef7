/** `npm run bench -- vm`, as a test: that it runs and that its JSON is well-formed; never how fast anything is. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { command, describeWith, guest, noIommu, testpmd } from '../support/requirements.js';

const BENCH = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));

const figure = {
  median: expect.any(Number),
  min: expect.any(Number),
  max: expect.any(Number),
  unit: 'frames/s',
};

describeWith('npm run bench -- vm', [guest, noIommu, testpmd, command('qemu-system-x86_64')], () => {
  it('measures a row, and says so as JSON', { timeout: 240_000 }, async () => {
    const name = 'tx/64/no-iommu/vhost-user';
    const bench = Child.spawn(process.execPath, [BENCH, 'vm', '--quick', '--json', '--rows', `^${name}$`]);
    const { code } = await bench.exited;
    expect(code, bench.output).toBe(0);
    const report = JSON.parse(bench.stdout);
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
    const [{ ours, peers, ratio }] = report.rows;
    for (const { median, min, max } of [ours, peers.dpdk]) {
      expect(min).toBeGreaterThan(0);
      expect(median).toBeGreaterThanOrEqual(min);
      expect(max).toBeGreaterThanOrEqual(median);
    }
    expect(ratio.dpdk).toBeCloseTo(ours.median / peers.dpdk.median, 2);
  });

  it('ends in good order when it is told to', { timeout: 120_000 }, async () => {
    const bench = Child.spawn(process.execPath, [BENCH, 'vm', '--quick', '--rows', 'tx/64/no-iommu/vhost-user']);
    await bench.waitFor(/window 1 of 2/, 100_000);
    bench.signal('SIGTERM');
    expect((await bench.exited).code, bench.output).toBe(1);
    expect(bench.output).toContain('bench: stopped before the end');
    expect(bench.stdout).toBe('');
  });
});
