/**
 * What virtio 1.2 demands of the device's side of virtqueues (2.7, 2.8), clause by clause. The device is the vhost-user
 * backend. test/CLAUSES.md lists all clauses, also those that other tests show.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_BURST, PacketBurst } from '../../../../../drivers/virtio/device/packet-burst.js';
import type { RingOptions } from '../../../../../drivers/virtio/device/ring.js';
import { DeviceRxQueue } from '../../../../../drivers/virtio/device/rx-queue.js';
import { DeviceTxQueue } from '../../../../../drivers/virtio/device/tx-queue.js';
import type { DriverModel, Part } from '../../../../support/virtio/driver-model.js';
import { frameOf } from '../../../../support/virtio/driver-under-test.js';
import { PackedDriverModel } from '../../../../support/virtio/packed-driver-model.js';
import { SplitDriverModel } from '../../../../support/virtio/split-driver-model.js';

const HEADER = 12;
const ALL = Uint8Array.from({ length: MAX_BURST }, (_, i) => i);
const layouts = ['split', 'packed'] as const;

let driver: DriverModel;
let tx: DeviceTxQueue;
let rx: DeviceRxQueue;
let burst: PacketBurst;

function setUp(layout: 'split' | 'packed', options: Partial<RingOptions> = {}): void {
  driver = layout === 'split' ? new SplitDriverModel(options) : new PackedDriverModel(options);
  tx = new DeviceTxQueue(driver, driver.place, driver.options);
  rx = new DeviceRxQueue(driver, driver.place, driver.options);
  burst = new PacketBurst(driver.memory);
}

beforeEach(() => setUp('split'));
afterEach(() => {
  vi.restoreAllMocks();
  driver.close();
});

/** A header and a frame in a new buffer, cut into two pieces. */
function sent(frame: Uint8Array): Part[] {
  const offset = driver.buffer(HEADER + frame.length);
  driver.memory.u8.set(frame, offset + HEADER);
  return [
    { offset, length: 20 },
    { offset: offset + 20, length: HEADER + frame.length - 20 },
  ];
}

/** The bytes from `offset` on, cut into pieces of these lengths. */
function cut(offset: number, lengths: readonly number[]): Part[] {
  return lengths.map((length, i) => ({
    offset: offset + lengths.slice(0, i).reduce((sum, each) => sum + each, 0),
    length,
  }));
}

/** An empty buffer. */
function posted(length: number): Part {
  return { offset: driver.buffer(length), length, write: true };
}

/** Gives one frame to the queue, from a memory of its own. */
function arriving(frame: Uint8Array): PacketBurst {
  const buffer = new SharedArrayBuffer(4096);
  const memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
  memory.u8.set(frame, 0);
  const packets = new PacketBurst(memory);
  packets.push(0, frame.length);
  return packets;
}

/** Offsets of the bytes that `act` changes. */
function changedBy(act: () => void): number[] {
  const before = driver.memory.u8.slice();
  act();
  const changed: number[] = [];
  driver.memory.u8.forEach((byte, i) => {
    if (byte !== before[i]) changed.push(i);
  });
  return changed;
}

const within = (from: number, length: number) => (at: number) => at >= from && at < from + length;

describe('2.7.4.1 message framing', () => {
  // Clauses: 2.7.4.1a
  it.each(layouts)('MUST NOT assume where descriptors are cut: a cut may be in the header (%s)', (layout) => {
    setUp(layout);
    const frame = frameOf(1, 100);
    const [{ offset }] = sent(frame) as [Part];
    const lengths = [1, 10, 3, 13, 60, 25];
    driver.offer(cut(offset, lengths));
    expect(tx.take(burst, 1)).toBe(1);
    const pieces = [...burst.segmentOffset.subarray(0, burst.segments)].map((from, s) =>
      driver.memory.u8.slice(from, from + burst.segmentLength[s]!),
    );
    expect(new Uint8Array(Buffer.concat(pieces))).toEqual(frame);
  });
});

describe('2.7.5.1, 2.8.15 descriptors', () => {
  // Clauses: 2.7.5.1a, 2.7.5.1b
  it('MUST NOT write to a buffer to read, nor to the descriptor table (transmit)', () => {
    driver.offer(sent(frameOf(1)));
    const changed = changedBy(() => {
      expect(tx.take(burst, 1)).toBe(1);
      tx.complete();
    });
    // Only the used ring changes, with its flags and avail_event.
    expect(changed.filter((at) => !within(driver.place.used, 6 + 8 * driver.options.size)(at))).toEqual([]);
    expect(changed).not.toEqual([]);
  });

  // Clauses: 2.7.5.1b
  it('MUST NOT write to the descriptor table, nor beyond the buffer (receive)', () => {
    const part = posted(80);
    driver.offer([part]);
    const changed = changedBy(() => expect(rx.put(arriving(frameOf(1, 68)), ALL, 1)).toBe(1));
    const isUsed = within(driver.place.used, 6 + 8 * driver.options.size);
    expect(changed.filter((at) => !isUsed(at) && !within(part.offset, part.length)(at))).toEqual([]);
  });

  // Clauses: 2.7.5.1a, 2.8.15a
  it.each(layouts)('never writes to a descriptor to read that was posted to receive (%s)', (layout) => {
    setUp(layout);
    const part = { ...posted(200), write: false };
    driver.offer([part]);
    const changed = changedBy(() => expect(rx.put(arriving(frameOf(1)), ALL, 1)).toBe(0));
    expect(changed.filter(within(part.offset, part.length))).toEqual([]);
  });

  // Clauses: 2.8.15a
  it('MUST NOT write to a buffer to read: changes only the used part of the ring', () => {
    setUp('packed');
    driver.offer(sent(frameOf(1)));
    const changed = changedBy(() => {
      expect(tx.take(burst, 1)).toBe(1);
      tx.complete();
    });
    // Length, id and flags of the first descriptor of the chain.
    expect(changed.filter((at) => !within(driver.place.desc + 8, 8)(at))).toEqual([]);
  });

  // Clauses: 2.8.15b
  it('MUST NOT use a descriptor before AVAIL changes, even if all else is written', () => {
    setUp('packed');
    const [whole] = [{ ...sent(frameOf(1))[0]!, length: HEADER + 64 }];
    (driver as PackedDriverModel).scribble([{ ...whole!, flags: 0, unmarked: true }]);
    expect(tx.take(burst, MAX_BURST)).toBe(0);
    (driver as PackedDriverModel).scribble([{ ...whole!, flags: 0 }]);
    expect(tx.take(burst, MAX_BURST)).toBe(1);
  });

  // Clauses: 2.8.15c
  it('MUST NOT change a descriptor after USED, whatever happens next', () => {
    setUp('packed', { size: 4 });
    const ids = [1, 2].map((i) => driver.offer([{ ...sent(frameOf(i))[0]!, length: HEADER + 64 }]));
    expect(tx.take(burst, MAX_BURST)).toBe(2);
    tx.complete();
    const { desc } = driver.place;
    const changed = changedBy(() => {
      driver.offer([{ ...sent(frameOf(3))[0]!, length: HEADER + 64 }]);
      expect(tx.take(burst, MAX_BURST)).toBe(1);
      tx.complete();
      tx.disableKick();
      tx.enableKick();
    });
    expect(changed.filter(within(desc, 2 * 16))).toEqual([]);
    expect(
      driver
        .takeUsed()
        .map(({ id }) => id)
        .slice(0, 2),
    ).toEqual(ids);
  });
});

describe('2.7.5.3.2 indirect descriptors', () => {
  // Clauses: 2.7.5.3.2a
  it.each(layouts)('MUST ignore WRITE where a descriptor refers to a table (%s)', (layout) => {
    setUp(layout);
    const frame = frameOf(1);
    driver.offer(sent(frame), 0);
    // The descriptor that was offered last is the only one: its flags get WRITE.
    const { desc } = driver.place;
    const head = layout === 'split' ? driver.memory.u16[(driver.place.avail + 4) >> 1]! : 0;
    const flags = desc + 16 * head + (layout === 'split' ? 12 : 14);
    driver.memory.u16[flags >> 1] = driver.memory.u16[flags >> 1]! | 2;
    expect(tx.take(burst, 1)).toBe(1);
    expect(burst.length[0]).toBe(frame.length);
  });

  // Clauses: 2.7.5.3.2b
  it.each([0, 1, 2])('MUST handle %i descriptors that are followed by one that refers to a table', (direct) => {
    const offset = sent(frameOf(1, 200))[0]!.offset;
    const lengths = [7, 13, 92, 100];
    driver.offer(cut(offset, lengths), direct);
    expect(tx.take(burst, 1)).toBe(1);
    expect(burst.length[0]).toBe(200);
  });
});

describe('2.7.7.2 used buffer notifications', () => {
  // Clauses: 2.7.7.2a, 2.7.7.2b
  it('without EVENT_IDX MUST ignore used_event, and MUST notify when flags is 0', () => {
    for (const [flags, event] of [
      [0, 1000],
      [1, 0],
      [0, 0],
      [1, 3],
    ] as const) {
      (driver as SplitDriverModel).availFlags = flags;
      (driver as SplitDriverModel).usedEvent = event;
      driver.offer(sent(frameOf(1)));
      tx.take(burst, 1);
      tx.complete();
      expect(driver.takeSignal()).toBe(flags === 0);
      driver.takeUsed();
    }
  });

  // Clauses: 2.7.7.2c
  it('with EVENT_IDX MUST ignore flags, and MUST notify at used_event', () => {
    setUp('split', { eventIdx: true });
    for (let i = 0; i < 20; i++) {
      (driver as SplitDriverModel).availFlags = i & 1;
      (driver as SplitDriverModel).usedEvent = i % 3 === 0 ? i : i + 1;
      driver.offer(sent(frameOf(1)));
      tx.take(burst, 1);
      tx.complete();
      expect(driver.takeSignal()).toBe(i % 3 === 0);
      driver.takeUsed();
    }
  });
});

describe('2.7.8.2 used ring', () => {
  // Clauses: 2.7.8.2a, 2.7.8.2b
  it('MUST have set len, and written that many bytes, before it updates idx', () => {
    const part = posted(100);
    driver.offer([part]);
    const frame = frameOf(1);
    const { used } = driver.place;
    const seen: unknown[] = [];
    const store = Atomics.store;
    vi.spyOn(Atomics, 'store').mockImplementation(((array: Uint16Array, index: number, value: number) => {
      if (index === (used + 2) >> 1) {
        const { u8, u32 } = driver.memory;
        seen.push(u32[(used + 8) >> 2], u8.slice(part.offset + HEADER, part.offset + HEADER + frame.length));
      }
      return store(array, index, value);
    }) as typeof Atomics.store);
    expect(rx.put(arriving(frame), ALL, 1)).toBe(1);
    expect(seen).toEqual([HEADER + frame.length, frame]);
  });
});

describe('2.7.10.2 available buffer notifications', () => {
  // Clauses: 2.7.10.2a, 2.7.10.2b
  it.each([false, true])('MUST set flags to 0 or 1, and with EVENT_IDX to 0 (EVENT_IDX: %s)', (eventIdx) => {
    setUp('split', { eventIdx });
    const split = driver as SplitDriverModel;
    for (const queue of [tx, rx]) {
      queue.disableKick();
      expect(split.usedFlags).toBe(eventIdx ? 0 : 1);
      expect(queue.enableKick()).toBe(true);
      expect(split.usedFlags).toBe(0);
    }
  });

  // Clauses: 2.7.10.2c
  it.each(layouts)('MUST handle spurious notifications: nothing happens (%s)', (layout) => {
    setUp(layout);
    const changed = changedBy(() => {
      for (let i = 0; i < 5; i++) {
        expect(tx.take(burst, MAX_BURST)).toBe(0);
        tx.complete();
      }
    });
    expect(changed).toEqual([]);
    expect(driver.takeSignal()).toBe(false);
  });
});

describe('2.8.12, 2.8.18 order in a packed ring', () => {
  // Clauses: 2.8.12a, 2.8.12b
  it('MUST start with descriptors and use them in the order of the ring', () => {
    setUp('packed', { size: 5 });
    for (let round = 0; round < 20; round++) {
      const frames = [0, 1, 2].map((i) => frameOf(3 * round + i));
      const ids = frames.map((frame) => driver.offer([{ ...sent(frame)[0]!, length: HEADER + 64 }]));
      expect(tx.take(burst, MAX_BURST)).toBe(3);
      const found = [0, 1, 2].map((i) => driver.memory.u8.slice(burst.segmentOffset[i]!, burst.segmentOffset[i]! + 64));
      expect(found).toEqual(frames);
      tx.complete();
      expect(driver.takeUsed().map(({ id }) => id)).toEqual(ids);
    }
  });

  // Clauses: 2.8.18a
  it('MUST use the descriptors of a list in the order in which they were offered', () => {
    setUp('packed', { mergeable: false });
    const parts = [posted(30), posted(30), posted(40)];
    driver.offer(parts);
    const frame = frameOf(1, 80);
    expect(rx.put(arriving(frame), ALL, 1)).toBe(1);
    const bytes = Buffer.concat(parts.map(({ offset, length }) => driver.memory.u8.slice(offset, offset + length)));
    expect(new Uint8Array(bytes.subarray(HEADER, HEADER + 80))).toEqual(frame);
  });
});
