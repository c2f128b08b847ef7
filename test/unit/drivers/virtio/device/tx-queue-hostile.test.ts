/**
 * The device's side of a transmit queue with a driver that lies: a chain that is no frame is given back and counted,
 * and nothing else happens.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_BURST } from '../../../../../drivers/virtio/device/packet-burst.js';
import { QueueCounter } from '../../../../../drivers/virtio/device/queue-counters.js';
import { MAX_FRAME_BYTES } from '../../../../../drivers/virtio/device/tx-queue.js';
import { DeviceTxSuite, frameBytes, HEADER } from '../../../../support/virtio/device-queue-suite.js';

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
const suite = new DeviceTxSuite();

describe('DeviceTxQueue on a split ring', () => {
  describe('gives a malformed chain back without a frame, counts it, and goes on:', () => {
    const good = (): number[] => {
      const frame = frameBytes(60);
      suite.driver.offer(suite.pieces([...HEADER, ...frame], [72]));
      return frame;
    };

    /** Offers head 15 (descriptors 12 to 15 were written by the test), then a sound chain. */
    function expectDropped(counter: keyof typeof QueueCounter): void {
      suite.split.offerHead(15);
      const frame = good();
      expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(1);
      expect(suite.content(0)).toEqual(frame);
      suite.queue.complete();
      expect(suite.driver.takeUsed().map(({ id }) => id)).toEqual([15, 0]);
      expect(suite.count(counter)).toBe(1);
      expect(suite.count('packets')).toBe(1);
    }

    it('a loop', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x4000, 4, NEXT, 14);
      suite.split.setDescriptor(14, 0x4000, 4, NEXT, 15);
      expectDropped('badLength');
    });

    it('a loop of empty descriptors', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x4000, 0, NEXT, 15);
      expectDropped('badLength');
    });

    it('a loop inside an indirect table', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x3_0000, 32, INDIRECT, 0);
      suite.split.setDescriptor(0, 0x4000, 0, NEXT, 1, 0x3_0000);
      suite.split.setDescriptor(1, 0x4000, 0, NEXT, 0, 0x3_0000);
      expectDropped('badLength');
    });

    it('a next beyond the table', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x4000, 20, NEXT, 16);
      expectDropped('badNext');
    });

    it('a next beyond the indirect table', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x3_0000, 16, INDIRECT, 0);
      suite.split.setDescriptor(0, 0x4000, 20, NEXT, 1, 0x3_0000);
      expectDropped('badNext');
    });

    it('a device-writable descriptor', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x4000, 72, WRITE, 0);
      expectDropped('badDirection');
    });

    it('an address outside the memory', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 1 << 20, 72, 0, 0);
      expectDropped('badAddress');
    });

    it('an address in front of the memory', () => {
      suite.setUp();
      suite.split.setDescriptor(15, -72, 72, 0, 0);
      expectDropped('badAddress');
    });

    it('a buffer that ends outside the memory', () => {
      suite.setUp();
      suite.split.setDescriptor(15, (1 << 20) - 71, 72, 0, 0);
      expectDropped('badAddress');
    });

    it('a length of 4 GiB less one', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x4000, 0xffffffff, 0, 0);
      expectDropped('badAddress');
    });

    it('an indirect table outside the memory', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 1 << 20, 16, INDIRECT, 0);
      expectDropped('badAddress');
    });

    it.each([0, 8, 24, 33])('an indirect table of %i bytes', (bytes) => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x3_0000, bytes, INDIRECT, 0);
      expectDropped('badIndirect');
    });

    it('an indirect table when that is not negotiated', () => {
      suite.setUp({ indirect: false });
      suite.split.setDescriptor(15, 0x3_0000, 16, INDIRECT, 0);
      expectDropped('badIndirect');
    });

    it('a table in a table', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x3_0000, 16, INDIRECT, 0);
      suite.split.setDescriptor(0, 0x3_0000, 16, INDIRECT, 0, 0x3_0000);
      expectDropped('badIndirect');
    });

    it('an indirect descriptor with another descriptor chained to it', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x3_0000, 16, INDIRECT | NEXT, 14);
      expectDropped('badIndirect');
    });

    it.each([1, 11, 12, 12 + 13])('a chain of %i bytes', (length) => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x4000, length, 0, 0);
      expectDropped('tooShort');
    });

    it('a frame longer than any may be', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x4000, 12 + MAX_FRAME_BYTES + 1, 0, 0);
      expectDropped('tooLong');
    });

    it('a frame that its many descriptors make too long', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 0x4000, 60000, NEXT, 14);
      suite.split.setDescriptor(14, 0x4000, 60000, NEXT, 15);
      expectDropped('tooLong');
    });

    it('a chain of more pieces than are read', () => {
      suite.setUp({ size: 128 });
      const lengths = Array.from({ length: 70 }, () => 2);
      suite.driver.offer(suite.pieces([...HEADER, ...frameBytes(128)], lengths));
      const frame = good();
      expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(1);
      expect(suite.content(0)).toEqual(frame);
      expect(suite.count('badSegments')).toBe(1);
    });

    it('a malformed chain alone: nothing is left to complete', () => {
      suite.setUp();
      suite.split.setDescriptor(15, 1 << 20, 72, 0, 0);
      suite.split.offerHead(15);
      expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(0);
      expect(suite.driver.takeUsed()).toEqual([{ id: 15, length: 0 }]);
    });
  });

  it('skips an avail entry that is no descriptor', () => {
    suite.setUp();
    suite.split.offerHead(16);
    suite.split.offerHead(65535);
    const head = suite.driver.offer(suite.pieces([...HEADER, ...frameBytes(60)], [72]));
    expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(1);
    suite.queue.complete();
    expect(suite.driver.takeUsed()).toEqual([{ id: head, length: 0 }]);
    expect(suite.count('badHead')).toBe(2);
  });

  it('stops at an avail index ahead by more than the queue, and says so once', () => {
    suite.setUp();
    const reasons: string[] = [];
    suite.queue.ring.onBroken = (reason) => reasons.push(reason);
    suite.split.setAvailIdx(17);
    expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(0);
    suite.split.setAvailIdx(1);
    expect(suite.queue.take(suite.burst, MAX_BURST)).toBe(0);
    expect(reasons).toEqual([expect.stringContaining('avail index 17')]);
    expect(suite.queue.enableKick()).toBe(true);
  });

  it('takes no more than the queue holds if a driver offers chains before any is back', () => {
    suite.setUp();
    for (let i = 0; i < 16; i++) suite.driver.offer(suite.pieces([...HEADER, ...frameBytes(20)], [32]));
    expect(suite.queue.take(suite.burst, 10)).toBe(10);
    suite.split.setAvailIdx(26);
    expect(suite.queue.take(suite.burst, 10)).toBe(6);
    expect(suite.queue.take(suite.burst, 10)).toBe(0);
    suite.queue.complete();
    expect(suite.driver.takeUsed()).toHaveLength(16);
  });

  it('survives any descriptor table, and takes only what lies in the memory', () => {
    const word = fc.nat(0xffffffff);
    const small = fc.oneof(fc.nat(15), fc.nat(0xffff));
    const descriptor = fc.record({
      offset: fc.oneof(fc.nat((1 << 20) + 100), word),
      length: fc.oneof(fc.nat(2000), word),
      flags: fc.oneof(fc.nat(7), fc.nat(0xffff)),
      next: small,
    });
    fc.assert(
      fc.property(
        fc.array(descriptor, { minLength: 16, maxLength: 16 }),
        fc.array(small, { maxLength: 16 }),
        (table, heads) => {
          suite.setUp();
          table.forEach((d, i) => {
            suite.split.setDescriptor(i, d.offset, d.length, d.flags, d.next);
          });
          for (const head of heads) suite.split.offerHead(head);
          const taken = suite.queue.take(suite.burst, MAX_BURST);
          for (let i = 0; i < taken; i++) {
            let sum = 0;
            for (let s = suite.burst.firstSegment[i]!; s < suite.burst.firstSegment[i + 1]!; s++) {
              expect(suite.burst.segmentOffset[s]! + suite.burst.segmentLength[s]!).toBeLessThanOrEqual(1 << 20);
              sum += suite.burst.segmentLength[s]!;
            }
            expect(suite.burst.length[i]).toBe(sum);
            expect(sum).toBeGreaterThanOrEqual(14);
          }
          suite.queue.complete();
          const back = heads.filter((head) => head < 16).length;
          expect(suite.driver.takeUsed()).toHaveLength(back);
          const dropped = [...suite.driver.options.counts.subarray(QueueCounter.badLength)].reduce(
            (sum, n) => sum + n,
            0,
          );
          expect(taken + dropped).toBe(back);
          suite.driver.close();
        },
      ),
      { numRuns: 500 },
    );
    suite.setUp();
  });
});
