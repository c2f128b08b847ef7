/** docs/several-hosts.md, "On one machine": its commands, word for word. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Child } from '../../scripts/child.js';
import { blocksBelow, PageCommands } from '../support/hosts/page.js';
import { patternHash } from '../support/peers/bytes.js';
import { command, describeWith, root } from '../support/requirements.js';

const LIMIT = { timeout: 90_000 };
const needs = [root, ...['ip', 'nft', 'ping', 'curl'].map(command)];

describeWith('docs/several-hosts.md', needs, () => {
  let commands: PageCommands;
  const blocks = (heading: string): string[] => blocksBelow('several-hosts.md', heading);

  beforeAll(async () => {
    commands = await PageCommands.start();
  });

  afterAll(() => commands.close());

  async function run(block: string): Promise<string> {
    const { code, output } = await commands.run(block);
    expect(code, `${block}\n${output}`).toBe(0);
    return output;
  }

  async function ready(block: string): Promise<Child> {
    const child = commands.start(block);
    await child.waitFor(/^ready/m, 30_000);
    return child;
  }

  it('joins two hosts on one machine, and then a kernel', LIMIT, async () => {
    for (const block of blocks('Two hosts')) await run(block);
    const [first, second] = blocks('A switch on each') as [string, string];
    const switches = [await ready(first), await ready(second)];

    const [vm3, vm1, counters] = blocks('VMs') as [string, string, string];
    const endpoint = await ready(vm3);
    const output = await run(vm1);
    expect(output).toContain('3 packets transmitted, 3 received, 0% packet loss');
    expect(output).toContain(patternHash(10_000_000));
    expect(await run(counters)).toMatch(/from_hosts[\s\S]*from_hosts/);

    await endpoint.stop('SIGINT');
    await switches[1]!.stop('SIGINT');
    const [kernel, other, reach] = blocks('The kernel instead of a switch') as [string, string, string];
    await run(kernel);
    await ready(other);
    const reached = await run(reach);
    expect(reached).toContain(' 0% packet loss');
    expect(reached).toContain('10000000 bytes');
  });

  it('leaves nothing behind', LIMIT, async () => {
    await commands.stopAll();
    for (const block of blocks('At the end')) await run(block);
    expect((await commands.run('ip netns list')).stdout).toBe('');
  });
});
