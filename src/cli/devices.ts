/** `tspmd devices`: lists the NICs of this machine, their drivers, and the next step to use each with tspmd. */
import Table from 'cli-table3';
import { readHugepages } from '../../drivers/memory/index.js';
import { linkText } from '../../drivers/net-device.js';
import { type PciDevice, PciSysfs } from '../../drivers/pci/sysfs.js';
import {
  describeBlockers,
  groupBlockers,
  howToBind,
  isVirtioNet,
  VFIO_PCI_DRIVER,
} from '../../drivers/vfio/binding.js';
import { print } from './output/lines.js';

/** A row of the table: one NIC. */
export interface DeviceRow {
  /** PCI address. */
  readonly address: string;
  /** `virtio-net` or the PCI ids, with the network interfaces and the speed of their links. */
  readonly name: string;
  readonly driver: string;
  /** IOMMU group, and whether it is viable. */
  readonly group: string;
  /** The next step for the user. */
  readonly next: string;
}

/** Describes the NICs of a machine, in the order of their addresses. */
export function describeDevices(sysfs: PciSysfs): DeviceRow[] {
  return sysfs
    .list()
    .filter(({ isNetwork }) => isNetwork)
    .map((device) => {
      const blockers = describeBlockers(groupBlockers(sysfs, device));
      return {
        address: device.address,
        name: nameOf(sysfs, device),
        driver: device.driver ?? 'none',
        group: groupOf(device, blockers),
        next: nextStep(device, blockers),
      };
    });
}

function nameOf(sysfs: PciSysfs, device: PciDevice): string {
  const hex = (id: number): string => id.toString(16).padStart(4, '0');
  const kind = isVirtioNet(device) ? 'virtio-net' : `${hex(device.vendor)}:${hex(device.device)}`;
  const interfaces = device.interfaces.map((name) => {
    const { speed, duplex } = sysfs.linkOf(name);
    const link = linkText(speed, duplex);
    return link === '' ? name : `${name}: ${link}`;
  });
  return interfaces.length > 0 ? `${kind} (${interfaces.join('; ')})` : kind;
}

function groupOf(device: PciDevice, blockers: string): string {
  if (device.group === null) return 'none';
  if (device.isNoIommu) return `no-IOMMU ${device.group}`;
  return blockers === '' ? `${device.group}, viable` : `${device.group}, not viable`;
}

function nextStep(device: PciDevice, blockers: string): string {
  const { address, driver } = device;
  if (!isVirtioNet(device)) return 'none: tspmd drives only virtio network devices';
  if (blockers !== '') return `free its IOMMU group: ${blockers}`;
  if (driver === VFIO_PCI_DRIVER) return `tspmd run --device ${address} --ip …`;
  return howToBind(device);
}

/** Prints the table. */
export function printDevices(sysfs = new PciSysfs()): void {
  const rows = describeDevices(sysfs);
  if (rows.length === 0) {
    print('no NICs on the PCI bus; without one, use --device vhost-user:PATH');
  } else {
    const table = new Table({
      head: ['address', 'name', 'driver', 'IOMMU group', 'next'],
      // No colours, for grep.
      style: { head: [], border: [] },
    });
    for (const { address, name, driver, group, next } of rows) table.push([address, name, driver, group, next]);
    print(table.toString());
  }
  const { reserved, free } = readHugepages(sysfs.root);
  const advice = free > 0 ? '' : `; reserve some with 'sysctl vm.nr_hugepages=${reserved + 64}'`;
  print(`hugepages of 2 MiB: ${reserved} reserved, ${free} free${advice}`);
}
