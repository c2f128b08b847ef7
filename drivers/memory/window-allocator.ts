/**
 * Ranges of one big window for the memories of many peers, so that packets are copied from peer to peer inside one
 * SharedArrayBuffer (`copyWithin`) and their offsets stay below 2^31, where V8 keeps them as small integers.
 *
 * The window is address space only until files are mapped into it. A peer that does not fit gets a window of its own.
 */
import { HUGEPAGE_BYTES, MAX_WINDOW_BYTES, MemoryWindow } from './window.js';

/** 2 GiB less one hugepage: no offset reaches 2^31. */
export const SHARED_WINDOW_BYTES = 2 ** 31 - HUGEPAGE_BYTES;

/** Part of a window that belongs to one owner until it is released. */
export interface WindowRange {
  readonly window: MemoryWindow;
  /** Offset of the first byte; a multiple of {@link HUGEPAGE_BYTES}. */
  readonly offset: number;
  /** Bytes; a multiple of {@link HUGEPAGE_BYTES}. */
  readonly size: number;
}

interface Gap {
  offset: number;
  size: number;
}

export class WindowAllocator {
  private shared: MemoryWindow | null = null;
  /** What is free of the shared window, by offset; neighbours are merged. */
  private gaps: Gap[] = [];

  /** `capacity` bytes for all that share; reserved at the first allocation. */
  constructor(private readonly capacity = SHARED_WINDOW_BYTES) {}

  /**
   * Takes `bytes`, rounded up to hugepages. The *address* of the range is a multiple of `alignment`, a power of two
   * that is at least {@link HUGEPAGE_BYTES}: files of larger hugepages need it.
   */
  allocate(bytes: number, alignment = HUGEPAGE_BYTES): WindowRange {
    const size = Math.ceil(bytes / HUGEPAGE_BYTES) * HUGEPAGE_BYTES;
    if (!(size > 0 && size <= MAX_WINDOW_BYTES)) {
      throw new RangeError(`memory of ${bytes} bytes cannot be mapped: possible are 1 to ${MAX_WINDOW_BYTES} in all`);
    }
    return this.fromShared(size, alignment) ?? ownWindow(size, alignment);
  }

  /** Takes a range back: its pages are let go and it reads as zeros until someone else maps something there. */
  release(range: WindowRange): void {
    range.window.unmap(range.offset, range.size);
    if (range.window !== this.shared) return;
    const at = this.gaps.findIndex((gap) => gap.offset > range.offset);
    const index = at < 0 ? this.gaps.length : at;
    this.gaps.splice(index, 0, { offset: range.offset, size: range.size });
    this.mergeWithNext(index);
    if (index > 0) this.mergeWithNext(index - 1);
  }

  private fromShared(size: number, alignment: number): WindowRange | null {
    if (size > this.capacity) return null;
    if (this.shared === null) {
      this.shared = MemoryWindow.reserve(this.capacity);
      this.gaps = [{ offset: 0, size: this.shared.size }];
    }
    for (let i = 0; i < this.gaps.length; i++) {
      const gap = this.gaps[i];
      const offset = alignedOffset(this.shared, gap.offset, alignment);
      const before = offset - gap.offset;
      const after = gap.size - before - size;
      if (after < 0) continue;
      const rest: Gap[] = [];
      if (before > 0) rest.push({ offset: gap.offset, size: before });
      if (after > 0) rest.push({ offset: offset + size, size: after });
      this.gaps.splice(i, 1, ...rest);
      return { window: this.shared, offset, size };
    }
    return null;
  }

  private mergeWithNext(index: number): void {
    const gap = this.gaps[index];
    const next = this.gaps[index + 1];
    if (next === undefined || gap.offset + gap.size !== next.offset) return;
    gap.size += next.size;
    this.gaps.splice(index + 1, 1);
  }
}

function ownWindow(size: number, alignment: number): WindowRange {
  const window = MemoryWindow.reserve(Math.min(size + alignment - HUGEPAGE_BYTES, MAX_WINDOW_BYTES));
  const offset = alignedOffset(window, 0, alignment);
  if (offset + size > window.size) {
    throw new RangeError(`memory of ${size} bytes, aligned to ${alignment}, does not fit ${MAX_WINDOW_BYTES} bytes`);
  }
  return { window, offset, size };
}

function alignedOffset(window: MemoryWindow, offset: number, alignment: number): number {
  return Math.ceil((window.address + offset) / alignment) * alignment - window.address;
}
