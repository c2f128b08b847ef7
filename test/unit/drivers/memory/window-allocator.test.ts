import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  HUGEPAGE_BYTES,
  SHARED_WINDOW_BYTES,
  WindowAllocator,
  type WindowRange,
} from '../../../../drivers/memory/index.js';

const MIB = 1 << 20;

describe('WindowAllocator', () => {
  it('gives out ranges of one window, rounded up to hugepages', () => {
    const windows = new WindowAllocator(16 * MIB);
    const a = windows.allocate(1);
    const b = windows.allocate(3 * MIB);
    expect(a.window).toBe(b.window);
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
    expect(windows.allocate(6 * MIB).window).toBe(a.window);
    b.window.u8[b.offset] = 1;
    windows.release(b);
    expect(b.window.u8[b.offset]).toBe(0);
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
          expect(all.window).toBe(shared.window);
          windows.release(all);
        },
      ),
      { numRuns: 50 },
    );
  });
});
