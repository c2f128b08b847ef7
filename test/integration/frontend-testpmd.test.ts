/** Our driver as DPDK's vhost library sees it: testpmd is the backend of the socket, `tspmd` the frontend. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { type ForwardMode, Testpmd } from '../../scripts/testpmd.js';
import { describeWith, testpmd } from '../support/requirements.js';

/** Entries of our rings: packets that may be under way when one side stops. */
const RING = 1024;

describeWith('driver against dpdk-testpmd as vhost-user backend', [testpmd], () => {
  let directory = '';
  let socket = '';
  const backends: Testpmd[] = [];
  const children: Child[] = [];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tspmd-frontend-'));
    socket = join(directory, 'vhost.sock');
  });

  afterEach(async () => {
    await Promise.allSettled(
      [...children.splice(0), ...backends.splice(0).map(({ child }) => child)].map((c) => c.stop()),
    );
    rmSync(directory, { recursive: true, force: true });
  });

  async function backend(forward: ForwardMode, ...args: string[]): Promise<Testpmd> {
    const pmd = Testpmd.backend(socket, { forward, args });
    backends.push(pmd);
    await pmd.started();
    return pmd;
  }

  async function run(app: string, ...args: string[]): Promise<Child> {
    const child = Child.tspmd('run', '--device', `vhost-user:${socket}`, '--ip', '10.0.0.1/24', '--app', app, ...args);
    children.push(child);
    await child.waitFor(/^ready: 10\.0\.0\.1\/24 at [0-9a-f:]{17} on vhost-user:/m);
    return child;
  }

  /** Stops `tspmd run`; returns what its last lines say. */
  async function totals(child: Child): Promise<{ received: number; sent: number }> {
    expect(await child.stop(), child.output).toEqual({ code: 0, signal: null });
    // The last burst of a sender may find the ring full, and nobody tries again.
    const dropped = /none|\d+ \(tx_lost_link_down \d+\)/.source;
    const match = child.stdout.match(
      new RegExp(`^stopped: received (\\d+) frames, sent (\\d+); dropped (?:${dropped})$`, 'm'),
    );
    expect(match, child.output).not.toBeNull();
    return { received: Number(match?.[1]), sent: Number(match?.[2]) };
  }

  it('icmpecho answers each of our pings', async () => {
    await backend('icmpecho');
    const device = ['--device', `vhost-user:${socket}`, '--ip', '10.0.0.1/24'];
    const ping = Child.tspmd(
      'ping',
      ...device,
      '--to',
      '10.0.0.2',
      '--count',
      '50',
      '--interval',
      '0.01',
      '--size',
      '1472',
    );
    children.push(ping);
    const exit = await ping.exited;
    expect(ping.stdout).toContain('50 packets transmitted, 50 received, 0% packet loss');
    expect(exit.code).toBe(0);
  });

  it('receives all that txonly sends', async () => {
    const pmd = await backend('txonly');
    const child = await run('rxonly', '--stats-period', '0.2');
    await child.waitFor(/^rx [1-9][\d.]* [kM]?pps/m);
    const peer = await pmd.stop();
    await child.waitFor(/link down/);
    const { received } = await totals(child);
    expect(received).toBeGreaterThan(1000);
    expect(peer.txPackets - received).toBeGreaterThanOrEqual(0);
    expect(peer.txPackets - received).toBeLessThanOrEqual(RING);
  });

  it('sends nothing that rxonly does not receive', async () => {
    const pmd = await backend('rxonly');
    const child = await run('txonly', '--stats-period', '0.2');
    await child.waitFor(/tx [1-9][\d.]* [kM]?pps/);
    const { sent } = await totals(child);
    const peer = await pmd.stop();
    expect(sent).toBeGreaterThan(1000);
    expect(sent - peer.rxPackets).toBeGreaterThanOrEqual(0);
    expect(sent - peer.rxPackets).toBeLessThanOrEqual(RING);
  });

  it('macswap sends back what flowgen sent', async () => {
    const pmd = await backend('flowgen');
    const child = await run('macswap', '--stats-period', '0.2');
    await child.waitFor(/tx [1-9][\d.]* [kM]?pps/);
    const peer = await pmd.stop();
    await child.waitFor(/link down/);
    expect(await child.stop()).toEqual({ code: 0, signal: null });
    const match = child.stdout.match(/^stopped: received (\d+) frames, sent (\d+)/m);
    const [received, sent] = [Number(match?.[1]), Number(match?.[2])];
    expect(peer.rxPackets).toBeGreaterThan(1000);
    // What was received is sent back, or found the ring full and is counted; a ring of the sent may not have arrived.
    const [, ringFull = '0'] = child.stdout.match(/macswap_ring_full (\d+)/) ?? [];
    expect(received - sent - Number(ringFull)).toBeGreaterThanOrEqual(0);
    expect(received - sent - Number(ringFull)).toBeLessThanOrEqual(RING);
    expect(sent - peer.rxPackets).toBeGreaterThanOrEqual(0);
    expect(sent - peer.rxPackets).toBeLessThanOrEqual(RING);
  });

  it('says when the backend dies, and goes on when it is back', async () => {
    const first = await backend('icmpecho');
    const child = await run('echo', '--stats-period', '0.2');
    first.child.signal('SIGKILL');
    await child.waitFor(/tspmd: link down: vhost-user:.*: the backend hung up/);
    await first.child.exited;
    rmSync(socket);
    await backend('txonly');
    await child.waitFor(/tspmd: link up: vhost-user:.* is back/);
    // testpmd sends when its core gets its turn; nobody else has sent anything.
    await child.waitFor(/^rx [1-9][\d.]* [kM]?pps/m);
    expect(child.isRunning).toBe(true);
    expect((await child.stop()).code).toBe(0);
  });
});
