/**
 * Whether a function can be driven through VFIO at present: found out in sysfs, before anything is opened. The answer
 * is the first error of the driver, and the advice of `tspmd devices`.
 */
import type { PciDevice, PciSysfs } from '../pci/sysfs.js';

export const VFIO_PCI_DRIVER = 'vfio-pci';

const VIRTIO_VENDOR = 0x1af4;
const VIRTIO_NET_TRANSITIONAL = 0x1000;
/** 0x1040 plus the device type (virtio 1.2, 4.1.2); type 1 is network. */
const VIRTIO_NET_MODERN = 0x1041;

/** Kernel drivers that do not use a function of their group, so that the group stays viable (as in vfio's own list). */
const HARMLESS_DRIVERS = new Set([VFIO_PCI_DRIVER, 'pci-stub', 'pcieport']);

/**
 * Whether the function is a virtio network device. Whether it has a modern interface is only seen when it is opened.
 */
export function isVirtioNet(device: PciDevice): boolean {
  const { vendor } = device;
  return vendor === VIRTIO_VENDOR && (device.device === VIRTIO_NET_MODERN || device.device === VIRTIO_NET_TRANSITIONAL);
}

/**
 * The members of the function's IOMMU group that a kernel driver holds, so that no member of the group can be driven.
 */
export function groupBlockers(sysfs: PciSysfs, device: PciDevice): PciDevice[] {
  if (device.group === null) return [];
  return sysfs
    .groupMembers(device.group)
    .filter(({ address, driver }) => address !== device.address && driver !== null && !HARMLESS_DRIVERS.has(driver));
}

/** Lists the blockers: `0000:00:05.0 (virtio-pci), …`. */
export function describeBlockers(blockers: readonly PciDevice[]): string {
  return blockers.map(({ address, driver }) => `${address} (${driver})`).join(', ');
}

/** The command that binds a NIC to vfio-pci, as advice. */
export function howToBind({ address, group }: PciDevice): string {
  const command = `tspmd bind ${address}`;
  return group === null ? `switch the IOMMU on, or run '${command} --no-iommu'` : `run '${command}'`;
}

/**
 * Returns the function at `address` if it can be driven.
 * @throws Error with one line that says what prevents it and what to do
 */
export function requireBound(sysfs: PciSysfs, address: string): PciDevice & { readonly group: string } {
  const device = sysfs.find(address);
  if (device === null) {
    throw new Error(`${address}: there is no such PCI device; 'tspmd devices' lists the NICs of this machine`);
  }
  const id = `${device.vendor.toString(16).padStart(4, '0')}:${device.device.toString(16).padStart(4, '0')}`;
  if (!device.isNetwork) throw new Error(`${address}: this is not a NIC (device ${id}); see 'tspmd devices'`);
  if (!isVirtioNet(device)) {
    throw new Error(
      `${address}: this NIC (device ${id}) is not a virtio network device, the only kind that tspmd drives`,
    );
  }
  const { driver, group } = device;
  if (driver !== VFIO_PCI_DRIVER || group === null) {
    const found = driver === null ? 'it is bound to no driver' : `it is bound to the driver ${driver}`;
    throw new Error(`${address}: ${found}, not to vfio-pci; ${howToBind(device)}`);
  }
  const blockers = groupBlockers(sysfs, device);
  if (blockers.length > 0) {
    throw new Error(
      `${address}: IOMMU group ${group} is not viable: ${describeBlockers(blockers)} must leave its driver as well; ` +
        `run 'tspmd bind' for each, or move the device to a group of its own`,
    );
  }
  return { ...device, group };
}
