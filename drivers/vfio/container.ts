/**
 * A VFIO container with one group in it: the right to use a function, and the IOMMU's page table for its DMA
 * (Documentation/driver-api/vfio.rst). Without an IOMMU (VFIO's no-IOMMU mode) there is no page table to fill.
 */
import { join } from 'node:path';
import { abi, closeFile, ioctl, openFile } from '../libc/index.js';
import { HUGEPAGE_BYTES, type PacketMemory } from '../memory/index.js';
import * as v from './constants.js';
import { explained } from './explained-errors.js';
import { chooseIova, iovaRanges } from './iova-ranges.js';
import { askWithCapabilities, structure, writeNumber } from './structs.js';

const NO_RIGHT = 'run as root, or give your user that file (chown)';

/** Identifies a group: its number, whether it is without IOMMU, and the folder of VFIO's device files. */
interface GroupName {
  readonly group: string;
  readonly isNoIommu: boolean;
  readonly devFolder: string;
}

export class VfioContainer {
  private mapped: { iova: number; size: number } | null = null;

  private constructor(
    /** Address of the function that the container was opened for. Every error begins with it. */
    private readonly name: string,
    private readonly fd: number,
    private readonly groupFd: number,
    private readonly isNoIommu: boolean,
  ) {}

  static open(name: string, of: GroupName): VfioContainer {
    const path = join(of.devFolder, 'vfio');
    const fd = explained(
      name,
      {
        ENOENT: `there is no ${path}: load VFIO with 'modprobe vfio-pci'`,
        ENODEV: `there is no VFIO in this kernel: load it with 'modprobe vfio-pci'`,
        EACCES: `no right to open ${path}: ${NO_RIGHT}`,
        EPERM: `no right to open ${path}: ${NO_RIGHT}`,
      },
      () => openFile(path, abi.O_RDWR),
    );
    let groupFd = -1;
    try {
      const version = explained(name, { ENOTTY: `${path} is not VFIO's device` }, () =>
        ioctl(fd, v.VFIO_GET_API_VERSION, 0, 'VFIO_GET_API_VERSION', path),
      );
      if (version !== v.VFIO_API_VERSION) throw new Error(`${name}: VFIO has API version ${version}, not 0`);
      groupFd = openGroup(name, of);
      const container = new VfioContainer(name, fd, groupFd, of.isNoIommu);
      container.attach(of.group);
      return container;
    } catch (error) {
      if (groupFd >= 0) closeFile(groupFd);
      closeFile(fd);
      throw error;
    }
  }

  /** Puts the group into the container, and sets the kind of IOMMU. */
  private attach(group: string): void {
    const { name, fd, groupFd } = this;
    const status = structure(v.GROUP_STATUS_BYTES);
    explained(name, {}, () => ioctl(groupFd, v.VFIO_GROUP_GET_STATUS, status, 'VFIO_GROUP_GET_STATUS', group));
    if ((status.readUInt32LE(4) & v.GROUP_FLAGS_VIABLE) === 0) {
      throw new Error(`${name}: IOMMU group ${group} is not viable: all of its devices must be bound to vfio-pci`);
    }
    const container = Buffer.from(new ArrayBuffer(4));
    container.writeInt32LE(fd, 0);
    explained(name, {}, () =>
      ioctl(groupFd, v.VFIO_GROUP_SET_CONTAINER, container, 'VFIO_GROUP_SET_CONTAINER', `group ${group}`),
    );
    const kind = this.isNoIommu ? v.VFIO_NOIOMMU_IOMMU : v.VFIO_TYPE1V2_IOMMU;
    explained(
      name,
      {
        ENODEV: `VFIO has no driver for this kind of IOMMU: 'modprobe vfio_iommu_type1'`,
        EPERM: 'this platform has no interrupt remapping, and VFIO refuses to go without (allow_unsafe_interrupts)',
      },
      () => ioctl(fd, v.VFIO_SET_IOMMU, kind, `VFIO_SET_IOMMU ${kind}`, `group ${group}`),
    );
  }

  /** Opens a file descriptor of the function at `address`, a member of the group. */
  openDevice(address: string): number {
    return explained(this.name, { ENODEV: 'it is not in its IOMMU group any more: was it bound elsewhere?' }, () =>
      ioctl(this.groupFd, v.VFIO_GROUP_GET_DEVICE_FD, Buffer.from(`${address}\0`), 'VFIO_GROUP_GET_DEVICE_FD', address),
    );
  }

  /**
   * Lets the function reach a memory, and locks the memory. Returns its address for the function, or null without
   * IOMMU.
   */
  mapMemory(memory: PacketMemory): number | null {
    if (this.isNoIommu) return null;
    const target = `of ${memory.size} bytes`;
    const info = askWithCapabilities(this.fd, v.VFIO_IOMMU_GET_INFO, v.IOMMU_INFO_BYTES, 'VFIO_IOMMU_GET_INFO', target);
    const iova = chooseIova(iovaRanges(info), memory.size, HUGEPAGE_BYTES);
    const map = structure(v.DMA_MAP_BYTES);
    map.writeUInt32LE(v.DMA_MAP_FLAG_READ | v.DMA_MAP_FLAG_WRITE, 4);
    writeNumber(map, 8, memory.address);
    writeNumber(map, 16, iova);
    writeNumber(map, 24, memory.size);
    const locked = `locking ${memory.size} bytes of packet memory`;
    explained(
      this.name,
      {
        ENOMEM: `${locked} is over the limit: raise it ('ulimit -l ${Math.ceil(memory.size / 1024)}') or run as root`,
        ENOSPC: 'VFIO takes no further mapping (module parameter dma_entry_limit)',
      },
      () => ioctl(this.fd, v.VFIO_IOMMU_MAP_DMA, map, 'VFIO_IOMMU_MAP_DMA', target),
    );
    this.mapped = { iova, size: memory.size };
    return iova;
  }

  private unmapMemory(): void {
    if (this.mapped === null) return;
    const unmap = structure(v.DMA_UNMAP_BYTES);
    writeNumber(unmap, 8, this.mapped.iova);
    writeNumber(unmap, 16, this.mapped.size);
    this.mapped = null;
    ioctl(this.fd, v.VFIO_IOMMU_UNMAP_DMA, unmap, 'VFIO_IOMMU_UNMAP_DMA', this.name);
  }

  /** Ends all mappings and gives the group back. The function's own file descriptor must be closed already. */
  close(): void {
    try {
      this.unmapMemory();
    } catch {
      // Closing the container unmaps what is left.
    }
    closeFile(this.groupFd);
    closeFile(this.fd);
  }
}

function openGroup(name: string, { group, isNoIommu, devFolder }: GroupName): number {
  const path = join(devFolder, isNoIommu ? `noiommu-${group}` : group);
  return explained(
    name,
    {
      ENOENT: `there is no ${path}: run 'tspmd bind ${name}'`,
      EACCES: `no right to open ${path}: ${NO_RIGHT}`,
      EPERM: isNoIommu
        ? `no right to open ${path}: VFIO without an IOMMU needs root (CAP_SYS_RAWIO)`
        : `no right to open ${path}: ${NO_RIGHT}`,
      EBUSY: `another process drives it (${path} is in use): stop that one first`,
    },
    () => openFile(path, abi.O_RDWR),
  );
}
