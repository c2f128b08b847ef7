/**
 * How a queue learns the address that the device has for each buffer: for pages in any order, above 4 GiB, and too
 * small.
 */
import { describe, expect, it } from 'vitest';
import { type AddressSpace, LinearAddressSpace } from '../../../../../drivers/memory/index.js';
import { SplitQueue } from '../../../../../drivers/virtio/driver/split-queue.js';
import { BufferPool, bufferStart } from '../../../../../rings/buffer-pool.js';

const HEADER = 50;
const BASE = 8192;
const SHIFT = 11;
const COUNT = 24;

class Queue extends SplitQueue {
  map(space: AddressSpace): void {
    this.mapBuffers(space, HEADER);
  }

  /** The address of each buffer, as it is written into descriptors. */
  get addresses(): number[] {
    return Array.from({ length: COUNT }, (_, h) => this.addressHigh[h]! * 2 ** 32 + this.addressLow[h]!);
  }

  get hasOneHighWord(): boolean {
    return this.oneHighWord;
  }
}

function queue(base = BASE): Queue {
  const buffer = new SharedArrayBuffer(64);
  const memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
  const layout = { size: 16, descriptors: 0, driver: 0, device: 0 };
  return new Queue('queue', memory, layout, new BufferPool({ count: COUNT, shift: SHIFT, base }));
}

/** Pages of the memory at these addresses. */
const paged = (contiguousBytes: number, pages: readonly number[]): AddressSpace => ({
  contiguousBytes,
  iova: (offset) => pages[Math.floor(offset / contiguousBytes)]! + (offset % contiguousBytes),
});

const expected = (space: AddressSpace): number[] =>
  Array.from({ length: COUNT }, (_, h) => space.iova(BASE + bufferStart(h, SHIFT)) + HEADER);

describe('the addresses of buffers', () => {
  it('follow each other in contiguous memory, below 4 GiB and above', () => {
    for (const base of [0, 0x7fff_0000, 3 * 2 ** 32, 2 ** 46]) {
      const space = new LinearAddressSpace(base);
      const tested = queue();
      tested.map(space);
      expect(tested.addresses).toEqual(expected(space));
      expect(tested.hasOneHighWord).toBe(true);
    }
  });

  it('have another high word from a multiple of 4 GiB on, even if only the header is', () => {
    for (const before of [5 << SHIFT, (5 << SHIFT) + HEADER, (5 << SHIFT) + HEADER + 1, 1, HEADER + 1]) {
      const space = new LinearAddressSpace(2 ** 33 - BASE - before);
      const tested = queue();
      tested.map(space);
      expect(tested.addresses).toEqual(expected(space));
      expect(tested.hasOneHighWord).toBe(before <= HEADER);
    }
  });

  it('are those of their pages, which lie anywhere', () => {
    const pages = [7, 3, 9, 2 ** 25, 1, 2 ** 20, 4, 2 ** 21, 11, 12, 0, 5, 6, 2 ** 30].map((page) => page * 4096);
    const space = paged(4096, pages);
    const tested = queue();
    tested.map(space);
    expect(tested.addresses).toEqual(expected(space));
    expect(tested.hasOneHighWord).toBe(false);
    const near = paged(
      4096,
      Array.from({ length: 14 }, (_, i) => 0x1_0000_0000 + (13 - i) * 4096),
    );
    tested.map(near);
    expect(tested.addresses).toEqual(expected(near));
    expect(tested.hasOneHighWord).toBe(true);
  });

  it('are refused where a buffer would lie in two pages', () => {
    const pages = Array.from({ length: 20 }, (_, i) => i * 8192);
    expect(() => queue(BASE + 1024).map(paged(4096, pages))).toThrow('2048 bytes at 11264 cross a page of 4096 bytes');
    expect(() => queue().map(paged(1024, pages))).toThrow('cross a page of 1024 bytes');
  });
});
