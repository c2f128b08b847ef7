/**
 * The device's side of a packed ring with a driver that lies: each lie is counted or stops the ring, and changes
 * nothing outside of the driver's memory.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_BURST } from '../../../../../drivers/virtio/device/packet-burst.js';
import type { QueueCounter } from '../../../../../drivers/virtio/device/queue-counters.js';
import type { RingOptions } from '../../../../../drivers/virtio/device/ring.js';
import { MAX_FRAME_BYTES } from '../../../../../drivers/virtio/device/tx-queue.js';
import { ALL, PackedRingSuite } from '../../../../support/virtio/device-queue-suite.js';
import { MEMORY_BYTES } from '../../../../support/virtio/driver-model.js';
import type { RawDescriptor } from '../../../../support/virtio/packed-driver-model.js';

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
const TABLE = 0x3_0000;
const suite = new PackedRingSuite();

describe('a hostile driver', () => {
  /** Offers a bad chain, then a sound one. */
  function expectDropped(chain: readonly RawDescriptor[], counter: keyof typeof QueueCounter, options = {}): void {
    suite.setUp(options);
    suite.driver.offerRaw(chain.map((d) => ({ id: 9, ...d })));
    const id = suite.driver.offer([suite.sent(1)]);
    expect(suite.tx.take(suite.burst, MAX_BURST)).toBe(1);
    expect(suite.firstByte(0)).toBe(7);
    suite.tx.complete();
    expect(suite.driver.takeUsed().map((used) => used.id)).toEqual([9, id]);
    expect([suite.count(counter), suite.count('packets')]).toEqual([1, 1]);
    expect(suite.reasons).toEqual([]);
  }

  const at = 0x4000;
  const indirect = { offset: TABLE, flags: INDIRECT };
  it.each<[string, readonly RawDescriptor[], keyof typeof QueueCounter, Partial<RingOptions>?]>([
    ['a writable descriptor', [{ offset: at, length: 72, flags: WRITE }], 'badDirection'],
    ['an address outside', [{ offset: MEMORY_BYTES, length: 72, flags: 0 }], 'badAddress'],
    ['an end outside', [{ offset: MEMORY_BYTES - 71, length: 72, flags: 0 }], 'badAddress'],
    ['a length of 4 GiB less one', [{ offset: at, length: 0xffff_ffff, flags: 0 }], 'badAddress'],
    ['a short chain', [{ offset: at, length: 25, flags: 0 }], 'tooShort'],
    ['an empty descriptor', [{ offset: at, length: 0, flags: 0 }], 'tooShort'],
    ['a long frame', [{ offset: at, length: 12 + MAX_FRAME_BYTES + 1, flags: 0 }], 'tooLong'],
    ['an empty table', [{ ...indirect, length: 0 }], 'badIndirect'],
    ['an odd table', [{ ...indirect, length: 24 }], 'badIndirect'],
    ['a table outside', [{ offset: MEMORY_BYTES, length: 16, flags: INDIRECT }], 'badAddress'],
    ['a table not negotiated', [{ ...indirect, length: 16 }], 'badIndirect', { indirect: false }],
    [
      'a table with something chained on',
      [
        { offset: TABLE, length: 16, flags: INDIRECT | NEXT },
        { offset: at, length: 72, flags: 0 },
      ],
      'badIndirect',
    ],
    [
      'a table in a list',
      [
        { offset: at, length: 12, flags: NEXT },
        { ...indirect, length: 16 },
      ],
      'badIndirect',
    ],
    [
      'a fault in the middle of a list, which is skipped to its end',
      [
        { offset: at, length: 12, flags: NEXT, id: 1 },
        { offset: -72, length: 72, flags: NEXT, id: 2 },
        { offset: at, length: 72, flags: NEXT | WRITE, id: 3 },
        { offset: at, length: 72, flags: 0 },
      ],
      'badAddress',
    ],
    [
      'more segments than are handled',
      Array.from({ length: 70 }, (_, i) => ({ offset: at + i, length: 1, flags: i < 69 ? NEXT : 0 })),
      'badSegments',
      { size: 128 },
    ],
    [
      'more descriptors than are read',
      Array.from({ length: 200 }, (_, i) => ({ offset: at, length: 0, flags: i < 199 ? NEXT : 0 })),
      'badLength',
      { size: 256 },
    ],
  ])('%s: is counted and given back, and the next chain is taken', (_, chain, counter, options) => {
    expectDropped(chain, counter, options);
  });

  it('a long chain that another one leaves no room for is read once, not per frame', () => {
    suite.setUp({ mergeable: true, size: 512 });
    const piece = { offset: at, length: 1, flags: WRITE };
    suite.driver.offerRaw([{ ...piece, length: 20, id: 1 }]);
    suite.driver.offerRaw(
      Array.from({ length: 400 }, (_, i) => ({ ...piece, flags: i < 399 ? WRITE | NEXT : WRITE, id: 2 })),
    );
    suite.burst.push(0x5000, 500);
    suite.burst.push(0x5000, 500);
    expect(suite.rx.put(suite.burst, ALL, 2)).toBe(0);
    expect([suite.count('badLength'), suite.count('noRoom'), suite.count('noBuffer')]).toEqual([1, 0, 2]);
    expect(suite.driver.takeUsed()).toEqual([1, 2].map((id) => ({ id, length: 0 })));
    expect(suite.reasons).toEqual([]);
  });

  it('a huge indirect table of empty descriptors is not read to its end', () => {
    suite.setUp();
    suite.driver.memory.u8.fill(0, TABLE, TABLE + 0x4000);
    suite.driver.offerRaw([{ offset: TABLE, length: 0x4000, flags: INDIRECT }]);
    expect(suite.tx.take(suite.burst, MAX_BURST)).toBe(0);
    expect([suite.count('badLength'), suite.driver.takeUsed().length]).toEqual([1, 1]);
  });

  it.each([
    ['goes on in a descriptor that is not available', [{ offset: 0x4000, length: 20, flags: NEXT }]],
    ['is a loop', Array.from({ length: 16 }, () => ({ offset: 0x4000, length: 20, flags: NEXT }))],
  ])('a chain that %s stops the ring, once, in both directions', (_, chain) => {
    suite.setUp();
    suite.driver.offerRaw(chain);
    expect(suite.tx.take(suite.burst, MAX_BURST)).toBe(0);
    expect(suite.reasons).toEqual([
      expect.stringMatching(/chain at descriptor 0 goes on at \d+, which is not available/),
    ]);
    expect([suite.tx.take(suite.burst, MAX_BURST), suite.tx.enableKick(), suite.tx.ring.live]).toEqual([
      0,
      true,
      false,
    ]);
    suite.tx.complete();
    expect(suite.driver.takeUsed()).toEqual([]);
    suite.burst.clear();
    suite.burst.push(0x5000, 60);
    suite.burst.push(0x5000, 60);
    suite.driver.close();
    suite.setUp();
    suite.driver.offerRaw(chain.map((d) => ({ ...d, flags: d.flags | WRITE })));
    suite.burst.push(0x5000, 1500);
    suite.burst.push(0x5000, 60);
    expect(suite.rx.put(suite.burst, ALL, 2)).toBe(0);
    expect(suite.reasons).toHaveLength(1);
    expect(suite.count('noBuffer')).toBe(2);
  });

  it('takes no more descriptors than the ring has if held ones are offered again', () => {
    suite.setUp();
    for (let i = 0; i < 16; i++) suite.driver.offer([suite.sent(i)]);
    expect(suite.tx.take(suite.burst, 10)).toBe(10);
    suite.driver.scribble(Array.from({ length: 16 }, () => ({ offset: 0x4000, length: 72, flags: 0, id: 1 })));
    expect(suite.tx.take(suite.burst, 32)).toBeLessThanOrEqual(6);
    expect(suite.tx.take(suite.burst, 32)).toBeLessThanOrEqual(6);
    suite.tx.complete();
    expect(suite.count('packets')).toBeLessThanOrEqual(16);
  });

  it('whatever is in the ring, both queues touch only memory that is theirs', () => {
    const word = fc.nat(0xffff_ffff);
    const descriptor = fc.record({
      offset: fc.oneof(fc.integer({ min: 0x4_0000, max: MEMORY_BYTES + 100 }), word),
      length: fc.oneof(fc.nat(2000), word),
      flags: fc.oneof(fc.constantFrom(0, 1, 2, 3, 4), fc.nat(0xffff)),
      id: fc.nat(0xffff),
      unmarked: fc.oneof(fc.constant(false), fc.boolean()),
    });
    const ring = fc.array(descriptor, { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(
        ring,
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom(0x8000, 0, 0x8005),
        (table, mergeable, indirect, base) => {
          suite.setUp({ mergeable, indirect, base, size: 13 });
          suite.driver.scribble(table);
          const taken = suite.tx.take(suite.burst, MAX_BURST);
          for (let i = 0; i < taken; i++) {
            let sum = 0;
            for (let s = suite.burst.firstSegment[i]!; s < suite.burst.firstSegment[i + 1]!; s++) {
              expect(suite.burst.segmentOffset[s]! + suite.burst.segmentLength[s]!).toBeLessThanOrEqual(MEMORY_BYTES);
              sum += suite.burst.segmentLength[s]!;
            }
            expect(suite.burst.length[i]).toBe(sum);
          }
          suite.tx.complete();
          suite.driver.scribble(table.map((d) => ({ ...d, flags: d.flags | WRITE })));
          const { u8 } = suite.driver.memory;
          const below = u8.slice(0, suite.driver.place.desc);
          const behind = u8.slice(suite.driver.place.desc + 13 * 16, suite.driver.place.used);
          suite.burst.clear();
          for (let i = 0; i < 8; i++) suite.burst.push(0x1_9000, 60 + 100 * i);
          suite.burst.memory = suite.driver.memory;
          // Descriptors may name any byte from 0x40000 on. Below that, only the ring belongs to the queues.
          if (table.every(({ offset }) => offset >= 0x4_0000)) {
            expect(suite.rx.put(suite.burst, ALL, 8)).toBeLessThanOrEqual(8);
            expect(Buffer.compare(u8.subarray(0, suite.driver.place.desc), below)).toBe(0);
            expect(
              Buffer.compare(u8.subarray(suite.driver.place.desc + 13 * 16, suite.driver.place.used), behind),
            ).toBe(0);
          }
          suite.driver.close();
        },
      ),
      { numRuns: 500 },
    );
    suite.setUp();
  });
});
