/**
 * The memory that a device works on: one memfd, of hugepages if there are any, under one SharedArrayBuffer. Queues,
 * packet buffers and rings are allocated from it.
 */
import { allocatePages, closeFile, memfd, SystemError } from '../libc/index.js';
import { readHugepages } from './hugepages.js';
import { HUGEPAGE_BYTES, MAX_WINDOW_BYTES, type MemoryViews, MemoryWindow } from './window.js';

/** Whether packet memory lies in hugepages: `auto` uses them if there are any, `require` fails without them. */
export type HugepagePolicy = 'auto' | 'require' | 'never';

export class PacketMemory implements MemoryViews {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  private used = 0;
  private disposed = false;

  private constructor(
    readonly window: MemoryWindow,
    /** The file behind the memory. A vhost-user peer gets it in the memory table. */
    readonly fd: number,
    readonly hugepages: boolean,
    /** Why there are no hugepages, as one line for the user. Empty when there are, or when none were wanted. */
    readonly notice: string,
  ) {
    this.u8 = window.u8;
    this.u16 = window.u16;
    this.u32 = window.u32;
  }

  /**
   * Makes a memory of at least `size` bytes, populated and zeroed.
   * @param policy `auto` falls back to normal pages and says so in `notice`; `require` throws instead
   */
  static create(size: number, policy: HugepagePolicy = 'auto'): PacketMemory {
    const bytes = Math.ceil(size / HUGEPAGE_BYTES) * HUGEPAGE_BYTES;
    if (!(bytes > 0 && bytes <= MAX_WINDOW_BYTES)) {
      throw new RangeError(`packet memory of ${size} bytes; possible are 1 to ${MAX_WINDOW_BYTES}`);
    }
    if (policy === 'never') return PacketMemory.on(bytes, false, '');
    try {
      return PacketMemory.on(bytes, true, '');
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const pages = bytes / HUGEPAGE_BYTES;
      const advice = `reserve them with 'sysctl vm.nr_hugepages=${readHugepages().reserved + pages}'`;
      if (policy === 'require') throw new Error(`no ${pages} hugepages of 2 MiB (${error.message}): ${advice}`);
      return PacketMemory.on(
        bytes,
        false,
        `no ${pages} free hugepages of 2 MiB (${error.code}), using normal pages; ${advice}`,
      );
    }
  }

  private static on(bytes: number, hugepages: boolean, notice: string): PacketMemory {
    const fd = memfd('tspmd-packets', bytes, hugepages);
    try {
      const target = hugepages ? `${bytes} bytes of hugepages` : `${bytes} bytes of memfd`;
      if (hugepages) allocatePages(fd, bytes, target);
      const window = MemoryWindow.reserve(bytes);
      window.mapFile(0, bytes, fd, 0, target, true);
      return new PacketMemory(window, fd, hugepages, notice);
    } catch (error) {
      closeFile(fd);
      throw error;
    }
  }

  get size(): number {
    return this.window.size;
  }

  /** Address of byte 0 in this process. */
  get address(): number {
    return this.window.address;
  }

  /** Takes the next `bytes` bytes of the memory and returns their offset. They are never given back. */
  allocate(bytes: number, alignment: number): number {
    const offset = Math.ceil(this.used / alignment) * alignment;
    if (offset + bytes > this.size) {
      throw new RangeError(`packet memory of ${this.size} bytes is too small: ${bytes} more at ${offset}`);
    }
    this.used = offset + bytes;
    return offset;
  }

  /** Gives the pages back at once. Views stay valid and read as zeros. The device must have been reset before. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.window.unmap(0, this.size);
    closeFile(this.fd);
  }
}
