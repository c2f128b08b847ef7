import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpscRing } from '../../../rings/spsc-ring.js';
import { put, take } from '../../support/rings/ring-packets.js';
import type { RingReport, RingWork } from '../../support/rings/ring-worker-data.js';

/** Producer and consumer over one region, as two threads would have them. */
function pair(capacity: number, firstIndex = 0, byteOffset = 0) {
  const buffer = new SharedArrayBuffer(byteOffset + SpscRing.bytesFor(capacity));
  SpscRing.reset(buffer, byteOffset, firstIndex);
  return {
    producer: new SpscRing(buffer, byteOffset, capacity),
    consumer: new SpscRing(buffer, byteOffset, capacity),
  };
}

describe('SpscRing', () => {
  it('hands over bursts in order, handles and lengths of all 16 bits', () => {
    const { producer, consumer } = pair(8);
    const handles = Uint32Array.of(99, 0, 0xffff, 7);
    const lengths = Uint32Array.of(99, 60, 0xffff, 1514);
    expect(producer.enqueueBurst(handles, lengths, 1, 3)).toBe(3);
    expect(take(consumer, 32)).toEqual([
      [0, 60],
      [0xffff, 0xffff],
      [7, 1514],
    ]);
    expect(take(consumer, 32)).toEqual([]);
  });

  it('holds its full capacity, takes as many as fit, and goes on when there is room', () => {
    const { producer, consumer } = pair(4);
    const numbers = Uint32Array.of(1, 2, 3, 4, 5, 6);
    expect(producer.capacity).toBe(4);
    expect(producer.enqueueBurst(numbers, numbers, 0, 6)).toBe(4);
    expect(producer.enqueueBurst(numbers, numbers, 4, 2)).toBe(0);
    expect(put(producer, 5, 5)).toBe(false);
    expect(producer.count).toBe(4);
    expect(take(consumer, 1)).toEqual([[1, 1]]);
    expect(consumer.count).toBe(3);
    expect(put(producer, 5, 5)).toBe(true);
    expect(take(consumer, 8).map(([handle]) => handle)).toEqual([2, 3, 4, 5]);
  });

  it('continues at the indexes of the ring when a side attaches late', () => {
    const buffer = new SharedArrayBuffer(SpscRing.bytesFor(4));
    put(new SpscRing(buffer, 0, 4), 1, 2);
    expect(put(new SpscRing(buffer, 0, 4), 3, 4)).toBe(true);
    expect(take(new SpscRing(buffer, 0, 4), 4)).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it('writes only to its region', () => {
    const bytes = SpscRing.bytesFor(16);
    expect(bytes % 128).toBe(0);
    const buffer = new SharedArrayBuffer(3 * bytes);
    const ring = new SpscRing(buffer, bytes, 16);
    const ones = new Uint32Array(16).fill(0xffff);
    for (let i = 0; i < 5; i++) {
      expect(ring.enqueueBurst(ones, ones, 0, 16)).toBe(16);
      expect(ring.dequeueBurst(new Uint32Array(16), new Uint32Array(16), 16)).toBe(16);
    }
    expect(new Uint8Array(buffer, 0, bytes).every((byte) => byte === 0)).toBe(true);
    expect(new Uint8Array(buffer, 2 * bytes).every((byte) => byte === 0)).toBe(true);
  });

  it('refuses an impossible capacity or place', () => {
    for (const capacity of [0, 1, 3, 48, -8, 2.5, Number.NaN, 2 ** 30]) {
      expect(() => SpscRing.bytesFor(capacity)).toThrow(/power of two/);
    }
    const buffer = new SharedArrayBuffer(SpscRing.bytesFor(16));
    expect(() => new SpscRing(buffer, 64, 16)).toThrow(/offset 64/);
    expect(() => new SpscRing(buffer, 128, 16)).toThrow(/inside the memory/);
    expect(() => new SpscRing(buffer, 0, 64)).toThrow(/inside the memory/);
  });

  it('behaves as a bounded queue, also when its indexes pass 2^31 and 2^32', () => {
    const operation = fc.record({ enqueue: fc.boolean(), burst: fc.integer({ min: 0, max: 40 }) });
    const firstIndex = fc.oneof(
      fc.integer({ min: -100, max: 0 }),
      fc.integer({ min: 2 ** 31 - 100, max: 2 ** 31 }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    );
    const capacity = fc.constantFrom(2, 8, 32, 64);
    fc.assert(
      fc.property(capacity, firstIndex, fc.array(operation, { maxLength: 200 }), (size, first, operations) => {
        const { producer, consumer } = pair(size, first);
        const model: [number, number][] = [];
        let next = 0;
        for (const { enqueue, burst } of operations) {
          if (enqueue) {
            const handles = Uint32Array.from({ length: burst }, (_, i) => next + i);
            const lengths = handles.map((handle) => handle * 3);
            const accepted = producer.enqueueBurst(handles, lengths, 0, burst);
            expect(accepted).toBe(Math.min(burst, size - model.length));
            for (let i = 0; i < accepted; i++) model.push([next + i, (next + i) * 3]);
            next += accepted;
          } else {
            expect(take(consumer, burst)).toEqual(model.splice(0, burst));
          }
          expect(producer.count).toBe(model.length);
          expect(consumer.count).toBe(model.length);
          expect(consumer.looksEmpty).toBe(model.length === 0);
        }
      }),
    );
  });

  it.each([
    ['each side by itself', false],
    ['by the sides of many rings', true],
  ])('moves 300,000 packets between two threads, in order, %s', async (_, byFans) => {
    const capacity = 256;
    const workerData: RingWork = {
      buffer: new SharedArrayBuffer(SpscRing.bytesFor(capacity)),
      capacity,
      total: 300_000,
      burst: 32,
      byFans,
    };
    const start = (name: string) =>
      new Worker(new URL(`../../../dist/test/support/rings/${name}.worker.js`, import.meta.url), { workerData });
    const consumer = start('ring-consumer');
    const producer = start('ring-producer');
    try {
      const report = await new Promise<RingReport>((resolve, reject) => {
        consumer.once('message', resolve);
        consumer.once('error', reject);
        producer.once('error', reject);
      });
      expect(report).toMatchObject({ received: 300_000, error: '' });
    } finally {
      await Promise.all([consumer.terminate(), producer.terminate()]);
    }
  });
});
