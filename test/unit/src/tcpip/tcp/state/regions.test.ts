/** The pool of regions: sizes, the limit, reuse, and what returns to the system. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_REGION_BYTES, type Region, RegionPool } from '../../../../../../src/tcpip/tcp/state/regions.js';

const MIB = 1 << 20;

describe('a region', () => {
  it.each([
    [0, 1024],
    [1, 1024],
    [1024, 1024],
    [1025, 2048],
    [65_535, 65_536],
    [65_536, 65_536],
    [262_145, 524_288],
    [3_000_000, 4 * MIB],
  ])('for %i bytes has %i', (asked, size) => {
    const pool = new RegionPool(8 * MIB);
    const region = pool.allocate(asked)!;
    expect(region.size).toBe(size);
    expect(region.start % 64).toBe(0);
    expect(region.u8.length).toBeGreaterThanOrEqual(region.start + size);
    expect(region.i32.buffer).toBe(region.u8.buffer);
    expect(pool.used).toBe(size);
  });

  it('keeps a reserve for small regions', () => {
    const pool = new RegionPool(64 * 1024, 16 * 1024);
    const large: (Region | null)[] = [];
    for (let i = 0; i < 12; i++) large.push(pool.allocate(4096));
    expect(large).not.toContain(null);
    expect(pool.allocate(4096)).toBeNull();
    expect(pool.hasRoomFor(4096)).toBe(false);
    for (let i = 0; i < 8; i++) expect(pool.allocate(2048)).not.toBeNull();
    expect(pool.allocate(1024)).toBeNull();
    expect(pool.used).toBe(pool.limit);
    pool.release(large[0]!);
    expect(pool.allocate(4096)).toBeNull();
    expect(pool.allocate(1024)).not.toBeNull();
  });

  it('is not larger than the largest window of TCP', () => {
    expect(new RegionPool(2 ** 40).allocate(MAX_REGION_BYTES + 1)).toBeNull();
  });

  it('cannot be released twice', () => {
    const pool = new RegionPool(MIB);
    const region = pool.allocate(1)!;
    pool.release(region);
    expect(() => pool.release(region)).toThrow('a region of 1024 bytes was released twice');
    expect(pool.used).toBe(0);
  });
});

describe('the pool', () => {
  it('hands out exactly its limit', () => {
    const pool = new RegionPool(5 * 1024);
    expect(pool.allocate(4096)).not.toBeNull();
    expect(pool.allocate(2048)).toBeNull();
    const last = pool.allocate(1024)!;
    expect(last).not.toBeNull();
    expect(pool.allocate(1)).toBeNull();
    pool.release(last);
    expect(pool.allocate(1)).toBe(last);
  });

  it('reuses what was released instead of taking more from the system', () => {
    const pool = new RegionPool(64 * MIB);
    const regions = Array.from({ length: 100 }, () => pool.allocate(16_384)!);
    const reserved = pool.reserved;
    for (let round = 0; round < 10; round++) {
      for (const region of regions) pool.release(region);
      for (let i = 0; i < regions.length; i++) regions[i] = pool.allocate(16_384)!;
      expect(pool.reserved).toBe(reserved);
    }
  });

  it('drops arenas that nobody used for 10 s, and no others', () => {
    const pool = new RegionPool(64 * MIB);
    const start = 0x7fff_ffff - 3000; // The clock wraps meanwhile.
    pool.tick(start);
    const stays = pool.allocate(1024)!;
    const big = pool.allocate(4 * MIB)!;
    const small = pool.allocate(65_536)!;
    pool.release(big);
    pool.release(small);
    expect(pool.reserved).toBe(6 * MIB);
    pool.tick((start + 9_000) | 0);
    expect(pool.reserved).toBe(6 * MIB);
    pool.release(pool.allocate(65_536)!); // Used again: its time begins anew.
    pool.tick((start + 10_000) | 0);
    expect(pool.reserved).toBe(2 * MIB);
    pool.tick((start + 19_000) | 0);
    expect(pool.reserved).toBe(MIB);
    pool.tick((start + 60_000) | 0);
    expect(pool.reserved).toBe(MIB);
    pool.release(stays);
  });

  it('uses arenas that are in use already before empty ones', () => {
    const pool = new RegionPool(64 * MIB);
    const regions = Array.from({ length: 12 }, () => pool.allocate(262_144)!); // Three arenas of four.
    for (const region of regions) if (region !== regions[5]) pool.release(region);
    for (let i = 0; i < 3; i++) expect(pool.allocate(262_144)!.u8 === regions[5]!.u8).toBe(true);
    pool.tick(20_000);
    expect(pool.reserved).toBe(MIB);
    expect(pool.allocate(262_144)!.u8 === regions[5]!.u8).toBe(false);
  });

  it('gives up empty arenas of other sizes before it takes more than its limit', () => {
    const pool = new RegionPool(4 * MIB);
    for (let size = 1024; size <= 262_144; size *= 2) {
      pool.release(pool.allocate(size)!);
      expect(pool.reserved).toBeLessThanOrEqual(4 * MIB);
    }
    expect(pool.allocate(4 * MIB)).not.toBeNull();
    expect(pool.reserved).toBe(4 * MIB);
  });

  it('behaves as a simple model does, whatever is allocated and released', () => {
    const step = fc.oneof(
      fc.record({ allocate: fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 600_000 })) }),
      fc.record({ release: fc.nat() }),
      fc.record({ tick: fc.integer({ min: 0, max: 15_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const pool = new RegionPool(2 * MIB);
        const held: { region: Region; mark: number }[] = [];
        let used = 0;
        let now = 0;
        let mark = 0;
        for (const one of steps) {
          if ('allocate' in one) {
            const size = Math.max(1024, 2 ** Math.ceil(Math.log2(Math.max(1, one.allocate))));
            const region = pool.allocate(one.allocate);
            expect(region !== null).toBe(used + size <= pool.limit);
            if (region === null) continue;
            used += size;
            mark = (mark % 255) + 1;
            region.u8.fill(mark, region.start, region.start + region.size);
            held.push({ region, mark });
          } else if ('release' in one) {
            if (held.length === 0) continue;
            const [taken] = held.splice(one.release % held.length, 1);
            used -= taken!.region.size;
            pool.release(taken!.region);
          } else {
            now += one.tick;
            pool.tick(now);
          }
          expect(pool.used).toBe(used);
        }
        // No other region has written into one that is held.
        for (const { region, mark } of held) {
          const bytes = region.u8.subarray(region.start, region.start + region.size);
          expect(bytes.every((byte) => byte === mark)).toBe(true);
          pool.release(region);
        }
        expect(pool.used).toBe(0);
        pool.tick(now + 20_000);
        expect(pool.reserved).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});

describe('arenas', () => {
  it('that are pinned by one region each take at most twice the limit', () => {
    const limit = 16 * 2 ** 20;
    const pool = new RegionPool(limit);
    const pinned: Region[] = [];
    for (let size = 1024; size <= 2 ** 18; size *= 2) {
      const regions: Region[] = [];
      for (let region = pool.allocate(size); region !== null; region = pool.allocate(size)) regions.push(region);
      // One region per arena stays.
      const arenas = new Set<Uint8Array>();
      for (const region of regions) {
        if (arenas.has(region.u8)) pool.release(region);
        else arenas.add(region.u8);
        if (arenas.has(region.u8) && region.used) pinned.push(region);
      }
    }
    expect(pinned.length).toBeGreaterThan(16);
    expect(pool.reserved).toBeLessThanOrEqual(2 * limit + 9 * 2 ** 20);
  });
});
