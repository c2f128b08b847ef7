/** Packet memory on real hugepages: a few are reserved while this suite runs, and given back. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { HUGEPAGE_BYTES, PacketMemory } from '../../drivers/memory/index.js';
import { Child } from '../../scripts/child.js';
import { describeWith, hugepages } from '../support/requirements.js';

const RESERVED = '/proc/sys/vm/nr_hugepages';
/** Two endpoints take five each, and the test itself needs some. */
const PAGES = 16;
const SCRIPT = fileURLToPath(new URL('../../bess/forward_script.bess', import.meta.url));

function free(): number {
  return Number(readFileSync('/proc/meminfo', 'utf8').match(/HugePages_Free:\s+(\d+)/)?.[1]);
}

describeWith('packet memory on hugepages', [hugepages], () => {
  const directory = mkdtempSync(join(tmpdir(), 'tspmd-hugepages-'));
  const before = Number(readFileSync(RESERVED, 'utf8'));

  beforeAll(() => {
    writeFileSync(RESERVED, String(before + PAGES));
    expect(free(), 'the kernel has no memory in one piece left for hugepages').toBeGreaterThanOrEqual(PAGES);
  });

  afterAll(() => {
    writeFileSync(RESERVED, String(before));
    rmSync(directory, { recursive: true, force: true });
  });

  it('takes them, populated, and gives them back at once', () => {
    const had = free();
    const memory = PacketMemory.create(4 * 2 ** 20, 'require');
    expect(memory.hugepages).toBe(true);
    expect(memory.notice).toBe('');
    expect(had - free()).toBe(2);
    memory.u8[memory.size - 1] = 42;
    expect(memory.u8[memory.size - 1]).toBe(42);
    memory.dispose();
    expect(free()).toBe(had);
  });

  it('takes them with "auto", too, without a word', () => {
    const memory = PacketMemory.create(2 * 2 ** 20, 'auto');
    expect([memory.hugepages, memory.notice]).toEqual([true, '']);
    memory.dispose();
  });

  it('says how many are missing if they are required', () => {
    const pages = free() + 1;
    expect(() => PacketMemory.create(pages * 2 ** 21, 'require')).toThrow(new RegExp(`no ${pages} hugepages of 2 MiB`));
  });

  describe('between two endpoints and the switch', () => {
    const children: Child[] = [];

    afterEach(async () => {
      await Promise.allSettled(children.splice(0).map((child) => child.stop()));
    });

    async function start(...args: string[]): Promise<Child> {
      const child = Child.tspmd(...args);
      children.push(child);
      await child.waitFor(/^(ready|PING)/m);
      return child;
    }
    const startSwitch = (): Promise<Child> =>
      start('switch', SCRIPT, ...[1, 2].map((i) => `VM${i}_SOCKET=${join(directory, `vm${i}.sock`)}`));
    const device = (i: number, hugepages = 'require'): string[] => [
      ...['--device', `vhost-user:${join(directory, `vm${i}.sock`)}`, '--ip', `10.0.0.${i}/24`],
      ...['--mac', `52:54:00:00:00:0${i}`, '--hugepages', hugepages],
    ];
    async function expectPings(hugepages?: string): Promise<Child> {
      const options = ['--to', '10.0.0.2', '--count', '20', '--interval', '0.01'];
      const ping = await start('ping', ...device(1, hugepages), ...options);
      expect((await ping.exited).code, ping.output).toBe(0);
      expect(ping.stdout).toContain('20 received, 0% packet loss');
      return ping;
    }

    it('carry packets: all processes map the same pages', { timeout: 60_000 }, async () => {
      const had = free();
      await startSwitch();
      await start('run', ...device(2));
      expect(free()).toBeLessThan(had);
      const ping = await expectPings();
      expect(ping.output).not.toContain('normal pages');
      await Promise.all(children.splice(0).map((child) => child.stop()));
      expect(free()).toBe(had);
      expect(existsSync(join(directory, 'vm1.sock'))).toBe(false);
    });

    it('run out: the second endpoint takes normal pages, or says what it needs', {
      timeout: 60_000,
    }, async () => {
      const had = free();
      await startSwitch();
      await start('run', ...device(2));
      const each = had - free();
      // What is left is too little for another endpoint.
      const rest = PacketMemory.create((free() - each + 1) * HUGEPAGE_BYTES, 'require');
      const ping = await expectPings('auto');
      expect(ping.output).toMatch(new RegExp(`no ${each} free hugepages of 2 MiB .*using normal pages`));
      const refused = Child.tspmd('ping', ...device(1), '--to', '10.0.0.2', '--count', '1');
      children.push(refused);
      expect((await refused.exited).code).toBe(1);
      expect(refused.output).toMatch(
        new RegExp(`^tspmd: no ${each} hugepages of 2 MiB .*reserve them with [^\\n]*\\n$`),
      );
      expect(free()).toBe(each - 1);
      rest.dispose();
      expect((await expectPings()).output).not.toContain('normal pages');
      await Promise.all(children.splice(0).map((child) => child.stop()));
      expect(free()).toBe(had);
    });

    it('come back from every process that is killed, the switch included', { timeout: 60_000 }, async () => {
      const had = free();
      await startSwitch();
      await start('run', ...device(2));
      const left = free();
      for (let i = 0; i < 3; i++) {
        const killed = await start('run', ...device(1));
        expect(free()).toBeLessThan(left);
        killed.signal('SIGKILL');
        await killed.exited;
        await children[0]!.waitFor(new RegExp(`(port vm1: [^\\n]* the peer is gone[^]*){${i + 1}}`));
        expect(free()).toBe(left);
      }
      for (const child of children) child.signal('SIGKILL');
      await Promise.all(children.map((child) => child.exited));
      expect(free()).toBe(had);
    });
  });
});
