/** `npm run bench -- tcp` runs and prints well-formed JSON. How fast anything is, is not tested. */
import { expect, it } from 'vitest';
import { runBenchmark } from '../support/bench/run-benchmark.js';
import { command, describeWith, root, tun } from '../support/requirements.js';

const PROGRAMS = ['ip', 'taskset', 'prlimit', 'sockperf'].map(command);

describeWith('npm run bench -- tcp', [...PROGRAMS, root, tun], () => {
  it('measures rates and latency of all servers', { timeout: 120_000 }, async () => {
    const { rows } = await runBenchmark('tcp', '--rows', '^(crr|latency)/64$');
    expect(rows).toMatchObject([
      {
        name: 'crr/64',
        ours: { unit: 'requests/s' },
        peers: { 'node-net': { unit: 'requests/s' }, 'node-net-one-cpu': { unit: 'requests/s' } },
        more: {
          limit: { tspmd: expect.stringMatching(/server busy \d+ %/), 'node-net': expect.any(String) },
          'kernel settings': { 'net.core.somaxconn': '65535' },
        },
      },
      {
        name: 'latency/64',
        ours: { unit: 'us (p99)' },
        peers: { 'node-net': { unit: 'us (p99)' }, sockperf: { unit: 'us (p99)' } },
        more: {
          percentiles: { sockperf: { p50: expect.any(Number), p99: expect.any(Number), 'p99.9': expect.any(Number) } },
          ratios: { 'node-net': { p50: expect.any(Number) }, sockperf: { p99: expect.any(Number) } },
        },
      },
    ]);
    for (const { ours, peers } of rows) {
      for (const { median } of [ours, ...Object.values(peers)]) expect(median).toBeGreaterThan(0);
    }
  });
});
