/** How `bench -- tcp-vm` names its rows, starts its servers, and tells what limits them. The guest is in test/vm. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { NoiseGuard } from '../../../../bench/common/noise.js';
import { tcpVm } from '../../../../bench/tcp-vm/benchmark.js';
import { Measured } from '../../../../bench/tcp-vm/measured.js';
import { VM_ROWS } from '../../../../bench/tcp-vm/rows.js';
import { serversOf } from '../../../../bench/tcp-vm/servers.js';
import { guestTime, guestTimeText, limitOf, type Shares } from '../../../../bench/tcp-vm/shares.js';

const folder = mkdtempSync(join(tmpdir(), 'tspmd-tcp-vm-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const guest = guestTime('cpu  100 0 100 100 0 0 100 0 0 0', 'cpu  130 0 150 110 0 0 110 0 0 0');
const shares = (server: number, load: number, bess: number): Shares => ({ server, load, switch: bess, guest });

describe('the time of the guest’s CPU', () => {
  it('is in shares of what has passed', () => {
    expect(guest).toEqual({ user: 0.3, nice: 0, system: 0.5, idle: 0.1, iowait: 0, irq: 0, softirq: 0.1 });
    expect(guestTimeText([shares(1, 0, 0)])).toBe('user 30 %, system 50 %, idle 10 %, softirq 10 %');
  });

  it.each([
    ['cpu 1 2 3', 'begins with'],
    ['intr 1 2 3 4 5 6 7', 'begins with'],
    ['cpu  100 0 100 100 0 0 100', 'stands still'],
  ])('cannot be told from %s', (after, why) => {
    expect(() => guestTime('cpu  100 0 100 100 0 0 100', after)).toThrow(why);
  });
});

describe('the limit of a contestant in a guest', () => {
  it('is the part that has work all the time, by the median of the windows', () => {
    expect(limitOf([shares(0.2, 0, 0), shares(0.97, 0.1, 0.05), shares(0.98, 0.2, 0.05)])).toBe(
      'server (server busy 97 %, load 10 %, switch 5 %)',
    );
    expect(limitOf([shares(0.5, 0.3, 0.4)])).toMatch(/^requests under way /);
  });

  it('is one of the load and the switch when both together fill their CPU', () => {
    expect(limitOf([shares(0.5, 0.6, 0.35)])).toMatch(/^load /);
    expect(limitOf([shares(0.5, 0.35, 0.6)])).toMatch(/^switch /);
  });
});

describe('the servers in the guest', () => {
  it('are ours, and one on the kernel: Node for TCP, nginx for HTTP', () => {
    const names = (['requests', 'bulk', 'http'] as const).map((group) =>
      serversOf(group, folder).map(({ name }) => name),
    );
    expect(names).toEqual([
      ['tspmd', 'node-net'],
      ['tspmd', 'node-net'],
      ['tspmd', 'nginx'],
    ]);
  });

  it('are started by commands of one line that the shell takes apart again', () => {
    for (const group of ['requests', 'bulk', 'http'] as const) {
      for (const { command } of serversOf(group, folder)) {
        expect(command).not.toContain('\n');
        const { stdout } = spawnSync('bash', ['-c', `printf '%s\\n' ${command}`], { encoding: 'utf8' });
        const [bash, script, driver, address, ...rest] = stdout.trimEnd().split('\n');
        expect([bash, address]).toEqual(['bash', '0000:00:10.0']);
        expect(script).toMatch(/\/bench\/tcp-vm\/serve\.sh$/);
        if (driver === 'kernel') expect(rest[1]).toMatch(/^net\.\S+=[^,]+(,net\.\S+=[^,]+)+$/);
        else expect(JSON.parse(rest.at(-1)!)).toMatchObject({ device: address, offloads: 'auto' });
      }
    }
  });
});

describe('a row', () => {
  it('has a name that says where it is measured', () => {
    expect(VM_ROWS.map(({ name }) => name)).toEqual([
      ...['vm/rr/64/1', 'vm/rr/64/128', 'vm/crr/64', 'vm/bulk/tx', 'vm/bulk/rx', 'vm/http/hello'],
    ]);
    expect(tcpVm.rows).toEqual(VM_ROWS.map(({ name }) => name));
  });

  it('needs nginx only for HTTP', () => {
    const path = process.env.PATH;
    process.env.PATH = folder;
    try {
      const needs = tcpVm.missing(['vm/http/hello']).filter((what) => !tcpVm.missing(['vm/rr/64/1']).includes(what));
      expect(needs.every((what) => what.startsWith('nginx '))).toBe(true);
    } finally {
      process.env.PATH = path;
    }
  });

  it('has the rates, the ratio, and what limits each contestant', async () => {
    const measured = new Measured(VM_ROWS[0]!, await NoiseGuard.begin(false));
    for (const rate of [300, 310, 320]) measured.add('tspmd', { done: rate * 2, seconds: 2 }, shares(0.5, 0.1, 0.1));
    for (const rate of [100, 105, 90]) measured.add('node-net', { done: rate, seconds: 1 }, shares(0.95, 0.1, 0));
    const row = await measured.row('offload tx-checksumming\noffload scatter-gather\noffload tx-checksumming\n');
    expect(row).toMatchObject({
      name: 'vm/rr/64/1',
      ratio: { 'node-net': 3.1 },
      ours: { median: 310, unit: 'requests/s' },
    });
    expect(row.more).toMatchObject({
      limit: { tspmd: expect.stringMatching(/^requests under way/), 'node-net': expect.stringMatching(/^server/) },
      "per second in which the guest's CPU had work": { tspmd: 620, 'node-net': 105 },
      "offloads of the guest's kernel": ['tx-checksumming', 'scatter-gather'],
    });
    expect(() => measured.add('node-net', { done: 0, seconds: 1 }, shares(0, 0, 0))).toThrow(
      'nothing came from node-net',
    );
  });
});
