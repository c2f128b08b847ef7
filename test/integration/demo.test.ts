/** `npm run demo`: endpoints and switch in three processes. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { ALL_MODES } from '../support/threads/modes.js';
import { until } from '../support/until.js';

const DEMO = fileURLToPath(new URL('../../dist/scripts/demo/main.js', import.meta.url));
const LIMIT = { timeout: 90_000 };

describe('npm run demo', () => {
  it.each(ALL_MODES)('loses nothing in mode %s, and reports that as JSON', LIMIT, async (mode) => {
    const demo = Child.spawn(process.execPath, [DEMO, '--json', '--mode', mode]);
    const { code } = await demo.exited;
    expect(code, demo.output).toBe(0);
    const result = JSON.parse(demo.stdout);
    expect(result).toEqual({
      endpoints: 2,
      hugepages: expect.any(Boolean),
      ping: {
        sent: 1000,
        received: 1000,
        rttUs: { p50: expect.any(Number), p99: expect.any(Number), max: expect.any(Number) },
      },
      udp: { sent: 10_000, received: 10_000, corrupt: 0 },
      tcp: { bytes: 100 * 2 ** 20, seconds: expect.any(Number), retransmitted: expect.any(Number), hashOk: true },
      switch: { forwarded: expect.any(Number), replicated: expect.any(Number), dropped: expect.any(Number) },
    });
    // 11,000 packets in both directions, the download in GSO packets of at most 64 KB, and ARP. The announcement of the
    // first endpoint met no peer.
    expect(result.switch.forwarded).toBeGreaterThanOrEqual(22_000 + (100 * 2 ** 20) / 2 ** 16);
    expect(result.switch.replicated).toBeGreaterThan(0);
    expect(result.switch.dropped).toBeLessThanOrEqual(2);
    const { p50, p99, max } = result.ping.rttUs;
    expect(p50).toBeGreaterThan(0);
    expect(p99).toBeGreaterThanOrEqual(p50);
    expect(max).toBeGreaterThanOrEqual(p99);
  });

  it.each([
    ['single', 'one thread per endpoint'],
    ['2kb', '2 cores, an Rx and a Tx worker per endpoint'],
  ])('prints a report for people in mode %s', LIMIT, async (mode, threads) => {
    const demo = Child.spawn(process.execPath, [DEMO, '--mode', mode]);
    const { code } = await demo.exited;
    expect(code, demo.output).toBe(0);
    expect(demo.stdout).toContain(`mode ${mode}: ${threads}`);
    expect(demo.stdout).toMatch(/ping +1,000 sent, 1,000 answered; round trip p50 [\d.]+ µs/);
    expect(demo.stdout).toMatch(/UDP +10,000 sent, 10,000 echoed .* 0 corrupt/);
    expect(demo.stdout).toMatch(/TCP +104,857,600 bytes in [\d.]+ s, \d+ retransmitted, hash ok/);
    expect(demo.stdout).toMatch(/switch [\d,]+ forwarded, including \d+ copies of broadcasts/);
    expect(demo.stdout).toContain('OK: nothing lost, nothing corrupt');
  });

  it('leaves no process and no socket behind when it is told to stop', LIMIT, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tspmd-demo-test-'));
    const demo = Child.spawn(process.execPath, [DEMO], { ...process.env, TMPDIR: folder });
    await until('the demo begins', () => readdirSync(folder, { recursive: true }).length > 1);
    expect(await demo.stop('SIGINT')).toEqual({ code: 1, signal: null });
    expect(demo.output).toBe('demo: stopped before the end\n');
    expect(readdirSync(folder)).toEqual([]);
    rmSync(folder, { recursive: true });
  });

  it('refuses an unknown mode with exit code 2', LIMIT, async () => {
    const demo = Child.spawn(process.execPath, [DEMO, '--mode', '3kb']);
    expect((await demo.exited).code).toBe(2);
    expect(demo.output).toContain('3kb');
  });
});
