/** What `tspmd devices` says about each NIC. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PciSysfs } from '../../../../drivers/pci/sysfs.js';
import { describeDevices, printDevices } from '../../../../src/cli/devices.js';
import { FakeSysfs } from '../../../support/pci/fake-sysfs.js';
import { temporaryDirectory } from '../../../support/resources.js';

let directory: ReturnType<typeof temporaryDirectory>;
let fake: FakeSysfs;

beforeEach(() => {
  directory = temporaryDirectory();
  fake = new FakeSysfs(directory.path);
});
afterEach(() => directory.remove());

function printed(): string {
  const lines: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  printDevices(new PciSysfs(directory.path));
  write.mockRestore();
  return lines.join('');
}

describe('tspmd devices', () => {
  it('says of each NIC which driver has it, and what to do next', () => {
    fake.add('0000:00:01.0', { classCode: 0x060100 });
    fake.add('0000:00:04.0', { driver: 'virtio-pci', group: '3', interfaces: ['eth0'] });
    fake.add('0000:00:05.0', { driver: 'vfio-pci', group: '4' });
    fake.add('0000:00:06.0', { driver: 'virtio-pci', interfaces: ['eth1'] });
    fake.add('0000:00:07.0', { driver: 'vfio-pci', group: '0' });
    fake.file('kernel/iommu_groups/0/name', 'vfio-noiommu');
    fake.add('0000:00:08.0', { driver: 'vfio-pci', group: '8' });
    fake.add('0000:00:08.1', { vendor: 0x8086, device: 0x10d3, driver: 'e1000e', group: '8' });
    const rows = describeDevices(new PciSysfs(directory.path)).map((row) => Object.values(row));
    expect(rows).toEqual([
      ['0000:00:04.0', 'virtio-net (eth0)', 'virtio-pci', '3, viable', "run 'tspmd bind 0000:00:04.0'"],
      ['0000:00:05.0', 'virtio-net', 'vfio-pci', '4, viable', 'tspmd run --device 0000:00:05.0 --ip …'],
      [
        '0000:00:06.0',
        'virtio-net (eth1)',
        'virtio-pci',
        'none',
        "switch the IOMMU on, or run 'tspmd bind 0000:00:06.0 --no-iommu'",
      ],
      ['0000:00:07.0', 'virtio-net', 'vfio-pci', 'no-IOMMU 0', 'tspmd run --device 0000:00:07.0 --ip …'],
      ['0000:00:08.0', 'virtio-net', 'vfio-pci', '8, not viable', 'free its IOMMU group: 0000:00:08.1 (e1000e)'],
      ['0000:00:08.1', '8086:10d3', 'e1000e', '8, viable', 'none: tspmd drives only virtio network devices'],
    ]);
  });

  it('tells speed and duplex of a link as far as the kernel knows them', () => {
    fake.add('0000:00:04.0', { driver: 'virtio-pci', group: '3', interfaces: ['eth0', 'eth1'] });
    fake.file('class/net/eth0/speed', '10000\n');
    fake.file('class/net/eth0/duplex', 'full\n');
    fake.file('class/net/eth1/speed', '-1\n');
    fake.file('class/net/eth1/duplex', 'unknown\n');
    expect(describeDevices(new PciSysfs(directory.path))[0]?.name).toBe(
      'virtio-net (eth0: 10000 Mb/s, full duplex; eth1)',
    );
  });

  it('prints a table, and the hugepages', () => {
    fake.add('0000:00:04.0', { driver: 'virtio-pci', group: '3', interfaces: ['eth0'] });
    fake.hugepages(64, 12);
    expect(printed()).toMatch(
      /│ 0000:00:04\.0 +│ virtio-net \(eth0\) +│ virtio-pci +│ 3, viable +│ run 'tspmd bind 0000:00:04\.0'/,
    );
    expect(printed()).toMatch(/^hugepages of 2 MiB: 64 reserved, 12 free$/m);
  });

  it('says what to do on a machine without NICs or hugepages', () => {
    expect(printed()).toMatch(/^no NICs on the PCI bus; .*vhost-user:PATH$/m);
    expect(printed()).toMatch(/0 reserved, 0 free; reserve some with 'sysctl vm.nr_hugepages=64'$/m);
  });
});
