/** `bench -- tcp`: a row of bulk transfer runs, and has what the report shows. How fast anything is, is not tested. */
import { expect, it } from 'vitest';
import { runBenchmark } from '../support/bench/run-benchmark.js';
import { command, describeWith, root, tun } from '../support/requirements.js';

const LIMIT = { timeout: 180_000 };

const rate = { median: expect.any(Number), min: expect.any(Number), max: expect.any(Number), unit: 'bytes/s' };
const each = <T>(value: T) => ({ tspmd: value, 'node-net': value, iperf3: value });

describeWith('npm run bench -- tcp', [command('ip'), command('iperf3'), command('taskset'), root, tun], () => {
  // The benchmark itself checks that every byte is right.
  it('measures bulk transfer against Node and iperf3, and says what limits them', LIMIT, async () => {
    const { rows } = await runBenchmark('tcp', '--rows', '^bulk/rx$');
    expect(rows).toMatchObject([
      {
        ...{ name: 'bulk/rx', ours: rate, peers: { 'node-net': rate, iperf3: rate } },
        more: {
          limit: each(expect.stringContaining('server busy')),
          'per CPU second of the server': each({ unit: 'bytes/CPU s' }),
          'segments that the load sent again': each(expect.any(Number)),
          'kernel settings': { 'net.core.somaxconn': expect.any(String) },
        },
      },
    ]);
    for (const { ours, peers } of rows) {
      for (const { median } of [ours, ...Object.values(peers)]) expect(median).toBeGreaterThan(0);
    }
  });
});
