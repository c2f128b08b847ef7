/** Our driver with DPDK's vhost library as its peer: testpmd is the backend of the socket, `tspmd` the frontend. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { type ForwardMode, Testpmd } from '../../scripts/testpmd.js';
import { describeWith, testpmd } from '../support/requirements.js';
import { ALL_MODES, MODES, type Mode } from '../support/threads/modes.js';

/** Entries of our rings: packets that may be under way when one side stops. */
const RING = 1024;
/** A core is slower than the thread that feeds it, and all packets of one flow go to one core. */
const RX_DROPS = ['rx_drop_queue_full', 'rx_drop_core_share', 'rx_dropped_no_buffer'];

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

  async function run(mode: Mode, app: string, ...args: string[]): Promise<Child> {
    const device = ['--device', `vhost-user:${socket}`, '--ip', '10.0.0.1/24'];
    const child = Child.tspmd('run', ...device, '--app', app, ...MODES[mode], ...args);
    children.push(child);
    await child.waitFor(/^ready: 10\.0\.0\.1\/24 at [0-9a-f:]{17} on vhost-user:/m);
    return child;
  }

  /**
   * Stops `tspmd run`; returns the totals of its last lines.
   * @param drops what it may have dropped: the last burst of a sender may find the ring full, and is not sent again
   */
  async function totals(
    child: Child,
    ...drops: string[]
  ): Promise<{ received: number; sent: number; dropped: number }> {
    expect(await child.stop(), child.output).toEqual({ code: 0, signal: null });
    const match = child.stdout.match(/^stopped: received (\d+) frames, sent (\d+); dropped (?:none|(\d+) \((.*)\))$/m);
    expect(match, child.output).not.toBeNull();
    const [, received, sent, dropped = 0, reasons = ''] = match ?? [];
    const allowed = ['tx_lost_link_down', ...drops];
    for (const [, reason] of reasons.matchAll(/(\w+) \d+/g)) expect(allowed).toContain(reason);
    return { received: Number(received), sent: Number(sent), dropped: Number(dropped) };
  }

  /** Expects that testpmd has sent or received no more than we did, except what may be under way in a ring. */
  function expectUnderWay(count: number): void {
    expect(count).toBeGreaterThanOrEqual(0);
    expect(count).toBeLessThanOrEqual(RING);
  }

  it('icmpecho answers each of our pings', async () => {
    await backend('icmpecho');
    const device = ['--device', `vhost-user:${socket}`, '--ip', '10.0.0.1/24'];
    const options = ['--to', '10.0.0.2', '--count', '50', '--interval', '0.01', '--size', '1472'];
    const ping = Child.tspmd('ping', ...device, ...options);
    children.push(ping);
    const exit = await ping.exited;
    expect(ping.stdout).toContain('50 packets transmitted, 50 received, 0% packet loss');
    expect(exit.code).toBe(0);
  });

  describe.each(ALL_MODES)('in mode %s', (mode) => {
    it('receives all that txonly sends', async () => {
      const pmd = await backend('txonly');
      const child = await run(mode, 'rxonly', '--stats-period', '0.2');
      await child.waitFor(/^rx [1-9][\d.]* [kM]?pps/m);
      const peer = await pmd.stop();
      await child.waitFor(/link down/);
      const { received } = await totals(child, ...RX_DROPS);
      expect(received).toBeGreaterThan(1000);
      expectUnderWay(peer.txPackets - received);
    });

    it('sends nothing that rxonly does not receive', async () => {
      const pmd = await backend('rxonly');
      const child = await run(mode, 'txonly', '--stats-period', '0.2');
      await child.waitFor(/tx [1-9][\d.]* [kM]?pps/);
      const { sent } = await totals(child);
      const peer = await pmd.stop();
      expect(sent).toBeGreaterThan(1000);
      expectUnderWay(sent - peer.rxPackets);
    });

    it('macswap sends back what flowgen sent', async () => {
      const pmd = await backend('flowgen');
      const child = await run(mode, 'macswap', '--stats-period', '0.2');
      await child.waitFor(/tx [1-9][\d.]* [kM]?pps/);
      const peer = await pmd.stop();
      await child.waitFor(/link down/);
      const { received, sent, dropped } = await totals(child, ...RX_DROPS);
      expect(peer.rxPackets).toBeGreaterThan(1000);
      // What was received is sent back, is dropped, or finds the ring full. Up to a ring of sent frames may not have
      // arrived.
      const ringFull = [...child.stdout.matchAll(/macswap_ring_full (\d+)/g)].reduce(
        (sum, [, n]) => sum + Number(n),
        0,
      );
      expectUnderWay(received - sent - dropped - ringFull);
      expectUnderWay(sent - peer.rxPackets);
    });

    it('says when the backend dies, and goes on when it is back', async () => {
      const first = await backend('icmpecho');
      const child = await run(mode, 'echo', '--stats-period', '0.2');
      first.child.signal('SIGKILL');
      await child.waitFor(/tspmd: link down: vhost-user:.*: the backend hung up/);
      await first.child.exited;
      rmSync(socket);
      await backend('txonly');
      await child.waitFor(/tspmd: link up: vhost-user:.* is back/);
      // testpmd sends when its core gets its turn, and there is no other sender.
      await child.waitFor(/^rx [1-9][\d.]* [kM]?pps/m);
      expect(child.isRunning).toBe(true);
      expect((await child.stop()).code).toBe(0);
    });

    it('sends to a backend that was killed under load and is back', async () => {
      const first = await backend('rxonly');
      const child = await run(mode, 'txonly', '--stats-period', '0.2');
      await child.waitFor(/tx [1-9][\d.]* [kM]?pps/);
      first.child.signal('SIGKILL');
      await child.waitFor(/tspmd: link down: vhost-user:.*: the backend hung up/);
      await first.child.exited;
      rmSync(socket);
      const second = await backend('rxonly');
      await child.waitFor(/tspmd: link up: vhost-user:.* is back[\s\S]*tx [1-9][\d.]* [kM]?pps/);
      expect((await child.stop()).code).toBe(0);
      expect((await second.stop()).rxPackets).toBeGreaterThan(1000);
    });
  });
});
