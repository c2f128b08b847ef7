/** Where a port gets its offload policy from: the configuration, the module of the app, or the default. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OffloadPolicy } from '../../../drivers/offloads.js';
import { init, loadStack, type ResolvedConfig, type SingleConfig } from '../../../src/index.js';
import { loadApp, SAMPLE_APPS } from '../../../src/load-app.js';
import { FakeDevice } from '../../../src/testing/fake-device.js';

describe('the offload policy of a port', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tspmd-offloads-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function app(name: string, exported: string): string {
    const path = join(folder, `${name}.mjs`);
    writeFileSync(path, `${exported}\nexport default () => ({ poll: () => 0 });\n`);
    return path;
  }

  /** Returns what the device was opened with, and what the port says. */
  async function policyOf(more: Partial<SingleConfig>): Promise<[OffloadPolicy | undefined, OffloadPolicy]> {
    let seen: ResolvedConfig | null = null;
    const port = await init(
      { device: 'vhost-user:/tmp/x.sock', ip: '10.0.0.1/24', ...more },
      {
        openDevice: async (config) => {
          seen = config;
          return new FakeDevice();
        },
      },
    );
    await port.stop();
    return [(seen as ResolvedConfig | null)?.offloads, port.config.offloads];
  }

  it('is off by default', async () => {
    expect(await policyOf({})).toEqual(['off', 'off']);
    expect(await policyOf({ app: app('plain', '') })).toEqual(['off', 'off']);
  });

  it('is what the module of the app exports, unless the configuration differs', async () => {
    const auto = app('auto', "export const offloads = 'auto';");
    expect(await policyOf({ app: auto })).toEqual(['auto', 'auto']);
    expect(await policyOf({ app: auto, offloads: 'off' })).toEqual(['off', 'off']);
    expect(await policyOf({ offloads: 'auto' })).toEqual(['auto', 'auto']);
  });

  it('is auto for the sample apps over TCP, and off for the others', async () => {
    const policies = await Promise.all(SAMPLE_APPS.map(async (name) => [name, (await loadApp(name)).offloads]));
    expect(policies.filter(([, policy]) => policy === 'auto').map(([name]) => name)).toEqual([
      ...['tcp-echo', 'discard', 'http', 'iperf3'],
    ]);
  });

  it('must be one that there is', async () => {
    const wrong = app('wrong', 'export const offloads = true;');
    await expect(loadStack(wrong)).rejects.toThrow(`stack ${wrong}: its offloads are true, neither 'auto' nor 'off'`);
  });

  it('shows in the offloads of the port, which are those of the device', async () => {
    const device = Object.assign(new FakeDevice(), { offloads: 3 });
    await using port = await init(
      { device: 'vhost-user:/tmp/x.sock', ip: '10.0.0.1/24', offloads: 'auto' },
      { openDevice: async () => device },
    );
    expect(port.offloads).toBe(3);
  });
});
