import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferPool, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../../rings/buffer-pool.js';

const geometry = { count: 64, shift: 11, base: 4096 };

describe('BufferPool', () => {
  it('gives out every buffer once, then NO_BUFFER', () => {
    const pool = new BufferPool(geometry);
    const seen = new Set<number>();
    for (let i = 0; i < 64; i++) seen.add(pool.get());
    expect(seen.size).toBe(64);
    expect(pool.get()).toBe(NO_BUFFER);
  });

  it('owns only the handles of its range', () => {
    const pool = new BufferPool(geometry, 8, 16);
    expect(pool.available).toBe(8);
    for (let i = 0; i < 8; i++) expect(pool.get()).toBe(8 + i);
  });

  it('places buffers one after the other, the IP header 4-byte aligned', () => {
    const pool = new BufferPool(geometry);
    expect(pool.offsetOf(0)).toBe(4096);
    for (let handle = 0; handle < 64; handle++) {
      const inSlot = pool.offsetOf(handle) - (4096 + handle * 2048);
      expect(inSlot).toBeGreaterThanOrEqual(0);
      expect(inSlot + FRAME_OFFSET + frameCapacity(11)).toBeLessThanOrEqual(2048);
      expect(pool.offsetOf(handle) % 128).toBe(0);
    }
    expect((FRAME_OFFSET + 14) % 4).toBe(0);
    expect(frameCapacity(11)).toBeGreaterThanOrEqual(1518);
  });

  it('spreads the starts of any 24 buffers in a row evenly over the sets of a cache', () => {
    const pool = new BufferPool(geometry);
    for (let first = 0; first + 24 <= 64; first++) {
      const places = new Map<number, number>();
      for (let handle = first; handle < first + 24; handle++) {
        const place = pool.offsetOf(handle) % 4096;
        places.set(place, (places.get(place) ?? 0) + 1);
      }
      expect([...places.values()]).toEqual(new Array(8).fill(3));
    }
  });

  it('refuses a range outside the geometry', () => {
    expect(() => new BufferPool(geometry, 0, 65)).toThrow(/64 buffers/);
  });

  it('never gives one buffer to two owners, in any order of get and put', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 500 }), (gets) => {
        const pool = new BufferPool(geometry);
        const held = new Set<number>();
        for (const get of gets) {
          if (get) {
            const handle = pool.get();
            if (handle === NO_BUFFER) expect(held.size).toBe(64);
            else expect(held.has(handle)).toBe(false);
            if (handle !== NO_BUFFER) held.add(handle);
          } else {
            const [handle] = held;
            if (handle === undefined) continue;
            held.delete(handle);
            pool.put(handle);
          }
          expect(pool.available + held.size).toBe(64);
        }
      }),
    );
  });
});
