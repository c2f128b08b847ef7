/** `npm run bench -- tcp-vm` lets a server of ours and nginx take turns in a guest, and prints JSON. No rate is tested. */
import { expect, it } from 'vitest';
import { runBenchmark } from '../support/bench/run-benchmark.js';
import { command, describeWith, guest, noIommu } from '../support/requirements.js';

const NAME = 'vm/http/hello';

describeWith('npm run bench -- tcp-vm', [guest, noIommu, command('nginx'), command('ethtool')], () => {
  it('measures both on the same NIC, and says what limits each', { timeout: 240_000 }, async () => {
    const { rows } = await runBenchmark('tcp-vm', '--rows', `^${NAME}$`);
    expect(rows.map(({ name }) => name)).toEqual([NAME]);
    const { ours, peers, more } = rows[0]!;
    expect(Object.keys(peers)).toEqual(['nginx']);
    for (const { median, unit } of [ours, peers.nginx!]) {
      expect(unit).toBe('requests/s');
      expect(median).toBeGreaterThan(0);
    }
    expect(more?.limit).toEqual({
      tspmd: expect.stringMatching(/server busy \d+ %, load \d+ %, switch \d+ %/),
      nginx: expect.stringMatching(/server busy \d+ %, load \d+ %, switch \d+ %/),
    });
    expect(more?.["offloads of the guest's kernel"]).toContain('tcp-segmentation-offload');
  });
});
