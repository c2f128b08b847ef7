/**
 * A PCI function driven through VFIO: configuration space, BARs, interrupts and DMA of one device file descriptor.
 *
 * Region i begins at byte i * 2^40 of that file descriptor. Numbers of that size are exact in a double.
 */
import { readSync, writeSync } from 'node:fs';
import { closeFile, ioctl } from '../libc/index.js';
import { type MemoryViews, MemoryWindow, type PacketMemory } from '../memory/index.js';
import { CONFIG_SPACE_BYTES, type ConfigSpace } from '../pci/config-space.js';
import type { PciFunction } from '../pci/pci-function.js';
import { PciSysfs } from '../pci/sysfs.js';
import { requireBound } from './binding.js';
import * as v from './constants.js';
import { VfioContainer } from './container.js';
import { explained } from './explained-errors.js';
import { askWithCapabilities, findCapability, type Range, readNumber, readRanges, structure } from './structs.js';

const BARS = 6;

/** Where VFIO's device files and sysfs are; tests use folders of their own. */
interface VfioPaths {
  readonly sysfs?: PciSysfs;
  readonly devFolder?: string;
}

interface Region {
  readonly size: number;
  readonly offset: number;
  /** The ranges that mmap(2) accepts: offset and size of each. */
  readonly mappable: readonly Range[];
}

class VfioConfigSpace implements ConfigSpace {
  constructor(
    private readonly name: string,
    private readonly fd: number,
    private readonly offset: number,
  ) {}

  read(): Uint8Array {
    const bytes = new Uint8Array(CONFIG_SPACE_BYTES);
    const count = readSync(this.fd, bytes, 0, bytes.length, this.offset);
    if (count !== bytes.length) throw new Error(`${this.name}: its configuration space ends after ${count} bytes`);
    return bytes;
  }

  write16(offset: number, value: number): void {
    writeSync(this.fd, Uint8Array.of(value & 0xff, value >> 8), 0, 2, this.offset + offset);
  }
}

export class VfioFunction implements PciFunction {
  readonly config: ConfigSpace;
  readonly canReset: boolean;
  readonly interruptVectors: number;
  private readonly bars = new Map<number, Region>();
  private readonly windows = new Map<number, { window: MemoryWindow; mapped: readonly Range[] }>();
  private interruptsOn = false;
  private closed = false;

  private constructor(
    readonly name: string,
    private readonly container: VfioContainer,
    private readonly fd: number,
  ) {
    const info = structure(v.DEVICE_INFO_BYTES);
    ioctl(fd, v.VFIO_DEVICE_GET_INFO, info, 'VFIO_DEVICE_GET_INFO', name);
    const flags = info.readUInt32LE(4);
    if ((flags & v.DEVICE_FLAGS_PCI) === 0) throw new Error(`${name}: VFIO does not know it as a PCI device`);
    this.canReset = (flags & v.DEVICE_FLAGS_RESET) !== 0;
    this.config = new VfioConfigSpace(name, fd, this.region(v.PCI_CONFIG_REGION_INDEX).offset);
    const irq = structure(v.IRQ_INFO_BYTES);
    irq.writeUInt32LE(v.PCI_MSIX_IRQ_INDEX, 8);
    ioctl(fd, v.VFIO_DEVICE_GET_IRQ_INFO, irq, 'VFIO_DEVICE_GET_IRQ_INFO', name);
    this.interruptVectors = irq.readUInt32LE(v.IRQ_INFO_COUNT);
  }

  /**
   * Opens the function at `address` (with its domain), which must be bound to vfio-pci.
   * @throws Error with one line that says what prevents it; then nothing is left open
   */
  static open(address: string, paths: VfioPaths = {}): VfioFunction {
    const device = requireBound(paths.sysfs ?? new PciSysfs(), address);
    const { group, isNoIommu } = device;
    const container = VfioContainer.open(address, { group, isNoIommu, devFolder: paths.devFolder ?? '/dev/vfio' });
    let fd = -1;
    try {
      fd = container.openDevice(address);
      const opened = fd;
      return explained(address, {}, () => new VfioFunction(address, container, opened));
    } catch (error) {
      if (fd >= 0) closeFile(fd);
      container.close();
      throw error;
    }
  }

  private region(index: number): Region {
    const name = 'VFIO_DEVICE_GET_REGION_INFO';
    const info = askWithCapabilities(
      this.fd,
      v.VFIO_DEVICE_GET_REGION_INFO,
      v.REGION_INFO_BYTES,
      name,
      `${this.name} region ${index}`,
      (buffer) => buffer.writeUInt32LE(index, 8),
    );
    const flags = info.readUInt32LE(4);
    const size = readNumber(info, v.REGION_SIZE);
    let mappable: readonly Range[] = (flags & v.REGION_FLAG_MMAP) !== 0 && size > 0 ? [[0, size]] : [];
    if (mappable.length > 0 && (flags & v.REGION_FLAG_CAPS) !== 0) {
      // On kernels before 4.16, a BAR that contains the MSI-X table can be mapped only around the table.
      const sparse = findCapability(info, info.readUInt32LE(v.REGION_CAP_OFFSET), v.REGION_CAP_SPARSE_MMAP);
      if (sparse >= 0) mappable = readRanges(info, sparse);
    }
    return { size, offset: readNumber(info, v.REGION_OFFSET), mappable };
  }

  private bar(bar: number): Region {
    let region = this.bars.get(bar);
    if (region === undefined) {
      region = explained(this.name, {}, () => this.region(bar));
      this.bars.set(bar, region);
    }
    return region;
  }

  canMap(bar: number, offset: number, length: number): boolean {
    if (!(bar >= 0 && bar < BARS)) return false;
    return this.bar(bar).mappable.some(([start, size]) => offset >= start && offset + length <= start + size);
  }

  mapBar(bar: number): MemoryViews {
    const known = this.windows.get(bar);
    if (known !== undefined) return known.window;
    const region = this.bar(bar);
    const target = `BAR ${bar} of ${this.name}`;
    if (region.mappable.length === 0) throw new Error(`${this.name}: BAR ${bar} cannot be mapped`);
    const window = MemoryWindow.reserve(region.size);
    // Stored before it is complete, so that close() undoes what was done.
    this.windows.set(bar, { window, mapped: region.mappable });
    for (const [start, size] of region.mappable) {
      explained(this.name, {}, () => window.mapFile(start, size, this.fd, region.offset + start, target));
    }
    return window;
  }

  setInterrupts(eventfds: readonly number[]): void {
    if (eventfds.length === 0 && !this.interruptsOn) return;
    const set = structure(v.IRQ_SET_BYTES + 4 * eventfds.length);
    // No data and a count of 0 turns the whole index off.
    const data = eventfds.length === 0 ? v.IRQ_SET_DATA_NONE : v.IRQ_SET_DATA_EVENTFD;
    set.writeUInt32LE(data | v.IRQ_SET_ACTION_TRIGGER, 4);
    set.writeUInt32LE(v.PCI_MSIX_IRQ_INDEX, 8);
    set.writeUInt32LE(0, 12);
    set.writeUInt32LE(eventfds.length, 16);
    for (const [i, fd] of eventfds.entries()) set.writeInt32LE(fd, v.IRQ_SET_BYTES + 4 * i);
    explained(this.name, {}, () => ioctl(this.fd, v.VFIO_DEVICE_SET_IRQS, set, 'VFIO_DEVICE_SET_IRQS', this.name));
    this.interruptsOn = eventfds.length > 0;
  }

  mapMemory(memory: PacketMemory): number | null {
    return this.container.mapMemory(memory);
  }

  reset(): void {
    explained(this.name, {}, () => ioctl(this.fd, v.VFIO_DEVICE_RESET, 0, 'VFIO_DEVICE_RESET', this.name));
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    try {
      this.setInterrupts([]);
    } catch {
      // Closing the file descriptor turns interrupts off as well.
    }
    // A mapping that stays would keep the device open, and its group in use.
    for (const { window, mapped } of this.windows.values()) {
      for (const [start, size] of mapped) window.unmap(start, size);
    }
    closeFile(this.fd);
    this.container.close();
  }
}
