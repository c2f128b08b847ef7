/**
 * Allocates ranges of one big window for the memories of many peers, so that packets are copied from peer to peer
 * inside one buffer and all offsets stay below 2^31 (docs/v8.md, "Typed arrays"). One thread works on them, so it is an
 * ArrayBuffer, in which copies are fastest.
 *
 * The window is only address space until files are mapped into it. A peer that does not fit gets a window of its own.
 *
 * A window is never given back. What a peer leaves reads as zeros and goes to the next peer. So an old view of it does
 * no harm, and the address space in use depends on the number of peers at a time, not on the garbage collector. V8
 * takes 10 GiB of address space for each window, whatever its size, so all windows have the full size.
 */
import { threadCpuMs } from '../libc/index.js';
import { HUGEPAGE_BYTES, MAX_WINDOW_BYTES, MemoryWindow } from './window.js';

/** 2 GiB less one hugepage, so that no offset reaches 2^31. */
export const SHARED_WINDOW_BYTES = 2 ** 31 - HUGEPAGE_BYTES;

/** Part of a window that belongs to one owner until it is released. */
export interface WindowRange {
  readonly window: MemoryWindow<ArrayBuffer>;
  /** Offset of the first byte; a multiple of {@link HUGEPAGE_BYTES}. */
  readonly offset: number;
  /** Bytes; a multiple of {@link HUGEPAGE_BYTES}. */
  readonly size: number;
  /** Largest block, in bytes, in multiples of which files are mapped in the range; a power of two. */
  readonly alignment: number;
}

/** Bytes that are unmapped at a time. It takes 2 us, or about 2 ms when every page was touched. */
const UNMAP_BYTES = 2 ** 26;
/** CPU time in ms that unmapping may take per turn of the event loop, not counting the last piece. */
const UNMAP_MS = 2;
/** 2.5 TiB of the 128 TiB of address space that a process has. */
const MAX_OWN_WINDOWS = 256;

interface Gap {
  offset: number;
  size: number;
}

export class WindowAllocator {
  private shared: MemoryWindow<ArrayBuffer> | null = null;
  /** The free parts of the shared window, sorted by offset; adjacent ones are merged. */
  private gaps: Gap[] = [];
  /** Free windows for peers that do not fit into the shared one, and the number of such windows in use. */
  private readonly spare: MemoryWindow<ArrayBuffer>[] = [];
  private ownInUse = 0;

  /** @param capacity bytes of the shared window, which is reserved at the first allocation */
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
   * Takes a range back. Its pages are unmapped; it reads as zeros until it is allocated again. If gigabytes of it were
   * touched, this takes several turns of the event loop, and the range is not allocated before the end.
   * @param onReleased called when all pages are unmapped, in most cases before this returns
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
      this.shared = MemoryWindow.reserveForThread(this.capacity);
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

  /**
   * Reserves the full size, so that later peers fit, too; or only what is needed when a limit (ulimit -v) allows no
   * more.
   */
  private reserveOwn(size: number, alignment: number): MemoryWindow<ArrayBuffer> {
    const windows = this.spare.length + this.ownInUse;
    if (windows >= MAX_OWN_WINDOWS) {
      throw new RangeError(
        `memory of ${size} bytes: all ${windows} windows of address space are in use, or do not fit`,
      );
    }
    try {
      return MemoryWindow.reserveForThread(MAX_WINDOW_BYTES);
    } catch {
      return MemoryWindow.reserveForThread(Math.min(size + alignment - HUGEPAGE_BYTES, MAX_WINDOW_BYTES));
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

function fits(window: MemoryWindow<ArrayBuffer>, size: number, alignment: number): boolean {
  return alignedOffset(window, 0, alignment) + size <= window.size;
}

function alignedOffset(window: MemoryWindow<ArrayBuffer>, offset: number, alignment: number): number {
  return Math.ceil((window.address + offset) / alignment) * alignment - window.address;
}
