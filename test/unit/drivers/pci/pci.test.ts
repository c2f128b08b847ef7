/** PCI as sysfs and configuration space describe it, and what broken devices get wrong. */

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isPciAddress, pciAddress } from '../../../../drivers/pci/address.js';
import { listCapabilities, setBusMaster } from '../../../../drivers/pci/config-space.js';
import { PciSysfs } from '../../../../drivers/pci/sysfs.js';
import { virtioPciLayout } from '../../../../drivers/transports/virtio-pci/capabilities.js';
import { FakeSysfs } from '../../../support/pci/fake-sysfs.js';
import { type Capability, modernCapabilities, pciConfig } from '../../../support/pci/virtio-pci-config.js';
import { temporaryDirectory } from '../../../support/resources.js';

describe('PCI addresses', () => {
  it('become the names that sysfs has', () => {
    expect(pciAddress('00:04.0')).toBe('0000:00:04.0');
    expect(pciAddress('10000:AB:1F.7')).toBe('10000:ab:1f.7');
    expect(() => pciAddress('eth0')).toThrow("'eth0' is not a PCI address");
    expect(['00:20.0', '0:04.0', '00:04.8', '../../etc'].map(isPciAddress)).toEqual([false, false, false, false]);
  });
});

describe('sysfs', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let fake: FakeSysfs;
  beforeEach(() => {
    directory = temporaryDirectory();
    fake = new FakeSysfs(directory.path);
  });
  afterEach(() => directory.remove());

  it('says what a function is, its driver, and the members of its group', () => {
    fake.add('0000:00:04.0', { driver: 'virtio-pci', group: '3', interfaces: ['eth0', 'eth1'] });
    fake.add('0000:00:03.0', { vendor: 0x8086, device: 0x2918, classCode: 0x060100, group: '3' });
    fake.add('0000:00:05.0', { driver: 'vfio-pci', group: '0' });
    fake.file('kernel/iommu_groups/0/name', 'vfio-noiommu');
    const sysfs = new PciSysfs(directory.path);
    expect(sysfs.list().map(({ address }) => address)).toEqual(['0000:00:03.0', '0000:00:04.0', '0000:00:05.0']);
    expect(sysfs.find('00:04.0')).toEqual({
      address: '0000:00:04.0',
      vendor: 0x1af4,
      device: 0x1041,
      classCode: 0x020000,
      isNetwork: true,
      driver: 'virtio-pci',
      group: '3',
      isNoIommu: false,
      interfaces: ['eth0', 'eth1'],
    });
    expect(sysfs.groupMembers('3').map(({ address }) => address)).toEqual(['0000:00:03.0', '0000:00:04.0']);
    expect(sysfs.find('00:03.0')).toMatchObject({ isNetwork: false, driver: null, interfaces: [] });
    expect(sysfs.find('00:05.0')).toMatchObject({ group: '0', isNoIommu: true });
    expect(sysfs.find('00:06.0')).toBeNull();
    expect(sysfs.groupMembers('9')).toEqual([]);
  });

  it('is empty where there is no PCI', () => {
    expect(new PciSysfs('/nonexistent').list()).toEqual([]);
  });
});

describe('the capability list', () => {
  it('is followed in its order, with the reserved bits of pointers masked', () => {
    const config = pciConfig(modernCapabilities());
    config[0x34]! |= 3;
    const ids = listCapabilities(config, 'x').map(({ id }) => id);
    expect(ids).toEqual([0x11, 9, 9, 9, 9, 9]);
  });

  it('is empty where the status says that there is none, whatever the pointer', () => {
    const config = pciConfig(modernCapabilities());
    config[6] = 0;
    expect(listCapabilities(config, 'x')).toEqual([]);
  });

  it('ends at a loop or a pointer into the header, with an error', () => {
    const loop = pciConfig(modernCapabilities());
    loop[0x41] = 0x40;
    expect(() => listCapabilities(loop, 'nic')).toThrow('nic: the capability list is a loop');
    const header = pciConfig(modernCapabilities());
    header[0x41] = 0x10;
    expect(() => listCapabilities(header, 'nic')).toThrow('nic: the capability list points at 0x10, into the header');
  });
});

describe('bus mastering', () => {
  it('is one bit of the command register, set with memory access, cleared alone', () => {
    const writes: number[][] = [];
    const config = (command: number) => ({
      read: () => Uint8Array.of(0, 0, 0, 0, command & 0xff, command >> 8),
      write16: (...args: number[]) => writes.push(args),
    });
    setBusMaster(config(0x0400), true);
    setBusMaster(config(0x0406), true);
    setBusMaster(config(0x0406), false);
    expect(writes).toEqual([
      [4, 0x0406],
      [4, 0x0402],
    ]);
  });
});

describe('the virtio structures (virtio 1.2, 4.1.4)', () => {
  const layout = (capabilities: readonly Capability[], canMap = (_: number) => true) =>
    virtioPciLayout(pciConfig(capabilities), 'nic', canMap);

  it('are found', () => {
    expect(layout(modernCapabilities())).toEqual({
      common: { bar: 4, offset: 0, length: 0x1000 },
      notify: { bar: 4, offset: 0x3000, length: 0x1000 },
      notifyMultiplier: 4,
      device: { bar: 4, offset: 0x2000, length: 0x1000 },
    });
  });

  it('are the first usable ones of each kind (4.1.4.1)', () => {
    const two = [{ type: 1, offset: 0, bar: 0 }, { type: 1, offset: 0x100, bar: 2 }, ...modernCapabilities()];
    expect(layout(two, (bar) => bar !== 0).common).toEqual({ bar: 2, offset: 0x100, length: 0x1000 });
    expect(layout(two).common.bar).toBe(0);
  });

  // Clauses: 2.5.1c, 4.1.4.1a, 4.1.4.1b, 4.1.4.1c, 4.1.4.1d
  it('may be longer than known, and of unknown types and BARs', () => {
    const needed = modernCapabilities().filter(({ type }) => [1, 2, 4].includes(type));
    const odd = [
      { type: 99, offset: 0 },
      { type: 1, offset: 0, bar: 6 },
      { type: 1, offset: 0, capLength: 15 },
      { type: 2, offset: 0, capLength: 16 },
      ...needed.map((c) => ({ ...c, capLength: (c.capLength ?? 16) + 4 })),
    ];
    expect(layout(odd)).toEqual(layout(modernCapabilities()));
  });

  it.each([
    ['a common configuration too short', 1, { length: 55 }, /no usable common configuration/],
    ['one that is not aligned', 1, { offset: 2 }, /no usable common configuration/],
    ['an odd multiplier', 2, { multiplier: 3 }, /no usable notification structure/],
    ['notifications that are not aligned', 2, { offset: 1 }, /no usable notification structure/],
  ])('are refused: %s', (_, type, change, expected) => {
    expect(() => layout(modernCapabilities().map((c) => (c.type === type ? { ...c, ...change } : c)))).toThrow(
      expected,
    );
  });

  it('are looked for in any bytes: no endless loop, no crash, none that is unusable', () => {
    const sound = pciConfig(modernCapabilities());
    const mutation = fc.array(fc.tuple(fc.integer({ min: 0x34, max: 255 }), fc.integer({ min: 0, max: 255 })), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(mutation, (changes) => {
        const config = sound.slice();
        for (const [at, byte] of changes) config[at] = byte;
        const canMap = (bar: number, offset: number, length: number) => bar === 4 && offset + length <= 0x4000;
        try {
          const { common, notify, device } = virtioPciLayout(config, 'nic', canMap);
          for (const region of [common, notify, ...(device ? [device] : [])]) {
            expect(canMap(region.bar, region.offset, region.length)).toBe(true);
          }
        } catch (error) {
          expect((error as Error).message).toMatch(/^nic: /);
        }
      }),
    );
  });
});
