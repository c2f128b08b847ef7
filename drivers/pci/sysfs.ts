/** The PCI functions of this machine as sysfs describes them: identity, driver, IOMMU group, network interfaces. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pciAddress } from './address.js';

/** Base class 2 of the class code: network controllers. */
const CLASS_NETWORK = 0x02;
/** The kernel's name for the groups that vfio makes up when there is no IOMMU. */
const NOIOMMU_GROUP_NAME = 'vfio-noiommu';

export interface PciDevice {
  /** The address as sysfs writes it: `0000:00:04.0`. */
  readonly address: string;
  readonly vendor: number;
  readonly device: number;
  /** Base class, sub-class and programming interface, 24 bits. */
  readonly classCode: number;
  readonly isNetwork: boolean;
  /** Name of the driver that it is bound to, or null. */
  readonly driver: string | null;
  /** Number of its IOMMU group, or null when it has none. */
  readonly group: string | null;
  /** Whether the group is one of vfio's no-IOMMU mode, so that there is no IOMMU behind it. */
  readonly isNoIommu: boolean;
  /** The kernel's network interfaces on this function. */
  readonly interfaces: readonly string[];
}

export class PciSysfs {
  /** @param root where sysfs is mounted; tests use a folder of their own */
  constructor(readonly root = '/sys') {}

  /** Returns all functions, sorted by address. A function that disappears meanwhile is left out. */
  list(): PciDevice[] {
    const devices: PciDevice[] = [];
    for (const address of this.entries('bus/pci/devices').sort()) {
      const device = this.find(address);
      if (device !== null) devices.push(device);
    }
    return devices;
  }

  /** Returns the function at `address`, or null when there is none. */
  find(address: string): PciDevice | null {
    const path = join('bus/pci/devices', pciAddress(address));
    const vendor = this.number(join(path, 'vendor'));
    const device = this.number(join(path, 'device'));
    const classCode = this.number(join(path, 'class'));
    if (vendor === null || device === null || classCode === null) return null;
    const group = this.linkName(join(path, 'iommu_group'));
    return {
      address: basename(path),
      vendor,
      device,
      classCode,
      isNetwork: classCode >>> 16 === CLASS_NETWORK,
      driver: this.linkName(join(path, 'driver')),
      group,
      isNoIommu: group !== null && this.text(join('kernel/iommu_groups', group, 'name')) === NOIOMMU_GROUP_NAME,
      interfaces: this.interfaces(path),
    };
  }

  /** Returns the functions that share an IOMMU group. Members that are not PCI functions are left out. */
  groupMembers(group: string): PciDevice[] {
    const addresses = this.entries(join('kernel/iommu_groups', group, 'devices')).sort();
    return addresses.flatMap((address) => {
      try {
        return this.find(address) ?? [];
      } catch {
        return [];
      }
    });
  }

  /**
   * Speed in Mb/s and duplex of a network interface's link, as its driver says. Null when it does not know, as while the
   * interface is down.
   */
  linkOf(networkInterface: string): { readonly speed: number | null; readonly duplex: 'half' | 'full' | null } {
    const path = join('class/net', networkInterface);
    const speed = this.number(join(path, 'speed'));
    const duplex = this.text(join(path, 'duplex'));
    return {
      speed: speed !== null && speed >= 0 ? speed : null,
      duplex: duplex === 'half' || duplex === 'full' ? duplex : null,
    };
  }

  /** Interfaces belong to the function itself, or to the virtio device that the kernel's transport makes of it. */
  private interfaces(path: string): string[] {
    const own = this.entries(join(path, 'net'));
    const ofVirtio = this.entries(path).filter((name) => /^virtio\d+$/.test(name));
    return [...own, ...ofVirtio.flatMap((name) => this.entries(join(path, name, 'net')))];
  }

  private entries(path: string): string[] {
    const folder = join(this.root, path);
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  private text(path: string): string | null {
    try {
      return readFileSync(join(this.root, path), 'utf8').trim();
    } catch {
      return null;
    }
  }

  private number(path: string): number | null {
    const value = Number(this.text(path) ?? Number.NaN);
    return Number.isInteger(value) ? value : null;
  }

  private linkName(path: string): string | null {
    try {
      return basename(readlinkSync(join(this.root, path)));
    } catch {
      return null;
    }
  }
}
