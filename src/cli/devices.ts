/** `tspmd devices`: the NICs of this machine, who has them, and what to do next to drive one. */
import Table from 'cli-table3';
import { readHugepages } from '../../drivers/memory/index.js';
import { type PciDevice, PciSysfs } from '../../drivers/pci/sysfs.js';
import {
  describeBlockers,
  groupBlockers,
  howToBind,
  isVirtioNet,
  VFIO_PCI_DRIVER,
} from '../../drivers/vfio/binding.js';
import { say } from './output.js';

/** What can be said of one NIC. */
export interface DeviceRow {
  readonly address: string;
  /** What it is: `virtio-net`, or its PCI ids. */
  readonly name: string;
  readonly driver: string;
  readonly group: string;
  readonly next: string;
}

/** Describes the NICs of a machine, by address. */
export function describeDevices(sysfs: PciSysfs): DeviceRow[] {
  return sysfs
    .list()
    .filter(({ isNetwork }) => isNetwork)
    .map((device) => {
      const blockers = describeBlockers(groupBlockers(sysfs, device));
      return {
        address: device.address,
        name: nameOf(device),
        driver: device.driver ?? 'none',
        group: groupOf(device, blockers),
        next: nextStep(device, blockers),
      };
    });
}

function nameOf(device: PciDevice): string {
  const hex = (id: number): string => id.toString(16).padStart(4, '0');
  const kind = isVirtioNet(device) ? 'virtio-net' : `${hex(device.vendor)}:${hex(device.device)}`;
  return device.interfaces.length > 0 ? `${kind} (${device.interfaces.join(', ')})` : kind;
}

function groupOf(device: PciDevice, blockers: string): string {
  if (device.group === null) return 'none';
  if (device.isNoIommu) return `no-IOMMU ${device.group}`;
  return blockers === '' ? `${device.group}, viable` : `${device.group}, not viable`;
}

function nextStep(device: PciDevice, blockers: string): string {
  const { address, driver } = device;
  if (!isVirtioNet(device)) return 'nothing: only virtio network devices are driven';
  if (blockers !== '') return `free its IOMMU group: ${blockers}`;
  if (driver === VFIO_PCI_DRIVER) return `tspmd run --device ${address} --ip …`;
  return howToBind(device);
}

/** Prints the table. */
export function printDevices(sysfs = new PciSysfs()): void {
  const rows = describeDevices(sysfs);
  if (rows.length === 0) {
    say('no NICs on the PCI bus; an endpoint without one: --device vhost-user:PATH');
  } else {
    const table = new Table({
      head: ['address', 'name', 'driver', 'IOMMU group', 'next'],
      // Plain text: it is read by people and by grep.
      style: { head: [], border: [] },
    });
    for (const { address, name, driver, group, next } of rows) table.push([address, name, driver, group, next]);
    say(table.toString());
  }
  const { reserved, free } = readHugepages(sysfs.root);
  const advice = free > 0 ? '' : `; reserve some with 'sysctl vm.nr_hugepages=${reserved + 64}'`;
  say(`hugepages of 2 MiB: ${reserved} reserved, ${free} free${advice}`);
}
