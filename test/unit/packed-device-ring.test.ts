/** The device's side of a packed ring: wraps, notifications, where it begins and goes on, and drivers that lie (2.8). */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { RingOptions } from '../../drivers/virtio/device-ring.js';
import { DeviceRxQueue } from '../../drivers/virtio/device-rx-queue.js';
import { DeviceTxQueue, MAX_FRAME_BYTES } from '../../drivers/virtio/device-tx-queue.js';
import { MAX_BURST, PacketBurst } from '../../drivers/virtio/packet-burst.js';
import { QueueCounter } from '../../drivers/virtio/queue-counters.js';
import { MEMORY_BYTES } from '../support/driver-model.js';
import { PackedDriver, type RawDescriptor } from '../support/packed-driver.js';

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
const TABLE = 0x3_0000;
const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);

let driver: PackedDriver;
let tx: DeviceTxQueue;
let rx: DeviceRxQueue;
let burst: PacketBurst;
let reasons: string[];

function setUp(options: Partial<RingOptions> = {}): void {
  driver = new PackedDriver(options);
  tx = new DeviceTxQueue(driver, driver.place, driver.options);
  rx = new DeviceRxQueue(driver, driver.place, driver.options);
  burst = new PacketBurst(driver.memory);
  reasons = [];
  tx.ring.onBroken = (reason) => reasons.push(reason);
  rx.ring.onBroken = tx.ring.onBroken;
}

afterEach(() => driver.close());

const count = (counter: keyof typeof QueueCounter): number => driver.options.counts[QueueCounter[counter]]!;

/** Bytes of a frame behind its header, in a new buffer. */
function sent(seed: number, length = 60): { offset: number; length: number } {
  const offset = driver.buffer(12 + length);
  for (let i = 0; i < length; i++) driver.memory.u8[offset + 12 + i] = (seed * 7 + i) & 0xff;
  return { offset, length: 12 + length };
}

function firstByte(i: number): number {
  return burst.memory.u8[burst.segmentOffset[burst.firstSegment[i]!]!]!;
}

describe('where a ring begins and goes on', () => {
  it.each([
    [0x8000, 16],
    [0x0000, 16],
    [0x800f, 16],
    [0x0005, 7],
    [0x8000_8000, 16],
    [0x0003_0003, 16],
  ])('goes round from base %i with %i descriptors, with bursts of every size', (base, size) => {
    setUp({ base, size });
    let next = 0;
    for (let round = 0; round < 40; round++) {
      const n = 1 + (round % Math.min(size, 9));
      const { offset } = sent(0);
      const ids = Array.from({ length: n }, (_, i) => {
        driver.memory.u8[offset + 12] = (next + i) & 0xff;
        return driver.offer([sent(next + i)]);
      });
      expect(tx.take(burst, MAX_BURST)).toBe(n);
      for (let i = 0; i < n; i++) expect(firstByte(i)).toBe(((next + i) * 7) & 0xff);
      tx.complete();
      expect(driver.takeUsed()).toEqual(ids.map((id) => ({ id, length: 0 })));
      next += n;
    }
    expect(tx.ring.stop()).toBe(driver.expectedBase >>> 0);
  });

  it('goes round with chains of every length, some of them across the end of the ring', () => {
    setUp({ size: 7 });
    for (let round = 0; round < 50; round++) {
      const parts = 1 + (round % 5);
      const { offset, length } = sent(round, 60);
      const cut = Array.from({ length: parts }, (_, i) => ({
        offset: offset + Math.floor((length * i) / parts),
        length: Math.floor((length * (i + 1)) / parts) - Math.floor((length * i) / parts),
      }));
      const id = driver.offer(cut);
      expect(tx.take(burst, MAX_BURST)).toBe(1);
      expect(burst.length[0]).toBe(60);
      tx.complete();
      expect(driver.takeUsed()).toEqual([{ id, length: 0 }]);
    }
    expect(reasons).toEqual([]);
  });

  it('begins where the used index is behind the available one', () => {
    setUp({ base: 0x8002_8005 });
    const id = driver.offer([sent(1)]);
    expect(tx.take(burst, MAX_BURST)).toBe(1);
    tx.complete();
    // The driver is still owed three descriptors; the next used one comes where those would have.
    expect(driver.memory.u16[(driver.place.desc + 2 * 16 + 12) / 2]).toBe(id);
  });

  it.each([
    [0x8010, 16, /0x8010 names a descriptor beyond a queue of 16/],
    [0x8010_8000, 16, /names a descriptor beyond/],
    [0x8000, 0, /queue size 0/],
    [0x8000, 32769, /queue size 32769/],
  ])('refuses base %i with %i descriptors', (base, size, message) => {
    setUp();
    expect(() => new DeviceTxQueue(driver, driver.place, { ...driver.options, base, size })).toThrow(message);
  });

  it.each([
    ['desc', 8],
    ['avail', 2],
    ['used', 2],
  ])('refuses a misaligned %s', (area, off) => {
    setUp();
    const place = { ...driver.place, [area]: driver.place[area as 'desc'] + off };
    expect(() => new DeviceTxQueue(driver, place, driver.options)).toThrow(/aligned/);
  });
});

describe('what the driver sees', () => {
  it('nothing of a burst until the first descriptor of it is used, and then all (2.8.2)', () => {
    setUp();
    for (let i = 0; i < 3; i++) driver.offer([sent(i)]);
    expect(tx.take(burst, MAX_BURST)).toBe(3);
    tx.ring.use(1, 1, 0);
    tx.ring.use(2, 1, 0);
    const flags = (i: number): number => driver.memory.u16[(driver.place.desc + i * 16 + 14) / 2]! & 0x8080;
    expect([flags(0), flags(1)]).toEqual([0x80, 0x8080]);
    tx.ring.publish();
    expect([flags(0), flags(1), flags(2)]).toEqual([0x8080, 0x8080, 0x80]);
  });
});

describe('signals to the driver', () => {
  const use = (n: number): boolean => {
    for (let i = 0; i < n; i++) driver.offer([sent(i)]);
    expect(tx.take(burst, MAX_BURST)).toBe(n);
    tx.complete();
    driver.takeUsed();
    return driver.takeSignal();
  };

  it('are sent unless the driver has disabled them', () => {
    setUp();
    expect(use(1)).toBe(true);
    driver.setEvent(1);
    expect(use(1)).toBe(false);
    driver.setEvent(0);
    expect(use(3)).toBe(true);
    // 2.8.10: only with EVENT_IDX. One signal too many is no harm.
    driver.setEvent(2, 1000);
    expect(use(1)).toBe(true);
    expect(count('signals')).toBe(3);
  });

  it('with EVENT_IDX are sent when the descriptor is used, in its round and no other', () => {
    setUp({ eventIdx: true, size: 5 });
    let used = 0;
    for (let event = 0; event < 60; event++) {
      driver.setEvent(2, used + (event % 5));
      const n = 1 + (event % 4);
      expect(use(n)).toBe(event % 5 < n);
      used += n;
    }
  });
});

describe('kicks from the driver', () => {
  it.each([false, true])('are asked for when nothing waits, and are off when polling (EVENT_IDX: %s)', (eventIdx) => {
    setUp({ eventIdx, size: 5 });
    for (let round = 0; round < 12; round++) {
      expect(tx.enableKick()).toBe(true);
      const { flags, index, wrap } = driver.deviceEvent;
      expect(flags).toBe(eventIdx ? 2 : 0);
      if (eventIdx) expect({ index, wrap }).toEqual({ index: round % 5, wrap: Math.floor(round / 5) % 2 === 0 });
      driver.offer([sent(round)]);
      expect(tx.enableKick()).toBe(false);
      expect(driver.deviceEvent.flags).toBe(1);
      expect(tx.take(burst, MAX_BURST)).toBe(1);
      tx.complete();
      driver.takeUsed();
    }
  });
});

describe('a hostile driver', () => {
  /** Offers a bad chain, then a sound one. */
  function expectDropped(chain: readonly RawDescriptor[], counter: keyof typeof QueueCounter, options = {}): void {
    setUp(options);
    driver.offerRaw(chain.map((d) => ({ id: 9, ...d })));
    const id = driver.offer([sent(1)]);
    expect(tx.take(burst, MAX_BURST)).toBe(1);
    expect(firstByte(0)).toBe(7);
    tx.complete();
    expect(driver.takeUsed().map((used) => used.id)).toEqual([9, id]);
    expect([count(counter), count('packets')]).toEqual([1, 1]);
    expect(reasons).toEqual([]);
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
      'a fault in the middle of a list, which is passed to its end',
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
      'more descriptors than are looked at',
      Array.from({ length: 200 }, (_, i) => ({ offset: at, length: 0, flags: i < 199 ? NEXT : 0 })),
      'badLength',
      { size: 256 },
    ],
  ])('%s: counted, given back, and the next is taken', (_, chain, counter, options) => {
    expectDropped(chain, counter, options);
  });

  it('a long chain that is too much for a frame together with another is not passed for every frame', () => {
    setUp({ mergeable: true, size: 512 });
    const piece = { offset: at, length: 1, flags: WRITE };
    driver.offerRaw([{ ...piece, length: 20, id: 1 }]);
    driver.offerRaw(
      Array.from({ length: 400 }, (_, i) => ({ ...piece, flags: i < 399 ? WRITE | NEXT : WRITE, id: 2 })),
    );
    burst.push(0x5000, 500);
    burst.push(0x5000, 500);
    expect(rx.put(burst, ALL, 2)).toBe(0);
    expect([count('badLength'), count('noRoom'), count('noBuffer')]).toEqual([1, 0, 2]);
    expect(driver.takeUsed()).toEqual([1, 2].map((id) => ({ id, length: 0 })));
    expect(reasons).toEqual([]);
  });

  it('a huge indirect table of empty descriptors is not walked to its end', () => {
    setUp();
    driver.memory.u8.fill(0, TABLE, TABLE + 0x4000);
    driver.offerRaw([{ offset: TABLE, length: 0x4000, flags: INDIRECT }]);
    expect(tx.take(burst, MAX_BURST)).toBe(0);
    expect([count('badLength'), driver.takeUsed().length]).toEqual([1, 1]);
  });

  it.each([
    ['goes on in a descriptor that is not available', [{ offset: 0x4000, length: 20, flags: NEXT }]],
    ['is a loop', Array.from({ length: 16 }, () => ({ offset: 0x4000, length: 20, flags: NEXT }))],
  ])('a chain that %s stops the ring, once, in both directions', (_, chain) => {
    setUp();
    driver.offerRaw(chain);
    expect(tx.take(burst, MAX_BURST)).toBe(0);
    expect(reasons).toEqual([expect.stringMatching(/chain at descriptor 0 goes on at \d+, which is not available/)]);
    expect([tx.take(burst, MAX_BURST), tx.enableKick(), tx.ring.live]).toEqual([0, true, false]);
    tx.complete();
    expect(driver.takeUsed()).toEqual([]);
    burst.clear();
    burst.push(0x5000, 60);
    burst.push(0x5000, 60);
    driver.close();
    setUp();
    driver.offerRaw(chain.map((d) => ({ ...d, flags: d.flags | WRITE })));
    burst.push(0x5000, 1500);
    burst.push(0x5000, 60);
    expect(rx.put(burst, ALL, 2)).toBe(0);
    expect(reasons).toHaveLength(1);
    expect(count('noBuffer')).toBe(2);
  });

  it('descriptors that are made available again while they are held are not taken beyond the size of the ring', () => {
    setUp();
    for (let i = 0; i < 16; i++) driver.offer([sent(i)]);
    expect(tx.take(burst, 10)).toBe(10);
    driver.scribble(Array.from({ length: 16 }, () => ({ offset: 0x4000, length: 72, flags: 0, id: 1 })));
    expect(tx.take(burst, 32)).toBeLessThanOrEqual(6);
    expect(tx.take(burst, 32)).toBeLessThanOrEqual(6);
    tx.complete();
    expect(count('packets')).toBeLessThanOrEqual(16);
  });

  it('whatever is in the ring, both queues touch only what lies in the memory and is theirs', () => {
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
          setUp({ mergeable, indirect, base, size: 13 });
          driver.scribble(table);
          const taken = tx.take(burst, MAX_BURST);
          for (let i = 0; i < taken; i++) {
            let sum = 0;
            for (let s = burst.firstSegment[i]!; s < burst.firstSegment[i + 1]!; s++) {
              expect(burst.segmentOffset[s]! + burst.segmentLength[s]!).toBeLessThanOrEqual(MEMORY_BYTES);
              sum += burst.segmentLength[s]!;
            }
            expect(burst.length[i]).toBe(sum);
          }
          tx.complete();
          driver.scribble(table.map((d) => ({ ...d, flags: d.flags | WRITE })));
          const { u8 } = driver.memory;
          const below = u8.slice(0, driver.place.desc);
          const behind = u8.slice(driver.place.desc + 13 * 16, driver.place.used);
          burst.clear();
          for (let i = 0; i < 8; i++) burst.push(0x1_9000, 60 + 100 * i);
          burst.memory = driver.memory;
          // Descriptors may name any byte from 0x40000 on; nothing below is theirs but the ring.
          if (table.every(({ offset }) => offset >= 0x4_0000)) {
            expect(rx.put(burst, ALL, 8)).toBeLessThanOrEqual(8);
            expect(Buffer.compare(u8.subarray(0, driver.place.desc), below)).toBe(0);
            expect(Buffer.compare(u8.subarray(driver.place.desc + 13 * 16, driver.place.used), behind)).toBe(0);
          }
          driver.close();
        },
      ),
      { numRuns: 500 },
    );
    setUp();
  });
});
