/**
 * A range of address space under an array buffer, into which files (hugepages, a peer's memory, a BAR) are mapped.
 *
 * Node-API cannot wrap foreign memory in a buffer, but the pages under one can be replaced with `mmap(MAP_FIXED)`. The
 * buffer belongs to a `WebAssembly.Memory` (there is no WebAssembly code), because V8 maps and unmaps such a buffer in
 * whole pages of its own. A `new SharedArrayBuffer(n)` comes from malloc and shares pages with the heap. The mappings go
 * when the buffer is collected.
 *
 * A SharedArrayBuffer is for several threads: a worker that receives it by postMessage sees the same pages. An ArrayBuffer
 * is for one thread, in which `copyWithin` then moves bytes as fast as the processor can (copy.ts). Other processes share
 * the pages of both alike.
 */
import { addressOf, mapFileAt, mapZeroAt } from '../libc/index.js';

/** The only part of WebAssembly that is used. @types/node does not declare it. */
declare const WebAssembly: {
  Memory: new (descriptor: { shared: boolean; initial: number; maximum: number }) => { buffer: WindowBuffer };
};

const WASM_PAGE = 65536;
const PAGE = 4096;
/** Alignment of a window and of every mapping in it: the default hugepage of x86-64 and arm64. */
export const HUGEPAGE_BYTES = 2 * 1024 * 1024;
/** 4 GiB less the alignment: the largest that one WebAssembly.Memory can be. */
export const MAX_WINDOW_BYTES = 65536 * WASM_PAGE - HUGEPAGE_BYTES;

/** What a window lies under: a buffer for several threads, or for one. */
export type WindowBuffer = SharedArrayBuffer | ArrayBuffer;

/** The views of one memory. Index 0 of each is the first byte of the window. */
export interface MemoryViews {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
}

/** The words of a memory as signed numbers: docs/v8.md, "Typed arrays". */
export function signedWords({ u32 }: MemoryViews): Int32Array {
  return new Int32Array(u32.buffer, u32.byteOffset, u32.length);
}

export class MemoryWindow<B extends WindowBuffer = SharedArrayBuffer> implements MemoryViews {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  /** Address of byte 0 in this process; a multiple of {@link HUGEPAGE_BYTES}. */
  readonly address: number;

  private constructor(
    readonly buffer: B,
    /** Where the aligned part begins in `buffer`. */
    readonly start: number,
    readonly size: number,
  ) {
    this.u8 = new Uint8Array(buffer, start, size);
    this.u16 = new Uint16Array(buffer, start, size >>> 1);
    this.u32 = new Uint32Array(buffer, start, size >>> 2);
    this.address = addressOf(this.u8);
  }

  /** Reserves `size` bytes of address space, rounded up to hugepages. It costs no memory until it is touched. */
  static reserve(size: number): MemoryWindow {
    return MemoryWindow.over(size, (pages) => addressSpace(pages, true) as SharedArrayBuffer);
  }

  /** The same for one thread alone. */
  static reserveForThread(size: number): MemoryWindow<ArrayBuffer> {
    return MemoryWindow.over(size, (pages) => addressSpace(pages, false) as ArrayBuffer);
  }

  private static over<B extends WindowBuffer>(size: number, make: (pages: number) => B): MemoryWindow<B> {
    const bytes = Math.ceil(size / HUGEPAGE_BYTES) * HUGEPAGE_BYTES;
    if (!(bytes > 0 && bytes <= MAX_WINDOW_BYTES)) {
      throw new RangeError(`memory window of ${size} bytes; possible are 1 to ${MAX_WINDOW_BYTES}`);
    }
    const buffer = make((bytes + HUGEPAGE_BYTES) / WASM_PAGE);
    const address = addressOf(new Uint8Array(buffer));
    const start = (HUGEPAGE_BYTES - (address % HUGEPAGE_BYTES)) % HUGEPAGE_BYTES;
    return new MemoryWindow(buffer, start, bytes);
  }

  /** Maps `length` bytes of `fd`, from `fileOffset` on, at `offset` of the window. Offsets are multiples of a page. */
  mapFile(offset: number, length: number, fd: number, fileOffset: number, target: string, populate = false): void {
    this.checkRange(offset, length);
    try {
      mapFileAt(this.address + offset, length, fd, fileOffset, target, populate);
    } catch (error) {
      // A MAP_FIXED that fails late (no hugepages left) has already unmapped the range. Another mapping of the process
      // could be placed there, and V8 would unmap it together with the buffer.
      mapZeroAt(this.address + offset, length);
      throw error;
    }
  }

  /** Unmaps what is mapped at `offset`. From then on the range reads as zeros and stays safe to touch. */
  unmap(offset: number, length: number): void {
    this.checkRange(offset, length);
    mapZeroAt(this.address + offset, length);
  }

  private checkRange(offset: number, length: number): void {
    if (!(offset >= 0 && length > 0 && offset + length <= this.size)) {
      throw new RangeError(`mapping of ${length} bytes at ${offset} is outside the window of ${this.size} bytes`);
    }
    if (offset % PAGE !== 0) throw new RangeError(`mapping at ${offset}: not a multiple of a page of ${PAGE} bytes`);
  }
}

/**
 * Reserves pages of WebAssembly memory. V8 asks for some GiB more around them, and does without when it cannot get
 * those.
 */
function addressSpace(pages: number, shared: boolean): WindowBuffer {
  try {
    return new WebAssembly.Memory({ shared, initial: pages, maximum: pages }).buffer;
  } catch (error) {
    const advice = "raise the limit ('ulimit -v'), or free memory";
    throw new RangeError(`no address space left for a memory of ${pages * WASM_PAGE} bytes: ${advice}`, {
      cause: error,
    });
  }
}
