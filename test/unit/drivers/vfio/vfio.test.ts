/** VFIO without a device: its structures, where memory goes, and what keeps a function from being opened. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  contiguousIova,
  HUGEPAGE_BYTES,
  PacketMemory,
  PagedAddressSpace,
  physicalPages,
} from '../../../../drivers/memory/index.js';
import { PciSysfs } from '../../../../drivers/pci/sysfs.js';
import { chooseIova, iovaRanges } from '../../../../drivers/vfio/iova-ranges.js';
import { findCapability, readRanges } from '../../../../drivers/vfio/structs.js';
import { VfioFunction } from '../../../../drivers/vfio/vfio-function.js';
import { FakeSysfs } from '../../../support/pci/fake-sysfs.js';
import { openFds, temporaryDirectory } from '../../../support/resources.js';

const MIB = 2 ** 20;

/** The answer to VFIO_IOMMU_GET_INFO of a kernel whose chain has another capability before the ranges. */
function iommuInfo(ranges: readonly [bigint, bigint][], count = ranges.length): Buffer {
  const info = Buffer.alloc(24 + 16 + 16 + 16 * ranges.length);
  info.writeUInt32LE(info.length, 0);
  info.writeUInt32LE(3, 4);
  info.writeUInt32LE(24, 16);
  info.writeUInt16LE(3, 24);
  info.writeUInt32LE(40, 28);
  info.writeUInt16LE(1, 40);
  info.writeUInt32LE(count, 48);
  for (const [i, [first, last]] of ranges.entries()) {
    info.writeBigUInt64LE(first, 56 + 16 * i);
    info.writeBigUInt64LE(last, 64 + 16 * i);
  }
  return info;
}

describe('I/O virtual addresses', () => {
  const ranges = iovaRanges(
    iommuInfo([
      [0n, 0xfedf_ffffn],
      [0xfef0_0000n, 0x7f_ffff_ffffn],
    ]),
  );

  it('come from the ranges that the IOMMU names', () => {
    expect(ranges).toEqual([
      [0, 0xfedf_ffff],
      [0xfef0_0000, 2 ** 39 - 1],
    ]);
  });

  it('are low, aligned, not 0, and in one range', () => {
    expect(chooseIova(ranges, 8 * MIB, HUGEPAGE_BYTES)).toBe(HUGEPAGE_BYTES);
    // The first range ends at fee00000: what does not fit goes behind the window of interrupts.
    expect(chooseIova(ranges, 0xfee0_0000, HUGEPAGE_BYTES)).toBe(0xff00_0000);
    expect(chooseIova([[5, 4 * MIB - 1]], 2 * MIB, HUGEPAGE_BYTES)).toBe(2 * MIB);
    expect(() => chooseIova([[0, 4 * MIB - 2]], 2 * MIB, HUGEPAGE_BYTES)).toThrow(/fit none of .* \(0x0-0x3ffffe\)/);
    expect(() => chooseIova([], 1, HUGEPAGE_BYTES)).toThrow('it has none');
  });

  it('are the usual ones where the kernel names none', () => {
    const old = Buffer.alloc(16);
    expect(chooseIova(iovaRanges(old), 8 * MIB, HUGEPAGE_BYTES)).toBe(HUGEPAGE_BYTES);
    const other = iommuInfo([]);
    other.writeUInt16LE(7, 40);
    expect(iovaRanges(other)).toEqual(iovaRanges(old));
  });

  it('are read only within what the kernel wrote', () => {
    expect(readRanges(iommuInfo([[0n, 1n]], 1000), 40)).toEqual([[0, 1]]);
    const loop = iommuInfo([]);
    loop.writeUInt32LE(24, 28);
    expect(findCapability(loop, 24, 1)).toBe(-1);
    expect(findCapability(loop, 1000, 1)).toBe(-1);
  });
});

describe('guest-physical addresses', () => {
  const memory = { address: 64 * HUGEPAGE_BYTES, size: 2 * HUGEPAGE_BYTES };
  const places = [7 * HUGEPAGE_BYTES, 3 * HUGEPAGE_BYTES];
  const lookUp = (address: number): number => {
    const offset = address - memory.address;
    return places[Math.floor(offset / HUGEPAGE_BYTES)]! + (offset % HUGEPAGE_BYTES);
  };

  it('are contiguous inside a hugepage and jump between two', () => {
    const space = new PagedAddressSpace(physicalPages(memory, 'nic', lookUp));
    expect(space.iova(5)).toBe(7 * HUGEPAGE_BYTES + 5);
    expect(space.iova(HUGEPAGE_BYTES - 1)).toBe(8 * HUGEPAGE_BYTES - 1);
    expect(space.iova(HUGEPAGE_BYTES)).toBe(3 * HUGEPAGE_BYTES);
    expect(contiguousIova(space, HUGEPAGE_BYTES - 64, 64)).toBe(8 * HUGEPAGE_BYTES - 64);
    expect(() => contiguousIova(space, HUGEPAGE_BYTES - 64, 65)).toThrow('65 bytes at 2097088 cross a page');
  });

  it('are not used if hidden or in pieces: the device would write over other memory', () => {
    expect(() => physicalPages(memory, 'nic', () => 0)).toThrow('nic: physical addresses are hidden from this process');
    const torn = (address: number) => lookUp(address) + (address % HUGEPAGE_BYTES === 0 ? 0 : 4096);
    expect(() => physicalPages(memory, 'nic', torn)).toThrow('nic: hugepage 0 of the packet memory is not one piece');
    expect(() => physicalPages(memory, 'nic', (a) => lookUp(a) + 4096)).toThrow('is not one piece');
  });

  it('need hugepages', () => {
    const normal = PacketMemory.create(1, 'never');
    expect(() => PagedAddressSpace.of(normal, 'nic')).toThrow(/nic: no IOMMU .* 'sysctl vm.nr_hugepages=1'/);
    normal.dispose();
  });
});

describe('opening a function', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let fake: FakeSysfs;
  let before: number;
  beforeEach(() => {
    directory = temporaryDirectory();
    fake = new FakeSysfs(join(directory.path, 'sys'));
    before = openFds();
  });
  afterEach(() => {
    directory.remove();
    expect(openFds()).toBe(before);
  });

  const open = (devFolder = join(directory.path, 'vfio')) =>
    VfioFunction.open('0000:00:04.0', { sysfs: new PciSysfs(fake.root), devFolder });

  // Clauses: 4.1.2.2a
  it('says that there is no function, no NIC, or no virtio NIC', () => {
    expect(() => open()).toThrow("0000:00:04.0: there is no such PCI device; 'tspmd devices' lists the NICs");
    fake.add('0000:00:04.0', { classCode: 0x010000 });
    expect(() => open()).toThrow('0000:00:04.0: this is not a NIC (device 1af4:1041)');
  });

  it('says that a NIC is of another kind', () => {
    fake.add('0000:00:04.0', { vendor: 0x8086, device: 0x10d3 });
    expect(() => open()).toThrow('this NIC (device 8086:10d3) is not a virtio network device');
  });

  it.each([
    [undefined, 'it is bound to no driver'],
    ['virtio-pci', 'it is bound to the driver virtio-pci'],
  ])('says to which driver the NIC is bound: %s', (driver, expected) => {
    fake.add('0000:00:04.0', { group: '3', ...(driver === undefined ? {} : { driver }) });
    expect(() => open()).toThrow(`${expected}, not to vfio-pci; run 'tspmd bind 0000:00:04.0'`);
  });

  it('says that a NIC without an IOMMU group needs an IOMMU or no-IOMMU mode', () => {
    fake.add('0000:00:04.0', { driver: 'virtio-pci' });
    expect(() => open()).toThrow("switch the IOMMU on, or run 'tspmd bind 0000:00:04.0 --no-iommu'");
  });

  it('names the devices that keep its group from being viable', () => {
    fake.add('0000:00:04.0', { driver: 'vfio-pci', group: '3' });
    fake.add('0000:00:04.1', { driver: 'e1000e', group: '3' });
    fake.add('0000:00:04.2', { group: '3' });
    fake.add('0000:00:1c.0', { driver: 'pcieport', group: '3' });
    expect(() => open()).toThrow('IOMMU group 3 is not viable: 0000:00:04.1 (e1000e) must leave its driver as well');
  });

  it('says that VFIO is not there, or is something else', () => {
    fake.add('0000:00:04.0', { driver: 'vfio-pci', group: '3' });
    expect(() => open()).toThrow(/there is no .*vfio\/vfio: load VFIO with 'modprobe vfio-pci' \(ENOENT\)/);
    fake.folder('../plain');
    writeFileSync(join(directory.path, 'plain', 'vfio'), '');
    expect(() => open(join(directory.path, 'plain'))).toThrow("is not VFIO's device (ENOTTY)");
  });
});
