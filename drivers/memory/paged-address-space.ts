/**
 * Guest-physical addresses of the packet memory, one per hugepage, from /proc/self/pagemap: for a device without an
 * IOMMU.
 *
 * Only hugepages will do. The kernel moves and swaps normal pages at any time, and a ring would not fit into one.
 * Hugepages are not swapped, and are moved only when memory is taken offline.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { AddressSpace } from './address-space.js';
import type { PacketMemory } from './packet-memory.js';
import { HUGEPAGE_BYTES } from './window.js';

const PAGE = 4096;
/** Documentation/admin-guide/mm/pagemap.rst: 8 bytes per page; bit 63: present; bits 0-54: the page's number. */
const ENTRY_BYTES = 8;
const PRESENT = 1n << 63n;
const FRAME_NUMBER = (1n << 55n) - 1n;

/** Returns the physical address of the page at a virtual address; 0 when the kernel does not tell. */
export type PhysicalAddressOf = (address: number) => number;

export class PagedAddressSpace implements AddressSpace {
  readonly contiguousBytes = HUGEPAGE_BYTES;

  /** @param pages physical address of each hugepage of the memory */
  constructor(private readonly pages: Float64Array) {}

  /**
   * Looks up where the pages of the memory are now.
   * @throws Error when the memory has no hugepages, or when this process may not know where they are
   */
  static of(memory: PacketMemory, name: string): PagedAddressSpace {
    if (!memory.hugepages) {
      throw new Error(
        `${name}: no IOMMU translates for this device, so its memory must be hugepages; reserve them with ` +
          `'sysctl vm.nr_hugepages=${memory.size / HUGEPAGE_BYTES}'`,
      );
    }
    const pagemap = openSync('/proc/self/pagemap', 'r');
    try {
      return new PagedAddressSpace(physicalPages(memory, name, (address) => lookUp(pagemap, address)));
    } finally {
      closeSync(pagemap);
    }
  }

  iova(offset: number): number {
    const page = Math.floor(offset / HUGEPAGE_BYTES);
    return this.pages[page] + (offset - page * HUGEPAGE_BYTES);
  }
}

/**
 * Physical address of each hugepage. It is checked, because with a wrong one the device would overwrite other memory.
 */
export function physicalPages(
  memory: Pick<PacketMemory, 'address' | 'size'>,
  name: string,
  physicalAddressOf: PhysicalAddressOf,
): Float64Array {
  const pages = new Float64Array(memory.size / HUGEPAGE_BYTES);
  for (let page = 0; page < pages.length; page++) {
    const address = memory.address + page * HUGEPAGE_BYTES;
    const physical = physicalAddressOf(address);
    if (physical === 0) {
      throw new Error(`${name}: physical addresses are hidden from this process: run as root (CAP_SYS_ADMIN)`);
    }
    const last = physicalAddressOf(address + HUGEPAGE_BYTES - PAGE);
    if (physical % HUGEPAGE_BYTES !== 0 || last !== physical + HUGEPAGE_BYTES - PAGE) {
      throw new Error(`${name}: hugepage ${page} of the packet memory is not one piece of physical memory`);
    }
    pages[page] = physical;
  }
  return pages;
}

function lookUp(pagemap: number, address: number): number {
  const entry = Buffer.alloc(ENTRY_BYTES);
  readSync(pagemap, entry, 0, ENTRY_BYTES, (address / PAGE) * ENTRY_BYTES);
  const value = entry.readBigUInt64LE(0);
  return (value & PRESENT) === 0n ? 0 : Number(value & FRAME_NUMBER) * PAGE;
}
