import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RingOptions } from '../../drivers/virtio/device-ring.js';
import { DeviceTxQueue, MAX_FRAME_BYTES } from '../../drivers/virtio/device-tx-queue.js';
import { MAX_BURST, MAX_SEGMENTS_PER_PACKET, PacketBurst } from '../../drivers/virtio/packet-burst.js';
import { QueueCounter } from '../../drivers/virtio/queue-counters.js';
import type { DriverModel, Part } from '../support/driver-model.js';
import { PackedDriver } from '../support/packed-driver.js';
import { SplitDriver } from '../support/split-driver.js';

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;

let layout: 'split' | 'packed' = 'split';
let driver: DriverModel;
/** The same, where the layout is split. */
let split: SplitDriver;
let queue: DeviceTxQueue;
let burst: PacketBurst;

function setUp(options: Partial<RingOptions> = {}): void {
  if (layout === 'split') {
    split = new SplitDriver(options);
    driver = split;
  } else {
    driver = new PackedDriver(options);
  }
  queue = new DeviceTxQueue(driver, driver.place, driver.options);
  burst = new PacketBurst(driver.memory);
}

afterEach(() => driver.close());

const count = (counter: keyof typeof QueueCounter): number => driver.options.counts[QueueCounter[counter]]!;

/** Contents of packet i of the burst. */
function content(i: number): number[] {
  const bytes: number[] = [];
  for (let s = burst.firstSegment[i]!; s < burst.firstSegment[i + 1]!; s++) {
    const at = burst.segmentOffset[s]!;
    expect(burst.segmentLength[s]).toBeGreaterThan(0);
    bytes.push(...burst.memory.u8.slice(at, at + burst.segmentLength[s]!));
  }
  expect(bytes.length).toBe(burst.length[i]);
  return bytes;
}

/** Puts bytes into fresh buffers, cut into pieces of these lengths. */
function pieces(bytes: readonly number[], lengths: readonly number[]): Part[] {
  let from = 0;
  return lengths.map((length, i) => {
    const offset = driver.buffer(length, (i * 13) % 64);
    driver.memory.u8.set(bytes.slice(from, from + length), offset);
    from += length;
    return { offset, length };
  });
}

const HEADER = Array.from({ length: 12 }, () => 0xee);
const frameOf = (length: number, seed = 1): number[] => Array.from({ length }, (_, i) => (i * seed + 3) & 0xff);

describe.each(['split', 'packed'] as const)('DeviceTxQueue on a %s ring', (which) => {
  beforeEach(() => {
    layout = which;
  });

  afterEach(() => {
    layout = 'split';
  });

  it('takes a frame that follows its header in one descriptor, and gives the chain back', () => {
    setUp();
    const frame = frameOf(60);
    const head = driver.offer(pieces([...HEADER, ...frame], [72]));
    expect(queue.take(burst, MAX_BURST)).toBe(1);
    expect(content(0)).toEqual(frame);
    expect(driver.takeUsed()).toEqual([]);
    queue.complete();
    expect(driver.takeUsed()).toEqual([{ id: head, length: 0 }]);
    expect(count('packets')).toBe(1);
    expect(count('bytes')).toBe(60);
    expect(queue.take(burst, MAX_BURST)).toBe(0);
  });

  it('takes a header of 10 bytes from a legacy driver', () => {
    setUp({ headerBytes: 10, mergeable: false });
    const frame = frameOf(64);
    driver.offer(pieces([...HEADER.slice(2), ...frame], [10, 64]));
    expect(queue.take(burst, MAX_BURST)).toBe(1);
    expect(content(0)).toEqual(frame);
  });

  it('takes at most max frames, at most a burst, and goes on from there', () => {
    setUp({ size: 64 });
    for (let i = 0; i < 50; i++) driver.offer(pieces([...HEADER, ...frameOf(20, i)], [32]));
    expect(queue.take(burst, 5)).toBe(5);
    queue.complete();
    expect(queue.take(burst, 1000)).toBe(MAX_BURST);
    expect(content(0)).toEqual(frameOf(20, 5));
    queue.complete();
    expect(queue.take(burst, 1000)).toBe(50 - 5 - MAX_BURST);
    queue.complete();
    expect(driver.takeUsed()).toHaveLength(50);
  });

  it('brings out any frame, however header and frame are cut into direct and indirect descriptors', () => {
    const cuts = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 12 });
    const packets = fc.array(
      fc.record({ cuts, seed: fc.nat(250), direct: fc.nat(3), more: fc.integer({ min: 26, max: 300 }) }),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(packets, fc.boolean(), (specs, indirect) => {
        setUp({ size: 64, indirect });
        const expected = specs.map(({ cuts, seed, direct, more }) => {
          const lengths = [...cuts, more];
          const total = lengths.reduce((sum, length) => sum + length, 0);
          const frame = frameOf(total - 12, seed);
          driver.offer(
            pieces([...HEADER, ...frame], lengths),
            indirect ? Math.min(direct, lengths.length) : lengths.length,
          );
          return frame;
        });
        expect(queue.take(burst, MAX_BURST)).toBe(specs.length);
        expect(specs.map((_, i) => content(i))).toEqual(expected);
        queue.complete();
        expect(driver.takeUsed()).toHaveLength(specs.length);
        driver.close();
      }),
      { numRuns: 200 },
    );
    setUp();
  });
});

describe('DeviceTxQueue on a split ring', () => {
  it('follows the indexes past 65535', () => {
    setUp({ base: 65530 });
    for (let i = 0; i < 12; i++) {
      driver.offer(pieces([...HEADER, ...frameOf(14 + i)], [26 + i]));
      expect(queue.take(burst, MAX_BURST)).toBe(1);
      expect(content(0)).toEqual(frameOf(14 + i));
      queue.complete();
      expect(driver.takeUsed()).toHaveLength(1);
    }
  });

  describe('gives a malformed chain back without a frame, counts it, and goes on', () => {
    const good = (): number[] => {
      const frame = frameOf(60);
      driver.offer(pieces([...HEADER, ...frame], [72]));
      return frame;
    };

    /** Offers head 15 (descriptors 12 to 15 were written by the test), then a sound chain. */
    function expectDropped(counter: keyof typeof QueueCounter): void {
      split.offerHead(15);
      const frame = good();
      expect(queue.take(burst, MAX_BURST)).toBe(1);
      expect(content(0)).toEqual(frame);
      queue.complete();
      expect(driver.takeUsed().map(({ id }) => id)).toEqual([15, 0]);
      expect(count(counter)).toBe(1);
      expect(count('packets')).toBe(1);
    }

    it('a loop', () => {
      setUp();
      split.setDescriptor(15, 0x4000, 4, NEXT, 14);
      split.setDescriptor(14, 0x4000, 4, NEXT, 15);
      expectDropped('badLength');
    });

    it('a loop of empty descriptors', () => {
      setUp();
      split.setDescriptor(15, 0x4000, 0, NEXT, 15);
      expectDropped('badLength');
    });

    it('a loop inside an indirect table', () => {
      setUp();
      split.setDescriptor(15, 0x3_0000, 32, INDIRECT, 0);
      split.setDescriptor(0, 0x4000, 0, NEXT, 1, 0x3_0000);
      split.setDescriptor(1, 0x4000, 0, NEXT, 0, 0x3_0000);
      expectDropped('badLength');
    });

    it('a next beyond the table', () => {
      setUp();
      split.setDescriptor(15, 0x4000, 20, NEXT, 16);
      expectDropped('badNext');
    });

    it('a next beyond the indirect table', () => {
      setUp();
      split.setDescriptor(15, 0x3_0000, 16, INDIRECT, 0);
      split.setDescriptor(0, 0x4000, 20, NEXT, 1, 0x3_0000);
      expectDropped('badNext');
    });

    it('a device-writable descriptor', () => {
      setUp();
      split.setDescriptor(15, 0x4000, 72, WRITE, 0);
      expectDropped('badDirection');
    });

    it('an address outside the memory', () => {
      setUp();
      split.setDescriptor(15, 1 << 20, 72, 0, 0);
      expectDropped('badAddress');
    });

    it('an address in front of the memory', () => {
      setUp();
      split.setDescriptor(15, -72, 72, 0, 0);
      expectDropped('badAddress');
    });

    it('a buffer that ends outside the memory', () => {
      setUp();
      split.setDescriptor(15, (1 << 20) - 71, 72, 0, 0);
      expectDropped('badAddress');
    });

    it('a length of 4 GiB less one', () => {
      setUp();
      split.setDescriptor(15, 0x4000, 0xffffffff, 0, 0);
      expectDropped('badAddress');
    });

    it('an indirect table outside the memory', () => {
      setUp();
      split.setDescriptor(15, 1 << 20, 16, INDIRECT, 0);
      expectDropped('badAddress');
    });

    it.each([0, 8, 24, 33])('an indirect table of %i bytes', (bytes) => {
      setUp();
      split.setDescriptor(15, 0x3_0000, bytes, INDIRECT, 0);
      expectDropped('badIndirect');
    });

    it('an indirect table when that is not negotiated', () => {
      setUp({ indirect: false });
      split.setDescriptor(15, 0x3_0000, 16, INDIRECT, 0);
      expectDropped('badIndirect');
    });

    it('a table in a table', () => {
      setUp();
      split.setDescriptor(15, 0x3_0000, 16, INDIRECT, 0);
      split.setDescriptor(0, 0x3_0000, 16, INDIRECT, 0, 0x3_0000);
      expectDropped('badIndirect');
    });

    it('an indirect descriptor with something chained on', () => {
      setUp();
      split.setDescriptor(15, 0x3_0000, 16, INDIRECT | NEXT, 14);
      expectDropped('badIndirect');
    });

    it.each([1, 11, 12, 12 + 13])('a chain of %i bytes', (length) => {
      setUp();
      split.setDescriptor(15, 0x4000, length, 0, 0);
      expectDropped('tooShort');
    });

    it('a frame longer than any', () => {
      setUp();
      split.setDescriptor(15, 0x4000, 12 + MAX_FRAME_BYTES + 1, 0, 0);
      expectDropped('tooLong');
    });

    it('a frame that its many descriptors make too long', () => {
      setUp();
      split.setDescriptor(15, 0x4000, 60000, NEXT, 14);
      split.setDescriptor(14, 0x4000, 60000, NEXT, 15);
      expectDropped('tooLong');
    });

    it('a frame in more pieces than a burst has room for', () => {
      setUp({ size: 64 });
      const lengths = Array.from({ length: MAX_SEGMENTS_PER_PACKET + 1 }, () => 20);
      driver.offer(pieces([...HEADER, ...frameOf(lengths.length * 20 - 12)], [12, 8, ...lengths.slice(1)]));
      const frame = good();
      expect(queue.take(burst, MAX_BURST)).toBe(1);
      expect(content(0)).toEqual(frame);
      expect(count('badSegments')).toBe(1);
    });

    it('a chain of more pieces than are walked', () => {
      setUp({ size: 128 });
      const lengths = Array.from({ length: 70 }, () => 2);
      driver.offer(pieces([...HEADER, ...frameOf(128)], lengths));
      const frame = good();
      expect(queue.take(burst, MAX_BURST)).toBe(1);
      expect(content(0)).toEqual(frame);
      expect(count('badSegments')).toBe(1);
    });

    it('alone: nothing to complete is left', () => {
      setUp();
      split.setDescriptor(15, 1 << 20, 72, 0, 0);
      split.offerHead(15);
      expect(queue.take(burst, MAX_BURST)).toBe(0);
      expect(driver.takeUsed()).toEqual([{ id: 15, length: 0 }]);
    });
  });

  it('skips an avail entry that is no descriptor', () => {
    setUp();
    split.offerHead(16);
    split.offerHead(65535);
    const head = driver.offer(pieces([...HEADER, ...frameOf(60)], [72]));
    expect(queue.take(burst, MAX_BURST)).toBe(1);
    queue.complete();
    expect(driver.takeUsed()).toEqual([{ id: head, length: 0 }]);
    expect(count('badHead')).toBe(2);
  });

  it('stops at an avail index that is ahead by more than the queue, and says so once', () => {
    setUp();
    const reasons: string[] = [];
    queue.ring.onBroken = (reason) => reasons.push(reason);
    split.setAvailIdx(17);
    expect(queue.take(burst, MAX_BURST)).toBe(0);
    split.setAvailIdx(1);
    expect(queue.take(burst, MAX_BURST)).toBe(0);
    expect(reasons).toEqual([expect.stringContaining('avail index 17')]);
    expect(queue.enableKick()).toBe(true);
  });

  it('never takes more than the queue holds, if the driver offers chains before it got any back', () => {
    setUp();
    for (let i = 0; i < 16; i++) driver.offer(pieces([...HEADER, ...frameOf(20)], [32]));
    expect(queue.take(burst, 10)).toBe(10);
    split.setAvailIdx(26);
    expect(queue.take(burst, 10)).toBe(6);
    expect(queue.take(burst, 10)).toBe(0);
    queue.complete();
    expect(driver.takeUsed()).toHaveLength(16);
  });

  it('touches nothing once it is stopped', () => {
    setUp();
    driver.offer(pieces([...HEADER, ...frameOf(60)], [72]));
    expect(queue.take(burst, MAX_BURST)).toBe(1);
    expect(queue.ring.stop()).toBe(1);
    queue.complete();
    queue.disableKick();
    expect(driver.takeUsed()).toEqual([]);
    expect(split.usedFlags).toBe(0);
    expect(queue.take(burst, MAX_BURST)).toBe(0);
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
          setUp();
          table.forEach((d, i) => {
            split.setDescriptor(i, d.offset, d.length, d.flags, d.next);
          });
          for (const head of heads) split.offerHead(head);
          const taken = queue.take(burst, MAX_BURST);
          for (let i = 0; i < taken; i++) {
            let sum = 0;
            for (let s = burst.firstSegment[i]!; s < burst.firstSegment[i + 1]!; s++) {
              expect(burst.segmentOffset[s]! + burst.segmentLength[s]!).toBeLessThanOrEqual(1 << 20);
              sum += burst.segmentLength[s]!;
            }
            expect(burst.length[i]).toBe(sum);
            expect(sum).toBeGreaterThanOrEqual(14);
          }
          queue.complete();
          const back = heads.filter((head) => head < 16).length;
          expect(driver.takeUsed()).toHaveLength(back);
          const dropped = [...driver.options.counts.subarray(QueueCounter.badLength)].reduce((sum, n) => sum + n, 0);
          expect(taken + dropped).toBe(back);
          driver.close();
        },
      ),
      { numRuns: 500 },
    );
    setUp();
  });
});
