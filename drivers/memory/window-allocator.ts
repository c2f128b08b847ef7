/**
 * Ranges of one big window for the memories of many peers, so that packets are copied from peer to peer inside one
 * SharedArrayBuffer (`copyWithin`) and their offsets stay below 2^31, where V8 keeps them as small integers.
 *
 * The window is address space only until files are mapped into it. A peer that does not fit gets a window of its own.
 *
 * No window is ever given back: what a peer leaves reads as zeros and goes to the next one, so that a view of it that somebody
 * still has does no harm, and the address space in use depends on how many peers there are at a time, not on the garbage
 * collector. V8 takes 10 GiB of address space for a window of its own, whatever its size: all have the full one.
 */
import { threadCpuMs } from '../libc/index.js';
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
  /** What files in it are mapped in multiples of, at the most; a power of two. */
  readonly alignment: number;
}

/** What is unmapped at a time: takes 2 us, or some 2 ms where every page of it was touched. */
const UNMAP_BYTES = 2 ** 26;
/** CPU time that unmapping may take in a turn of the event loop, but for the last piece. */
const UNMAP_MS = 2;
/** 2.5 TiB of the 128 TiB of address space that a process has. */
const MAX_OWN_WINDOWS = 256;

interface Gap {
  offset: number;
  size: number;
}

export class WindowAllocator {
  private shared: MemoryWindow | null = null;
  /** What is free of the shared window, by offset; neighbours are merged. */
  private gaps: Gap[] = [];
  /** Windows of peers that did not fit the shared one, and how many more are in use. */
  private readonly spare: MemoryWindow[] = [];
  private ownInUse = 0;

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
    return this.fromShared(size, alignment) ?? this.fromOwn(size, alignment);
  }

  /**
   * Takes a range back: its pages are let go, and it reads as zeros until someone else maps something there. Where gigabytes of
   * it were touched that takes some turns of the event loop, in which nobody else gets the range.
   * @param onReleased called when the pages are let go: in most cases before this returns
   */
  release(range: WindowRange, onReleased: () => void = () => {}): void {
    this.unmap(range, 0, onReleased);
  }

  private unmap(range: WindowRange, from: number, onReleased: () => void): void {
    const enough = threadCpuMs() + UNMAP_MS;
    const step = Math.max(UNMAP_BYTES, range.alignment);
    for (let at = from; at < range.size; at += step) {
      if (at > from && threadCpuMs() > enough) {
        setImmediate(() => this.unmap(range, at, onReleased));
        return;
      }
      range.window.unmap(range.offset + at, Math.min(step, range.size - at));
    }
    this.free(range);
    onReleased();
  }

  private free(range: WindowRange): void {
    if (range.window !== this.shared) {
      this.spare.push(range.window);
      this.ownInUse--;
      return;
    }
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
      return { window: this.shared, offset, size, alignment };
    }
    return null;
  }

  private fromOwn(size: number, alignment: number): WindowRange {
    let at = this.spare.findIndex((window) => fits(window, size, alignment));
    if (at < 0) at = this.spare.push(this.reserveOwn(size, alignment)) - 1;
    const window = this.spare[at];
    if (!fits(window, size, alignment)) {
      throw new RangeError(`memory of ${size} bytes, aligned to ${alignment}, does not fit ${MAX_WINDOW_BYTES} bytes`);
    }
    this.spare.splice(at, 1);
    this.ownInUse++;
    return { window, offset: alignedOffset(window, 0, alignment), size, alignment };
  }

  /** The full size, so that it also fits the peers that come later; what is needed where a limit (ulimit -v) allows no more. */
  private reserveOwn(size: number, alignment: number): MemoryWindow {
    const windows = this.spare.length + this.ownInUse;
    if (windows >= MAX_OWN_WINDOWS) {
      throw new RangeError(
        `memory of ${size} bytes: all ${windows} windows of address space are in use, or do not fit`,
      );
    }
    try {
      return MemoryWindow.reserve(MAX_WINDOW_BYTES);
    } catch {
      return MemoryWindow.reserve(Math.min(size + alignment - HUGEPAGE_BYTES, MAX_WINDOW_BYTES));
    }
  }

  private mergeWithNext(index: number): void {
    const gap = this.gaps[index];
    const next = this.gaps[index + 1];
    if (next === undefined || gap.offset + gap.size !== next.offset) return;
    gap.size += next.size;
    this.gaps.splice(index + 1, 1);
  }
}

function fits(window: MemoryWindow, size: number, alignment: number): boolean {
  return alignedOffset(window, 0, alignment) + size <= window.size;
}

function alignedOffset(window: MemoryWindow, offset: number, alignment: number): number {
  return Math.ceil((window.address + offset) / alignment) * alignment - window.address;
}
