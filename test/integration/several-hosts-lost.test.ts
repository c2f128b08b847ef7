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

const LIMIT = { timeout: 120_000 };
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
  function generate(from: number, to: number, given: Record<string, number>): Promise<Child> {
    const options = Object.entries({ flows: 16, window: 2, give_up_ms: 15_000, ...given });
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
    // On one host, and from host to host: enough for the start of the third, and for what comes after the loss.
    const others = await Promise.all([generate(1, 2, { packets: 100_000 }), generate(3, 4, { packets: 60_000 })]);
    // To the host that will be lost, and last: it must not have finished before.
    const toLost = await generate(5, 7, { packets: 40_000, progress: 1000, give_up_ms: 500 });
    await Promise.all([...others, toLost].map((generator) => generator.waitFor(/^answered \d+$/m)));
    await lost.killSwitch();
    await lostVm.waitFor(/link down/);
    // The first line may have been written before: the second one shows that the traffic goes on.
    const goOn = others.map((other) => other.waitFor(/^answered \d+\nanswered \d+$/m, TRAFFIC_MS, other.output.length));
    await Promise.all(goOn);
    for (const other of others) {
      const result = await resultOf(other);
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
