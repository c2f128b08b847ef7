/**
 * Three hosts, of which one is lost under load and comes back. What the VMs of the others send to each other goes on, and
 * nothing of it is lost.
 */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import type { FlowResult } from '../support/flows/flow-generator.app.js';
import { HOSTS, type Host, Hosts } from '../support/hosts/hosts.js';
import { describeWith } from '../support/requirements.js';

const LIMIT = { timeout: 60_000 };
const TRAFFIC_MS = 40_000;
const ANSWER = /^\d+ bytes from 10\.0\.0\.7: icmp_seq=/m;
const app = (name: string): string =>
  fileURLToPath(new URL(`../../dist/test/support/flows/flow-${name}.app.js`, import.meta.url));

describeWith('three hosts, of which one is lost', HOSTS, () => {
  let lab: Hosts;
  let lost: Host;

  beforeAll(async () => {
    lab = Hosts.create(3, 3);
    lost = lab.hosts[2]!;
    for (const host of lab.hosts) {
      host.addAddress();
      await host.ignore('udp dport 4789');
    }
    await Promise.all(lab.hosts.map((host) => host.startSwitch()));
  });

  afterAll(() => lab.close());

  /** Traffic between two VMs, with few datagrams at a time; the result comes at the end. */
  function generate(from: number, to: number): Promise<Child> {
    const options = Object.entries({ flows: 16, window: 2, packets: 30_000, give_up_ms: 5000 });
    const pairs = [`to=10.0.0.${to}`, ...options.map(([name, value]) => `${name}=${value}`)];
    return lab.endpoint(from, '--app', app('generator'), '--app-option', ...pairs);
  }

  it('loses nothing between the VMs of the others, and the lost VMs come back', LIMIT, async () => {
    const reflectors = await Promise.all([2, 4].map((vm) => lab.endpoint(vm, '--app', app('reflector'))));
    const echo = await lab.endpoint(7, '--app', 'echo');
    const ping = lab.start(5, 'ping', '--to', '10.0.0.7', '--interval', '0.005');
    await ping.waitFor(ANSWER);
    // On one host, and from host to host.
    const generators = await Promise.all([generate(1, 2), generate(3, 4)]);
    await Promise.all(generators.map((generator) => generator.waitFor(/^answered 5\d{3}$/m)));
    await lost.killSwitch();
    await echo.waitFor(/link down/);
    const answers = await Promise.all(generators.map((generator) => generator.waitFor(/^flows: (.*)$/m, TRAFFIC_MS)));
    for (const [, json = ''] of answers) {
      const result = JSON.parse(json) as FlowResult;
      expect(result).toMatchObject({ lost: 0, disorder: 0, unexpected: 0, corrupt: 0, sent: result.answered });
    }
    expect(reflectors.every(({ isRunning }) => isRunning)).toBe(true);
    const from = ping.output.length;
    await lost.startSwitch();
    await echo.waitFor(/link up/);
    await ping.waitFor(ANSWER, TRAFFIC_MS, from);
    expect(ping.isRunning).toBe(true);
  });
});
