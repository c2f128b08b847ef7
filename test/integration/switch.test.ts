/** The embedded switch with our endpoints: what comes and goes, what is counted, and what is left behind. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SwitchStats } from '../../bess/stats.js';
import { Child } from '../../scripts/child.js';
import { parseSwitchStats } from '../support/observe/switch-stats.js';

const BESS = fileURLToPath(new URL('../../bess/', import.meta.url));
const LIMIT = { timeout: 60_000 };

describe('tspmd switch', () => {
  let directory = '';
  const children: Child[] = [];
  const socket = (i: number): string => join(directory, `vhost${i}.sock`);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tspmd-switch-'));
  });

  afterEach(async () => {
    await Promise.allSettled(children.splice(0).map((child) => child.stop()));
    rmSync(directory, { recursive: true, force: true });
  });

  function start(...args: string[]): Child {
    const child = Child.tspmd(...args);
    children.push(child);
    return child;
  }

  async function forwardN(ports: number): Promise<Child> {
    const bess = start('switch', join(BESS, 'forward_n.bess'), `NPORTS=${ports}`, `DIR=${directory}`);
    await bess.waitFor(new RegExp(`^ready: ${ports} ports`, 'm'));
    return bess;
  }

  async function echo(i: number, ...more: string[]): Promise<Child> {
    const device = ['--device', `vhost-user:${socket(i)}`, '--ip', `10.0.0.${i}/24`, '--mac', `52:54:00:00:00:0${i}`];
    const child = start('run', ...device, ...more);
    await child.waitFor(/^ready/m);
    return child;
  }

  function ping(i: number, to: number, count: number): Child {
    const device = ['--device', `vhost-user:${socket(i)}`, '--ip', `10.0.0.${i}/24`, '--mac', `52:54:00:00:00:0${i}`];
    return start('ping', ...device, '--to', `10.0.0.${to}`, '--count', `${count}`, '--interval', '0.01');
  }

  async function statsOf(bess: Child): Promise<SwitchStats> {
    const child = start('stats', String(bess.pid), '--json');
    expect((await child.exited).code, child.output).toBe(0);
    return parseSwitchStats(child.stdout);
  }

  it('connects three VMs, each with each', LIMIT, async () => {
    const bess = await forwardN(3);
    await echo(2);
    await echo(3);
    for (const to of [2, 3]) {
      const child = ping(1, to, 20);
      expect((await child.exited).code, child.output).toBe(0);
      expect(child.stdout).toContain('20 packets transmitted, 20 received, 0% packet loss');
    }
    const { summary, ports } = await statsOf(bess);
    expect(summary.forwarded).toBeGreaterThanOrEqual(80);
    expect(summary.received + summary.generated + summary.copied).toBe(summary.forwarded + summary.dropped.total);
    expect(Object.keys(ports)).toEqual(['vm1', 'vm2', 'vm3']);
    // Unicast goes only to its VM: of the second VM's frames the third sees only the broadcasts.
    expect(ports.vm3?.out.packets).toBeLessThan(40);
  });

  it('prints its tables on SIGUSR1 and for tspmd stats', LIMIT, async () => {
    const bess = await forwardN(2);
    bess.signal('SIGUSR1');
    await bess.waitFor(/vm2_out[\s\S]*QueueOut|QueueOut[\s\S]*vm2_out/);
    const child = start('stats', String(bess.pid));
    expect((await child.exited).code).toBe(0);
    expect(child.stdout).toMatch(/vm1/);
    expect(child.stdout).toMatch(/L2Forward/);
    expect(bess.isRunning).toBe(true);
  });

  it('makes sockets for its user only, and removes them when it stops', LIMIT, async () => {
    const bess = await forwardN(2);
    expect(statSync(socket(1)).mode & 0o777).toBe(0o600);
    expect((await bess.stop('SIGINT')).code).toBe(0);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('may be killed and started again: the endpoints report it, and go on', LIMIT, async () => {
    const bess = await forwardN(2);
    const endpoint = await echo(2);
    bess.signal('SIGKILL');
    await bess.exited;
    await endpoint.waitFor(/link down: .*the backend hung up/);
    // The sockets are still there; forward_n.bess unlinks them.
    expect(existsSync(socket(2))).toBe(true);
    await forwardN(2);
    await endpoint.waitFor(/link up: .* is back/);
    const child = ping(1, 2, 10);
    expect((await child.exited).code, child.output).toBe(0);
    expect(child.stdout).toContain('10 received, 0% packet loss');
  });

  it('keeps its sockets from a second switch, which is told who has them', LIMIT, async () => {
    const bess = await forwardN(2);
    await echo(2);
    const second = start('switch', join(BESS, 'forward_n.bess'), 'NPORTS=2', `DIR=${directory}`);
    expect((await second.exited).code).toBe(1);
    expect(second.output).toMatch(
      new RegExp(
        `forward_n\\.bess:24:\\d+: .*vhost1\\.sock is in use by process ${bess.pid} \\('.*forward_n.*'…?\\): stop`,
      ),
    );
    const child = ping(1, 2, 10);
    expect((await child.exited).code, child.output).toBe(0);
    // The second switch has not connected to find out.
    expect(bess.output.match(/a peer has connected/g)).toHaveLength(2);
  });

  it('serves endpoints that come and go, even killed ones', LIMIT, async () => {
    const bess = await forwardN(2);
    await echo(2);
    for (let i = 0; i < 3; i++) {
      const killed = await echo(1);
      killed.signal('SIGKILL');
      await killed.exited;
    }
    const child = ping(1, 2, 10);
    expect((await child.exited).code, child.output).toBe(0);
    expect(bess.isRunning).toBe(true);
  });

  it('reports an endpoint without --mac, and the addresses that the script has', LIMIT, async () => {
    const bess = await forwardN(2);
    const endpoint = ['--device', `vhost-user:${socket(1)}`, '--ip', '10.0.0.1/24'];
    const child = start('ping', ...endpoint, '--to', '10.0.0.2', '--count', '1');
    const [, mac] = await bess.waitFor(/^port vm1: the station (\S+) has no entry in fwd::L2Forward/m);
    expect(mac).not.toMatch(/^52:54:00:00:00:/);
    await bess.waitFor(/entries for 52:54:00:00:00:01 \(to vm1_out\), 52:54:00:00:00:02 \(to vm2_out\): use one/);
    expect((await child.exited).code).toBe(1);
  });

  it('leaves two endpoints with one MAC to notice each other', LIMIT, async () => {
    await forwardN(2);
    const first = await echo(1);
    const device = ['--device', `vhost-user:${socket(2)}`, '--ip', '10.0.0.2/24', '--mac', '52:54:00:00:00:01'];
    const second = start('run', ...device);
    await second.waitFor(/^ready/m);
    await first.waitFor(/tspmd: .*52:54:00:00:00:01/);
    // The two cannot exchange packets, but they run, and end in good order.
    expect([await first.stop(), await second.stop()]).toEqual([
      { code: 0, signal: null },
      { code: 0, signal: null },
    ]);
  });

  it('refuses two ports on one socket in one line, and leaves no socket behind', LIMIT, async () => {
    const bess = start(
      'switch',
      join(BESS, 'forward_script.bess'),
      `VM1_SOCKET=${socket(1)}`,
      `VM2_SOCKET=${socket(1)}`,
    );
    expect((await bess.exited).code).toBe(1);
    expect(bess.output).toMatch(/forward_script\.bess:\d+:\d+: .*vhost1\.sock/);
    expect(bess.output.match(/^tspmd: /gm)).toHaveLength(1);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('ends in order on SIGTERM while endpoints are connected, which report it', LIMIT, async () => {
    const bess = await forwardN(2);
    const endpoint = await echo(1);
    expect((await bess.stop()).code).toBe(0);
    await endpoint.waitFor(/link down/);
    expect((await endpoint.stop()).code).toBe(0);
  });
});
