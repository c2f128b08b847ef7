/** `tspmd bind` and `tspmd unbind`: they run the script of the package, with its arguments, output and exit codes. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Child } from '../../scripts/child.js';
import { FakeSysfs } from '../support/pci/fake-sysfs.js';
import { temporaryDirectory } from '../support/resources.js';

const NIC = '0000:00:10.0';

describe('tspmd bind', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let fake: FakeSysfs;

  beforeEach(() => {
    directory = temporaryDirectory();
    fake = new FakeSysfs(join(directory.path, 'sys'));
    for (const folder of ['proc/net', 'run']) mkdirSync(join(directory.path, folder), { recursive: true });
  });
  afterEach(() => directory.remove());

  async function run(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
    const [program, ...command] = Child.commandLine(...args);
    const child = Child.spawn(program, command, {
      PATH: process.env.PATH,
      TSPMD_SYSFS: fake.root,
      TSPMD_PROC: join(directory.path, 'proc'),
      TSPMD_RUN: join(directory.path, 'run'),
    });
    const { code } = await child.exited;
    return { code, out: child.stdout, err: child.output.replace(child.stdout, '') };
  }

  it('passes its arguments on: an address and options, in any order', async () => {
    fake.add(NIC, { driver: 'vfio-pci', group: '3' });
    fake.hugepages(0);
    const bound = `${NIC} is bound to vfio-pci, IOMMU group 3 (/dev/vfio/3)\n`;
    const reserved = (pages: number): string => `${pages} hugepages of 2 MiB are reserved\n`;
    expect(await run('bind', NIC, '--hugepages', '2')).toEqual({ code: 0, out: `${reserved(2)}${bound}`, err: '' });
    expect(await run('bind', '--hugepages', '3', NIC)).toEqual({ code: 0, out: `${reserved(3)}${bound}`, err: '' });
    fake.add('0000:00:11.0', { driver: 'virtio-pci', group: '4' });
    const refused = 'it has an IOMMU (group 4); --no-iommu would give up its protection: omit this option';
    expect(await run('bind', '0000:00:11.0', '--no-iommu')).toEqual({
      ...{ code: 1, out: '', err: `tspmd bind: 0000:00:11.0: ${refused}\n` },
    });
  });

  it('gives the NIC back with unbind', async () => {
    fake.add(NIC, { driver: 'virtio-pci', group: '3' });
    const out = `${NIC} is not bound to vfio-pci but to virtio-pci; nothing to do\n`;
    expect(await run('unbind', NIC)).toEqual({ code: 0, out, err: '' });
    const err = `tspmd bind: 0000:00:1f.0: there is no such PCI device; 'tspmd bind --status' lists the NICs\n`;
    expect(await run('unbind', '0000:00:1f.0')).toEqual({ code: 1, out: '', err });
  });

  it("has the script's usage and exit codes", async () => {
    expect(await run('bind', '--help')).toMatchObject({
      ...{ code: 0, out: expect.stringMatching(/^usage: tspmd bind ADDRESS \[--no-iommu\]/) },
    });
    const err = "tspmd bind: the address of the NIC is missing; see 'tspmd bind --help'\n";
    expect(await run('bind')).toEqual({ code: 2, out: '', err });
  });
});
