/** The device's side of a receive queue with a driver that lies: it writes only into buffers that are sound. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { QueueCounter } from '../../../../../drivers/virtio/device/queue-counters.js';
import { ALL, DeviceRxSuite } from '../../../../support/virtio/device-queue-suite.js';

const suite = new DeviceRxSuite();

describe('DeviceRxQueue on a split ring', () => {
  describe('gives a malformed buffer back empty, counts it, and uses the next:', () => {
    function expectSkipped(counter: keyof typeof QueueCounter): void {
      const bad = suite.driver.takeUsed();
      expect(bad).toEqual([]);
      const head = suite.post([100]);
      const bytes = suite.packet([60], 1);
      expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
      const used = suite.driver.takeUsed();
      expect(used[0]).toEqual({ id: 15, length: 0 });
      expect(used[1]).toEqual({ id: head, length: 72 });
      expect(suite.found(used[1]!).slice(12)).toEqual(bytes);
      expect(suite.count(counter)).toBe(1);
    }

    it('a buffer that the device may only read', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x4000, 2048, 0, 0);
      suite.split.offerHead(15);
      expectSkipped('badDirection');
    });

    it('a buffer outside the memory', () => {
      suite.setUp();
      suite.split.setDescriptor(15, (1 << 20) - 100, 2048, 2, 0);
      suite.split.offerHead(15);
      expectSkipped('badAddress');
    });

    it('a loop', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x4000, 1, 3, 15);
      suite.split.offerHead(15);
      expectSkipped('badLength');
    });

    it('a buffer of more descriptors than any frame needs, however long the queue', () => {
      suite.setUp({ size: 256 });
      for (let id = 15; id < 200; id++) suite.split.setDescriptor(id, 0x4_0000, 0, 3, id + 1);
      suite.split.setDescriptor(200, 0x4_0000, 2048, 2, 0);
      suite.split.offerHead(15);
      expectSkipped('badLength');
    });

    it('a buffer that does not hold the header', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x4000, 11, 2, 0);
      suite.split.offerHead(15);
      expectSkipped('smallBuffer');
    });
  });

  it('gives back at most a burst of malformed buffers at once: other ports wait', () => {
    suite.setUp({ size: 256 });
    suite.split.setDescriptor(15, 0x4_0000, 2048, 0, 0);
    for (let i = 0; i < 100; i++) suite.split.offerHead(15);
    suite.packet([60], 1);
    for (const discarded of [32, 32, 32]) {
      expect(suite.queue.put(suite.burst, ALL, 1)).toBe(0);
      expect(suite.driver.takeUsed()).toHaveLength(discarded);
    }
    suite.post([100]);
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
    expect([suite.count('badDirection'), suite.count('noBuffer')]).toEqual([100, 3]);
  });

  it('skips an avail entry that is no descriptor', () => {
    suite.setUp();
    suite.split.offerHead(16);
    const head = suite.post([100]);
    suite.packet([60], 1);
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
    expect(suite.driver.takeUsed()).toEqual([{ id: head, length: 72 }]);
    expect(suite.count('badHead')).toBe(1);
  });

  it('gives back the buffers before a malformed one that a frame was to be spread over', () => {
    suite.setUp();
    const first = suite.post([40]);
    suite.split.setDescriptor(15, 0x4000, 40, 0, 0);
    suite.split.offerHead(15);
    const good = suite.post([200]);
    const bytes = suite.packet([100], 1);
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(1);
    const used = suite.driver.takeUsed();
    expect(used).toEqual([
      { id: first, length: 0 },
      { id: 15, length: 0 },
      { id: good, length: 112 },
    ]);
    expect(suite.found(used[2]!).slice(12)).toEqual(bytes);
  });

  it('stops at an avail index that jumps, and touches nothing once it is stopped', () => {
    suite.setUp();
    suite.post([100]);
    suite.packet([60], 1);
    suite.split.setAvailIdx(40);
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(0);
    expect(suite.queue.ring.live).toBe(false);
    expect(suite.driver.takeUsed()).toEqual([]);
    // Found by fuzzing (split-device-rx): no counter had the frames for a ring that had just stopped.
    expect(suite.count('noDriver')).toBe(1);
    expect(suite.queue.put(suite.burst, ALL, 1)).toBe(0);
    expect(suite.count('noDriver')).toBe(2);
  });

  it('survives any descriptors, and writes only inside buffers that they name', () => {
    const word = fc.nat(0xffffffff);
    const descriptor = fc.record({
      offset: fc.integer({ min: 0x8_0000, max: (1 << 20) + 100 }),
      length: fc.oneof(fc.nat(2000), word),
      flags: fc.oneof(fc.constantFrom(2, 3), fc.nat(0xffff)),
      next: fc.oneof(fc.nat(15), fc.nat(0xffff)),
    });
    const heads = fc.array(fc.oneof(fc.nat(15), fc.nat(0xffff)), { maxLength: 16 });
    fc.assert(
      fc.property(
        fc.array(descriptor, { minLength: 16, maxLength: 16 }),
        heads,
        fc.boolean(),
        (table, heads, mergeable) => {
          suite.setUp({ mergeable, indirect: false });
          table.forEach((d, i) => {
            suite.split.setDescriptor(i, d.offset, d.length, d.flags, d.next);
          });
          for (const head of heads) suite.split.offerHead(head);
          const before = suite.driver.memory.u8.slice(0, suite.driver.place.used);
          for (let i = 0; i < 8; i++) suite.packet([60 + 100 * i], i);
          const delivered = suite.queue.put(suite.burst, ALL, 8);
          expect(delivered).toBeLessThanOrEqual(8);
          // Table and avail ring lie below all buffers.
          expect(Buffer.compare(suite.driver.memory.u8.subarray(0, suite.driver.place.used), before)).toBe(0);
          expect(suite.driver.takeUsed().every(({ id }) => id < 16)).toBe(true);
          suite.driver.close();
        },
      ),
      { numRuns: 500 },
    );
    suite.setUp();
  });
});
