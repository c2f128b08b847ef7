/** `bench -- http` runs all of its servers and prints well-formed JSON. How fast they are, is not tested. */
import { expect, it } from 'vitest';
import { runBenchmark } from '../support/bench/run-benchmark.js';
import { command, describeWith, root, tun } from '../support/requirements.js';

const LIMIT = { timeout: 180_000 };

const PEERS: Readonly<Record<string, readonly string[]>> = {
  'http/hello': ['nginx', 'node-http'],
  'exec/hello': ['node-http', 'duplex'],
  'exec/tls': ['node-https'],
};

describeWith('npm run bench -- http', [command('ip'), command('nginx'), command('openssl'), root, tun], () => {
  it('measures every server, and says what limits each', LIMIT, async () => {
    const { rows } = await runBenchmark('http');
    expect(Object.fromEntries(rows.map(({ name, peers }) => [name, Object.keys(peers)]))).toEqual(PEERS);
    for (const { ours, peers, more } of rows) {
      const all = Object.entries({ tspmd: ours, ...peers });
      for (const [, { median, unit }] of all) {
        expect(unit).toBe('requests/s');
        expect(median).toBeGreaterThan(0);
      }
      expect(Object.keys(more?.limit as object)).toEqual(all.map(([name]) => name));
    }
  });
});
