/**
 * Memory for the headers that modules put in front of packets. It lies in the window that the devices share: all
 * packets of a burst lie in one memory, and headers and packets are copied to their destination together.
 */
import type { MemoryViews, WindowAllocator, WindowRange } from '../../../drivers/memory/index.js';

/** Memory that is taken at once, in bytes: one block of a window. */
const BLOCK_BYTES = 2 ** 21;
/** Pieces begin at a multiple of this. */
const ALIGNMENT = 64;

/** A piece of memory. */
export interface Room {
  readonly memory: MemoryViews;
  /** Offset of the first byte; a multiple of 64. */
  readonly offset: number;
}

export class HeaderMemory {
  private readonly ranges: WindowRange[] = [];
  private block: MemoryViews | null = null;
  private next = 0;
  private end = 0;

  /** @param windows of the devices; null: memory of its own, from which every packet is copied to another memory */
  constructor(readonly windows: WindowAllocator | null) {}

  /** Takes a piece of at most one block. It stays taken until {@link close}. */
  take(bytes: number): Room {
    const size = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    if (this.block === null || this.next + size > this.end) {
      const { memory, offset } = this.takeLarge(BLOCK_BYTES);
      this.block = memory;
      this.next = offset;
      this.end = offset + BLOCK_BYTES;
    }
    const offset = this.next;
    this.next += size;
    return { memory: this.block, offset };
  }

  /** Takes a piece of any size. Only what is written takes memory. */
  takeLarge(bytes: number): Room {
    try {
      const range = this.windows?.allocate(bytes);
      if (range !== undefined) {
        this.ranges.push(range);
        return { memory: range.window, offset: range.offset };
      }
    } catch {
      // The windows have none left. That costs speed, and must not end the switch.
    }
    const buffer = new SharedArrayBuffer(bytes);
    return {
      memory: { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) },
      offset: 0,
    };
  }

  /** Gives everything back. */
  close(): void {
    for (const range of this.ranges.splice(0)) this.windows?.release(range);
    this.block = null;
  }
}
