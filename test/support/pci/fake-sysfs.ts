/**
 * A folder that looks like sysfs, as far as PCI, IOMMU groups and hugepages go: devices, drivers and groups as links.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export interface FakeDevice {
  vendor?: number;
  device?: number;
  classCode?: number;
  driver?: string;
  group?: string;
  /** Interfaces under a virtio device, as the kernel's virtio-net has them. */
  interfaces?: readonly string[];
}

export class FakeSysfs {
  constructor(readonly root: string) {
    for (const folder of ['bus/pci/devices', 'bus/pci/drivers', 'class/net', 'module']) this.folder(folder);
    this.file('bus/pci/drivers_probe', '');
  }

  folder(path: string): void {
    mkdirSync(join(this.root, path), { recursive: true });
  }

  file(path: string, content: string): void {
    this.folder(dirname(path));
    writeFileSync(join(this.root, path), `${content}\n`);
  }

  link(path: string, target: string): void {
    this.folder(dirname(path));
    this.folder(target);
    symlinkSync(relative(dirname(join(this.root, path)), join(this.root, target)), join(this.root, path));
  }

  /** A virtio-net device, unless the options name another kind. */
  add(address: string, options: FakeDevice = {}): void {
    const { vendor = 0x1af4, device = 0x1041, classCode = 0x020000, driver, group, interfaces = [] } = options;
    const path = `bus/pci/devices/${address}`;
    const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;
    this.file(`${path}/vendor`, hex(vendor, 4));
    this.file(`${path}/device`, hex(device, 4));
    this.file(`${path}/class`, hex(classCode, 6));
    this.file(`${path}/driver_override`, '(null)');
    if (driver !== undefined) {
      this.link(`${path}/driver`, `bus/pci/drivers/${driver}`);
      this.file(`bus/pci/drivers/${driver}/unbind`, '');
    }
    if (group !== undefined) {
      this.link(`${path}/iommu_group`, `kernel/iommu_groups/${group}`);
      this.link(`kernel/iommu_groups/${group}/devices/${address}`, path);
    }
    for (const name of interfaces) {
      this.folder(`${path}/virtio0/net/${name}`);
      this.file(`class/net/${name}/flags`, '0x1002');
    }
  }

  hugepages(reserved: number, free = reserved): void {
    const folder = 'kernel/mm/hugepages/hugepages-2048kB';
    this.file(`${folder}/nr_hugepages`, String(reserved));
    this.file(`${folder}/free_hugepages`, String(free));
  }
}
