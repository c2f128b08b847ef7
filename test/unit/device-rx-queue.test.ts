import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MemoryViews } from '../../drivers/memory/index.js';
import type { RingOptions } from '../../drivers/virtio/device-ring.js';
import { DeviceRxQueue } from '../../drivers/virtio/device-rx-queue.js';
import { MAX_BURST, PacketBurst } from '../../drivers/virtio/packet-burst.js';
import { QueueCounter } from '../../drivers/virtio/queue-counters.js';
import type { DriverModel, Part, UsedElement } from '../support/driver-model.js';
import { PackedDriver } from '../support/packed-driver.js';
import { SplitDriver } from '../support/split-driver.js';

const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
const PLAIN_HEADER = (buffers: number): number[] => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, buffers, 0];

let layout: 'split' | 'packed' = 'split';
let driver: DriverModel;
/** The same, where the layout is split. */
let split: SplitDriver;
let queue: DeviceRxQueue;
let burst: PacketBurst;
/** Buffers that were posted, by head. */
let posted: Map<number, Part[]>;

function setUp(options: Partial<RingOptions> = {}): void {
  if (layout === 'split') {
    split = new SplitDriver(options);
    driver = split;
  } else {
    driver = new PackedDriver(options);
  }
  queue = new DeviceRxQueue(driver, driver.place, driver.options);
  posted = new Map();
  const buffer = new SharedArrayBuffer(1 << 19);
  burst = new PacketBurst({ u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) });
}

afterEach(() => driver.close());

const count = (counter: keyof typeof QueueCounter): number => driver.options.counts[QueueCounter[counter]]!;

function post(lengths: readonly number[], skew = 0, direct?: number): number {
  const parts = lengths.map((length, i) => ({
    offset: driver.buffer(length, i === 0 ? skew : 0),
    length,
    write: true,
  }));
  for (const { offset, length } of parts) driver.memory.u8.fill(0xdd, offset, offset + length);
  const head = driver.offer(parts, direct);
  posted.set(head, parts);
  return head;
}

/** Appends a packet of these pieces to the burst, which lies in `memory`; returns its bytes. */
function packet(pieces: readonly number[], seed: number, skew = 0, memory: MemoryViews = burst.memory): number[] {
  const i = burst.count;
  let segment = burst.segments;
  let at = i * 16384 + 64 + skew;
  const bytes: number[] = [];
  burst.firstSegment[i] = segment;
  for (const length of pieces) {
    const part = Array.from({ length }, (_, b) => (b * 3 + seed + bytes.length) & 0xff);
    memory.u8.set(part, at);
    bytes.push(...part);
    burst.segmentOffset[segment] = at;
    burst.segmentLength[segment++] = length;
    at += length + 5;
  }
  burst.firstSegment[i + 1] = segment;
  burst.segments = segment;
  burst.length[i] = bytes.length;
  burst.count = i + 1;
  return bytes;
}

/** What the driver finds in a buffer that was used. */
function found({ id, length }: UsedElement): number[] {
  const bytes: number[] = [];
  for (const part of posted.get(id)!) bytes.push(...driver.memory.u8.slice(part.offset, part.offset + part.length));
  expect(bytes.slice(length).every((byte) => byte === 0xdd)).toBe(true);
  return bytes.slice(0, length);
}

describe.each(['split', 'packed'] as const)('DeviceRxQueue on a %s ring', (which) => {
  beforeEach(() => {
    layout = which;
  });

  afterEach(() => {
    layout = 'split';
  });

  it('writes header and frame into a posted buffer, and nothing after them', () => {
    setUp();
    const head = post([2048]);
    const bytes = packet([60], 1);
    expect(queue.put(burst, ALL, 1)).toBe(1);
    const used = driver.takeUsed();
    expect(used).toEqual([{ id: head, length: 72 }]);
    expect(found(used[0]!)).toEqual([...PLAIN_HEADER(1), ...bytes]);
    expect([count('packets'), count('bytes')]).toEqual([1, 60]);
  });

  it('writes a header of 10 bytes for a legacy driver', () => {
    setUp({ headerBytes: 10, mergeable: false });
    post([10, 1518]);
    const bytes = packet([64], 1);
    expect(queue.put(burst, ALL, 1)).toBe(1);
    expect(found(driver.takeUsed()[0]!)).toEqual([...PLAIN_HEADER(1).slice(0, 10), ...bytes]);
  });

  it('puts the packets that the indices name, in their order', () => {
    setUp();
    const bytes = [20, 30, 40, 50].map((length, i) => packet([length], i));
    for (let i = 0; i < 3; i++) post([100]);
    expect(queue.put(burst, Uint8Array.of(3, 0, 2), 3)).toBe(3);
    expect(driver.takeUsed().map((used) => found(used).slice(12))).toEqual([bytes[3], bytes[0], bytes[2]]);
  });

  it('stops when no buffer is left, and counts the rest', () => {
    setUp();
    for (let i = 0; i < 5; i++) packet([60], i);
    post([100]);
    post([100]);
    expect(queue.put(burst, ALL, 5)).toBe(2);
    expect(count('noBuffer')).toBe(3);
    expect(queue.put(burst, ALL, 5)).toBe(0);
    expect(count('noBuffer')).toBe(8);
    expect(driver.takeUsed()).toHaveLength(2);
  });

  it('copies within one memory, too', () => {
    setUp();
    burst.memory = driver.memory;
    const bytes = packet([1500], 1, 62, driver.memory);
    post([2048], 50);
    expect(queue.put(burst, ALL, 1)).toBe(1);
    expect(found(driver.takeUsed()[0]!).slice(12)).toEqual(bytes);
  });

  it('spreads a frame over several buffers and says so, when that was negotiated', () => {
    setUp();
    for (let i = 0; i < 4; i++) post([40]);
    const bytes = packet([50, 51], 1);
    expect(queue.put(burst, ALL, 1)).toBe(1);
    const used = driver.takeUsed();
    expect(used.map(({ length }) => length)).toEqual([40, 40, 33]);
    expect(used.flatMap(found)).toEqual([...PLAIN_HEADER(3), ...bytes]);
  });

  it('drops a frame for which too few buffers are left, and keeps them for a smaller one', () => {
    setUp();
    post([40]);
    post([40]);
    packet([100], 1);
    const small = packet([20], 2);
    expect(queue.put(burst, ALL, 2)).toBe(1);
    expect(count('noBuffer')).toBe(1);
    const used = driver.takeUsed();
    expect(used).toHaveLength(1);
    expect(found(used[0]!).slice(12)).toEqual(small);
  });

  it('drops a frame longer than its buffer, without merging, and keeps the buffer', () => {
    setUp({ mergeable: false });
    post([12, 60]);
    packet([61], 1);
    const fits = packet([60], 2);
    expect(queue.put(burst, ALL, 2)).toBe(1);
    expect(count('noRoom')).toBe(1);
    expect(found(driver.takeUsed()[0]!)).toEqual([...PLAIN_HEADER(1), ...fits]);
  });

  it('drops a frame that would need more buffers than are merged, and keeps them', () => {
    setUp({ size: 128 });
    for (let i = 0; i < 100; i++) post([12]);
    packet([1000], 1);
    expect(queue.put(burst, ALL, 1)).toBe(0);
    expect(count('noRoom')).toBe(1);
    expect(driver.takeUsed()).toEqual([]);
  });

  it('delivers any packet into any buffers that hold it, byte for byte', () => {
    const chain = fc.record({
      parts: fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 5 }),
      skew: fc.nat(63),
      direct: fc.nat(4),
    });
    const frame = fc.record({
      pieces: fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 5 }),
      skew: fc.nat(63),
      seed: fc.nat(255),
    });
    const chains = fc.array(chain, { minLength: 1, maxLength: 10 });
    const frames = fc.array(frame, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(chains, frames, fc.boolean(), (chains, frames, mergeable) => {
        setUp({ size: 64, mergeable });
        for (const { parts, skew, direct } of chains) {
          // 5.1.6.3.2: a buffer holds at least the header.
          post([12, ...parts], skew, Math.min(direct, parts.length + 1));
        }
        const bytes = frames.map(({ pieces, skew, seed }) => packet(pieces, seed, skew));
        const delivered = queue.put(burst, ALL, frames.length);
        expect(delivered + count('noBuffer') + count('noRoom')).toBe(frames.length);
        const used = driver.takeUsed();
        const got: number[][] = [];
        for (let u = 0; u < used.length; ) {
          const first = found(used[u]!);
          const buffers = first[10]!;
          expect(first.slice(0, 12)).toEqual(PLAIN_HEADER(buffers));
          const rest = used.slice(u + 1, u + buffers).flatMap(found);
          got.push([...first.slice(12), ...rest]);
          u += buffers;
        }
        // What was delivered is a subsequence of what was put.
        expect(got).toHaveLength(delivered);
        let next = 0;
        for (const frame of got) {
          while (next < bytes.length && Buffer.compare(Buffer.from(bytes[next]!), Buffer.from(frame)) !== 0) next++;
          expect(next++).toBeLessThan(bytes.length);
        }
        driver.close();
      }),
      { numRuns: 300 },
    );
    setUp();
  });
});

describe('DeviceRxQueue on a split ring', () => {
  describe('gives a malformed buffer back empty, counts it, and uses the next', () => {
    function expectSkipped(counter: keyof typeof QueueCounter): void {
      const bad = driver.takeUsed();
      expect(bad).toEqual([]);
      const head = post([100]);
      const bytes = packet([60], 1);
      expect(queue.put(burst, ALL, 1)).toBe(1);
      const used = driver.takeUsed();
      expect(used[0]).toEqual({ id: 15, length: 0 });
      expect(used[1]).toEqual({ id: head, length: 72 });
      expect(found(used[1]!).slice(12)).toEqual(bytes);
      expect(count(counter)).toBe(1);
    }

    it('one that the device may only read', () => {
      setUp();
      split.setDescriptor(15, 0x4000, 2048, 0, 0);
      split.offerHead(15);
      expectSkipped('badDirection');
    });

    it('one outside the memory', () => {
      setUp();
      split.setDescriptor(15, (1 << 20) - 100, 2048, 2, 0);
      split.offerHead(15);
      expectSkipped('badAddress');
    });

    it('a loop', () => {
      setUp();
      split.setDescriptor(15, 0x4000, 1, 3, 15);
      split.offerHead(15);
      expectSkipped('badLength');
    });

    it('one of more descriptors than any frame needs, however long the queue', () => {
      setUp({ size: 256 });
      for (let id = 15; id < 200; id++) split.setDescriptor(id, 0x4_0000, 0, 3, id + 1);
      split.setDescriptor(200, 0x4_0000, 2048, 2, 0);
      split.offerHead(15);
      expectSkipped('badLength');
    });

    it('one that does not hold the header', () => {
      setUp();
      split.setDescriptor(15, 0x4000, 11, 2, 0);
      split.offerHead(15);
      expectSkipped('smallBuffer');
    });
  });

  it('clears away a burst of malformed buffers at once and no more: the other ports wait meanwhile', () => {
    setUp({ size: 256 });
    split.setDescriptor(15, 0x4_0000, 2048, 0, 0);
    for (let i = 0; i < 100; i++) split.offerHead(15);
    packet([60], 1);
    for (const discarded of [32, 32, 32]) {
      expect(queue.put(burst, ALL, 1)).toBe(0);
      expect(driver.takeUsed()).toHaveLength(discarded);
    }
    post([100]);
    expect(queue.put(burst, ALL, 1)).toBe(1);
    expect([count('badDirection'), count('noBuffer')]).toEqual([100, 3]);
  });

  it('skips an avail entry that is no descriptor', () => {
    setUp();
    split.offerHead(16);
    const head = post([100]);
    packet([60], 1);
    expect(queue.put(burst, ALL, 1)).toBe(1);
    expect(driver.takeUsed()).toEqual([{ id: head, length: 72 }]);
    expect(count('badHead')).toBe(1);
  });

  it('gives the buffers before a malformed one back, too, when a frame was to be spread over them', () => {
    setUp();
    const first = post([40]);
    split.setDescriptor(15, 0x4000, 40, 0, 0);
    split.offerHead(15);
    const good = post([200]);
    const bytes = packet([100], 1);
    expect(queue.put(burst, ALL, 1)).toBe(1);
    const used = driver.takeUsed();
    expect(used).toEqual([
      { id: first, length: 0 },
      { id: 15, length: 0 },
      { id: good, length: 112 },
    ]);
    expect(found(used[2]!).slice(12)).toEqual(bytes);
  });

  it('stops at an avail index that jumps, and touches nothing once it is stopped', () => {
    setUp();
    post([100]);
    packet([60], 1);
    split.setAvailIdx(40);
    expect(queue.put(burst, ALL, 1)).toBe(0);
    expect(queue.ring.live).toBe(false);
    expect(driver.takeUsed()).toEqual([]);
    // Found by fuzzing (split-device-rx): frames for a ring that has just stopped were in no counter.
    expect(count('noDriver')).toBe(1);
    expect(queue.put(burst, ALL, 1)).toBe(0);
    expect(count('noDriver')).toBe(2);
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
          setUp({ mergeable, indirect: false });
          table.forEach((d, i) => {
            split.setDescriptor(i, d.offset, d.length, d.flags, d.next);
          });
          for (const head of heads) split.offerHead(head);
          const before = driver.memory.u8.slice(0, driver.place.used);
          for (let i = 0; i < 8; i++) packet([60 + 100 * i], i);
          const delivered = queue.put(burst, ALL, 8);
          expect(delivered).toBeLessThanOrEqual(8);
          // Table and avail ring lie below all buffers.
          expect(Buffer.compare(driver.memory.u8.subarray(0, driver.place.used), before)).toBe(0);
          expect(driver.takeUsed().every(({ id }) => id < 16)).toBe(true);
          driver.close();
        },
      ),
      { numRuns: 500 },
    );
    setUp();
  });
});
