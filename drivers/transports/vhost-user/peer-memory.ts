/**
 * The memory of one vhost-user peer: the regions of its memory table, mapped into one window, and the translation of
 * the peer's addresses into offsets in the window.
 *
 * The table is checked before anything is mapped, so every address that can be translated can be touched. If a file
 * shrank afterwards, the next access would raise SIGBUS and end all ports. A file that is not sealed against shrinking
 * is trusted, as in every vhost-user backend, or refused ({@link PeerFiles}). It is not sealed here: see
 * {@link memorySeals}.
 */
import { fstatSync } from 'node:fs';
import { abi, type Closer, memorySeals } from '../../libc/index.js';
import {
  HUGEPAGE_BYTES,
  MAX_WINDOW_BYTES,
  type MemoryViews,
  type WindowAllocator,
  type WindowRange,
} from '../../memory/index.js';
import type { GuestMemory } from '../../virtio/device/ring.js';
import type { MemoryRegion } from './protocol.js';

const PAGE_BYTES = 4096;
const MAX_BLOCK_BYTES = 2 ** 30;
/** Addresses must be below this. Doubles are exact there, also after a length is added. */
const MAX_ADDRESS = 2n ** 52n;
/** Fields of an entry of the translation table: first address, address after the last, address - offset. */
const ENTRY = 3;

/** Which files a peer's memory may be of: any file of memory, or only memfds that are sealed against shrinking. */
export type PeerFiles = 'any' | 'sealed';

/** A region that was found valid, and its place. Numbers are exact. */
interface Placement {
  readonly fd: number;
  readonly guest: number;
  readonly user: number;
  readonly size: number;
  /** The part of the file that is mapped: whole blocks (pages or hugepages) around the region. */
  readonly fileStart: number;
  readonly mapBytes: number;
  /** Where the mapping begins, in bytes from the start of the peer's range. */
  readonly mapAt: number;
  /** Where the region begins, in bytes from the start of the peer's range. */
  readonly regionAt: number;
}

export class PeerMemory implements GuestMemory {
  readonly memory: MemoryViews;
  private readonly guestTable: Float64Array;
  /** The entry that matched last. The next address is most likely in the same region. */
  private last = 0;
  private closed = false;
  /** Unmaps the memory, and closes the files if {@link adopt} was called. Otherwise the files are the caller's. */
  private release: () => void = () => this.windows.release(this.range);

  private constructor(
    private readonly windows: WindowAllocator,
    private readonly range: WindowRange,
    private readonly placements: readonly Placement[],
  ) {
    this.memory = range.window;
    this.guestTable = translationTable(placements, range.offset);
  }

  /**
   * Checks and maps a memory table. `fds[i]` is the file of `regions[i]`. The file descriptors stay the caller's and
   * may be closed afterwards. Throws an error that names the region and what is wrong with it; then nothing is left
   * mapped.
   */
  static map(
    regions: readonly MemoryRegion[],
    fds: readonly number[],
    windows: WindowAllocator,
    files: PeerFiles = 'any',
  ): PeerMemory {
    const { placements, bytes, alignment } = place(regions, fds, files);
    const range = windows.allocate(bytes, alignment);
    try {
      for (const p of placements) {
        const target = `memory region of ${p.size} bytes at guest address 0x${p.guest.toString(16)}`;
        range.window.mapFile(range.offset + p.mapAt, p.mapBytes, p.fd, p.fileStart, target);
      }
    } catch (error) {
      windows.release(range);
      throw error;
    }
    return new PeerMemory(windows, range, placements);
  }

  /** Bytes that the peer takes in the window. */
  get size(): number {
    return this.range.size;
  }

  /**
   * Offset in the window of `length` bytes at a guest-physical address, which is given in two halves as descriptors
   * have it; -1 when the bytes are not all in one region.
   */
  translate(low: number, high: number, length: number): number {
    const address = high * 4294967296 + low;
    const table = this.guestTable;
    const at = this.last;
    if (address >= table[at] && address + length <= table[at + 1]) return address - table[at + 2];
    return this.search(address, length);
  }

  /**
   * Offset in the window of `length` bytes at an address of the peer's process, which rings are given by; otherwise -1.
   */
  translateUser(userAddress: bigint, length: number): number {
    if (userAddress >= MAX_ADDRESS) return -1;
    const address = Number(userAddress);
    for (const p of this.placements) {
      if (address >= p.user && address + length <= p.user + p.size)
        return this.range.offset + p.regionAt + address - p.user;
    }
    return -1;
  }

  /**
   * Takes the files over and keeps them open until the memory is unmapped. So the mapping is never the last reference,
   * and the pages, perhaps gigabytes, are freed on the thread that closes the files.
   */
  adopt(fds: readonly number[], closer: Closer): void {
    this.release = () => {
      const done = closer.hold();
      this.windows.release(this.range, () => {
        for (const fd of fds) closer.close(fd);
        done();
      });
    };
  }

  /** Unmaps the peer's memory. No queue may use it any more. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.release();
  }

  private search(address: number, length: number): number {
    const table = this.guestTable;
    for (let at = 0; at < table.length; at += ENTRY) {
      if (address >= table[at] && address + length <= table[at + 1]) {
        this.last = at;
        return address - table[at + 2];
      }
    }
    return -1;
  }
}

/**
 * Makes the table, sorted by guest address. Regions that follow each other both in the guest and in the window become
 * one entry, because a buffer may cross from one into the next (hugepage files, each of which is a region).
 */
function translationTable(placements: readonly Placement[], start: number): Float64Array {
  const entries: number[] = [];
  for (const p of placements) {
    const delta = p.guest - (start + p.regionAt);
    const previous = entries.length - ENTRY;
    if (previous >= 0 && entries[previous + 1] === p.guest && entries[previous + 2] === delta) {
      entries[previous + 1] = p.guest + p.size;
    } else {
      entries.push(p.guest, p.guest + p.size, delta);
    }
  }
  return Float64Array.from(entries);
}

function place(
  regions: readonly MemoryRegion[],
  fds: readonly number[],
  files: PeerFiles,
): { placements: Placement[]; bytes: number; alignment: number } {
  if (regions.length === 0) throw new Error('memory table: no regions');
  const order = regions.map((region, i) => ({ region, fd: fds[i] }));
  order.sort((a, b) => (a.region.guestAddress < b.region.guestAddress ? -1 : 1));
  const placements: Placement[] = [];
  let bytes = 0;
  let alignment = HUGEPAGE_BYTES;
  let guestEnd = 0;
  for (const { region, fd } of order) {
    const name = `memory region at guest address 0x${region.guestAddress.toString(16)}`;
    const { guest, user, size, offset } = checkedNumbers(region, name);
    if (guest < guestEnd) throw new Error(`${name}: overlaps the region before it`);
    guestEnd = guest + size;
    const block = checkedFile(fd, offset + size, name, files);
    const fileStart = Math.floor(offset / block) * block;
    const mapBytes = Math.ceil((offset + size) / block) * block - fileStart;
    const step = Math.max(block, HUGEPAGE_BYTES);
    const mapAt = Math.ceil(bytes / step) * step;
    placements.push({ fd, guest, user, size, fileStart, mapBytes, mapAt, regionAt: mapAt + offset - fileStart });
    bytes = mapAt + Math.ceil(mapBytes / HUGEPAGE_BYTES) * HUGEPAGE_BYTES;
    alignment = Math.max(alignment, step);
    if (bytes > MAX_WINDOW_BYTES) {
      throw new Error(`memory table: ${bytes} bytes or more in all; at most ${MAX_WINDOW_BYTES} can be mapped`);
    }
  }
  return { placements, bytes, alignment };
}

function checkedNumbers(
  region: MemoryRegion,
  name: string,
): { guest: number; user: number; size: number; offset: number } {
  if (region.size === 0n) throw new Error(`${name}: size 0`);
  for (const start of [region.guestAddress, region.userAddress, region.mmapOffset]) {
    if (start + region.size > MAX_ADDRESS) {
      throw new Error(`${name}: ${region.size} bytes at 0x${start.toString(16)} reach beyond 2^52`);
    }
    // This also keeps rings aligned: offsets in the window and addresses are equal modulo a page.
    if (start % BigInt(PAGE_BYTES) !== 0n) {
      throw new Error(`${name}: 0x${start.toString(16)} is not at the start of a page`);
    }
  }
  return {
    guest: Number(region.guestAddress),
    user: Number(region.userAddress),
    size: Number(region.size),
    offset: Number(region.mmapOffset),
  };
}

/**
 * Checks that the file holds the region. Returns the block in multiples of which it must be mapped: a page or hugepage.
 */
function checkedFile(fd: number, end: number, name: string, files: PeerFiles): number {
  // Checked first, because fstat(2) of a file behind a server can take for ever. A seal is never removed.
  const seals = memorySeals(fd);
  if (seals === null) {
    throw new Error(`${name}: its file descriptor is not a file of memory: a memfd, or a file of tmpfs or hugetlbfs`);
  }
  if (files === 'sealed' && (seals & abi.F_SEAL_SHRINK) === 0) {
    throw new Error(
      `${name}: its file can shrink, and this port takes sealed memory only; have it made with memfd_create and ` +
        'sealed with F_SEAL_SHRINK (QEMU: memory-backend-memfd,share=on)',
    );
  }
  const stat = fstatSync(fd);
  if (stat.size < end) throw new Error(`${name}: ends at byte ${end} of a file of ${stat.size} bytes`);
  const block = stat.blksize;
  const usable = block > PAGE_BYTES && block <= MAX_BLOCK_BYTES && (block & (block - 1)) === 0;
  return usable ? block : PAGE_BYTES;
}
