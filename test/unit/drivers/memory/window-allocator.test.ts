import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  HUGEPAGE_BYTES,
  SHARED_WINDOW_BYTES,
  WindowAllocator,
  type WindowRange,
} from '../../../../drivers/memory/index.js';

const MIB = 1 << 20;

/** Releases a range, and waits until all of it is unmapped: on a busy machine that takes more than one turn. */
function released(windows: WindowAllocator, range: WindowRange): Promise<void> {
  return new Promise((resolve) => windows.release(range, resolve));
}

// Windows are compared by their addresses: a failed `expect(window)` would print gigabytes, and run out of memory.
describe('WindowAllocator', () => {
  it('gives out ranges of one window, rounded up to hugepages', () => {
    const windows = new WindowAllocator(16 * MIB);
    const a = windows.allocate(1);
    const b = windows.allocate(3 * MIB);
    expect(a.window.address).toBe(b.window.address);
    expect([a.offset, a.size, b.offset, b.size]).toEqual([0, 2 * MIB, 2 * MIB, 4 * MIB]);
    expect((a.window.address + b.offset) % HUGEPAGE_BYTES).toBe(0);
  });

  it('keeps every offset of the shared window below 2^31', () => {
    expect(SHARED_WINDOW_BYTES).toBeLessThan(2 ** 31);
  });

  it('gives a range that does not fit a window of its own', () => {
    const windows = new WindowAllocator(16 * MIB);
    const a = windows.allocate(10 * MIB);
    const b = windows.allocate(10 * MIB);
    const c = windows.allocate(20 * MIB);
    expect(new Set([a.window, b.window, c.window]).size).toBe(3);
    expect(windows.allocate(6 * MIB).window.address).toBe(a.window.address);
    b.window.u8[b.offset] = 1;
    windows.release(b);
    expect(b.window.u8[b.offset]).toBe(0);
  });

  it('reuses a large window, so that address space does not depend on the collector', async () => {
    const windows = new WindowAllocator(2 * MIB);
    const first = windows.allocate(3 * 1024 * MIB);
    first.window.u8[first.offset] = 7;
    await released(windows, first);
    const stale = first.window.u8;
    for (let i = 0; i < 1000; i++) {
      const range = windows.allocate((2 + (i % 4)) * 512 * MIB + (i % 3) * MIB);
      expect(range.window.address).toBe(first.window.address);
      expect(stale[range.offset]).toBe(0);
      await released(windows, range);
    }
    const [a, b] = [windows.allocate(4 * MIB), windows.allocate(4 * MIB)];
    expect(a.window.address).toBe(first.window.address);
    expect(b.window.address).not.toBe(first.window.address);
  });

  it('lets go of what was touched a piece in a turn; nobody gets the range meanwhile', async () => {
    const windows = new WindowAllocator(2 * MIB);
    const range = windows.allocate(512 * MIB);
    for (let at = 0; at < range.size; at += 4096) range.window.u8[range.offset + at] = 1;
    let isReleased = false;
    windows.release(range, () => {
      isReleased = true;
    });
    let turns = 0;
    while (!isReleased) {
      turns++;
      expect(range.window.u8[range.offset + range.size - 1]).toBe(0);
      expect(range.window.u8[range.offset + range.size - 4096]).toBe(1);
      const other = windows.allocate(4 * MIB);
      expect(other.window.address).not.toBe(range.window.address);
      windows.release(other);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(turns).toBeGreaterThan(1);
    expect(range.window.u8[range.offset + range.size - 4096]).toBe(0);
    expect([1, 2].map(() => windows.allocate(4 * MIB).window.address)).toContain(range.window.address);
  });

  it('takes 256 windows of address space at most', () => {
    const windows = new WindowAllocator(2 * MIB);
    const ranges = Array.from({ length: 256 }, () => windows.allocate(4 * MIB));
    expect(() => windows.allocate(4 * MIB)).toThrow(/all 256 windows of address space are in use/);
    windows.release(ranges[7]!);
    expect(windows.allocate(4 * MIB).window.address).toBe(ranges[7]!.window.address);
  });

  it('aligns the address of a range', () => {
    const windows = new WindowAllocator(64 * MIB);
    windows.allocate(2 * MIB);
    const aligned = windows.allocate(8 * MIB, 32 * MIB);
    expect((aligned.window.address + aligned.offset) % (32 * MIB)).toBe(0);
    const own = windows.allocate(128 * MIB, 64 * MIB);
    expect((own.window.address + own.offset) % (64 * MIB)).toBe(0);
  });

  it('names the size that cannot be mapped', () => {
    const windows = new WindowAllocator(16 * MIB);
    expect(() => windows.allocate(5 * 1024 * MIB)).toThrow(/5368709120 bytes/);
    expect(() => windows.allocate(0)).toThrow(/0 bytes/);
  });

  it('reads as zeros where a range was released', () => {
    const windows = new WindowAllocator(16 * MIB);
    const a = windows.allocate(2 * MIB);
    a.window.u8.fill(7, a.offset, a.offset + 100);
    windows.release(a);
    const b = windows.allocate(2 * MIB);
    expect(b.offset).toBe(a.offset);
    expect(b.window.u8[b.offset]).toBe(0);
  });

  it('never gives one byte to two owners, and gets everything back', () => {
    const capacity = 32 * MIB;
    const windows = new WindowAllocator(capacity);
    const shared = windows.allocate(capacity);
    windows.release(shared);
    fc.assert(
      fc.property(
        fc.array(fc.record({ take: fc.boolean(), pages: fc.integer({ min: 1, max: 6 }), which: fc.nat() })),
        (steps) => {
          const held: WindowRange[] = [];
          for (const { take, pages, which } of steps) {
            if (take) {
              const range = windows.allocate(pages * HUGEPAGE_BYTES);
              if (range.window !== shared.window) continue;
              for (const other of held) {
                const apart = range.offset + range.size <= other.offset || other.offset + other.size <= range.offset;
                expect(apart).toBe(true);
              }
              expect(range.offset + range.size).toBeLessThanOrEqual(capacity);
              held.push(range);
            } else if (held.length > 0) {
              windows.release(held.splice(which % held.length, 1)[0]!);
            }
          }
          for (const range of held) windows.release(range);
          const all = windows.allocate(capacity);
          expect(all.window.address).toBe(shared.window.address);
          windows.release(all);
        },
      ),
      { numRuns: 50 },
    );
  });
});
