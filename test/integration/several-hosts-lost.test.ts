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
    for (const host of lab.hosts) await host.startSwitch();
  }, LIMIT.timeout);

  afterAll(() => lab?.close());

  /** Traffic between two VMs, with few datagrams at a time; the result comes at the end. */
  function generate(from: number, to: number, giveUpMs = 15_000): Promise<Child> {
    const options = Object.entries({ flows: 16, window: 2, packets: 20_000, give_up_ms: giveUpMs });
    const pairs = [`to=10.0.0.${to}`, ...options.map(([name, value]) => `${name}=${value}`)];
    return lab.endpoint(from, '--app', app('generator'), '--app-option', ...pairs);
  }

  async function resultOf(generator: Child): Promise<FlowResult> {
    const [, json = ''] = await generator.waitFor(/^flows: (.*)$/m, TRAFFIC_MS);
    return JSON.parse(json) as FlowResult;
  }

  it('loses nothing between the VMs of the others, and the lost VMs come back', LIMIT, async () => {
    const reflectors = await Promise.all([2, 4, 7].map((vm) => lab.endpoint(vm, '--app', app('reflector'))));
    const lostVm = reflectors[2]!;
    // On one host; from host to host; and to the one that will be lost.
    const generators = await Promise.all([generate(1, 2), generate(3, 4), generate(5, 7, 500)]);
    const [local, remote, toLost] = generators as [Child, Child, Child];
    await Promise.all(generators.map((generator) => generator.waitFor(/^answered 5\d{3}$/m)));
    await lost.killSwitch();
    await lostVm.waitFor(/link down/);
    for (const generator of [local, remote]) {
      const result = await resultOf(generator);
      expect(result).toMatchObject({ lost: 0, disorder: 0, unexpected: 0, corrupt: 0, sent: result.answered });
    }
    await lost.startSwitch();
    await lostVm.waitFor(/link up/);
    const { sent, answered, lost: gone, disorder, corrupt } = await resultOf(toLost);
    expect([answered + gone, disorder, corrupt]).toEqual([sent, 0, 0]);
    expect(gone).toBeGreaterThan(0);
    expect(answered).toBeGreaterThan(sent / 2);
  });
});
