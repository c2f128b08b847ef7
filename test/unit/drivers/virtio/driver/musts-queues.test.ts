/**
 * What virtio 1.2 demands of the driver of a split virtqueue (2.7), clause by clause. The device is the model in
 * test/support/virtio/split-device-model.ts: it notes every broken demand that it sees in memory, and the notes are asserted
 * after each test. test/CLAUSES.md lists all clauses, also those that do not apply.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PacketMemory } from '../../../../../drivers/memory/index.js';
import { allocateSplitQueue } from '../../../../../drivers/virtio/driver/split-queue.js';
import * as f from '../../../../../drivers/virtio/features.js';
import { BUFFERS, DriverUnderTest, frameOf, QUEUE_SIZE } from '../../../../support/virtio/driver-under-test.js';
import { BASIC } from '../../../../support/virtio/fake-transport.js';
import type { SplitDeviceModel } from '../../../../support/virtio/split-device-model.js';

let driver: DriverUnderTest;

async function open(features = 0n, options = {}): Promise<DriverUnderTest> {
  driver = await DriverUnderTest.open(options, (transport) => {
    transport.offered = BASIC | features;
  });
  return driver;
}

afterEach(async () => {
  const { violations } = driver.transport;
  await driver.device.close();
  expect(violations).toEqual([]);
});

const both = [
  ['flags', 0n],
  ['EVENT_IDX', f.VIRTIO_F_EVENT_IDX],
] as const;

describe('2.7.1 virtqueues', () => {
  // Clauses: 2.7.1a
  it('MUST align the three parts of a queue to 16, 2 and 4, whatever lies beside them', async () => {
    await open();
    const memory = PacketMemory.create(1, 'never');
    const parts: [number, number][] = [];
    for (const size of [2, 4, 64, 1024]) {
      memory.allocate(1, 1);
      const { descriptors, driver: available, device: used } = allocateSplitQueue(memory, size);
      expect([descriptors % 16, available % 2, used % 4]).toEqual([0, 0, 0]);
      parts.push([descriptors, 16 * size], [available, 6 + 2 * size], [used, 6 + 8 * size]);
    }
    // 2.7: the sizes of the parts. The parts do not overlap.
    parts.sort(([a], [b]) => a - b);
    parts.reduce(([offset, length], next) => {
      expect(next[0]).toBeGreaterThanOrEqual(offset + length);
      return next;
    });
    memory.dispose();
  });

  it.each([0, 1, 3, 1000, 65536, -8])(
    '2.7: a queue size MUST be a power of two up to 32768: %d is refused',
    async (size) => {
      await open();
      const memory = PacketMemory.create(1, 'never');
      expect(() => allocateSplitQueue(memory, size)).toThrow(`queue size ${size}: a split queue has a power of two`);
      memory.dispose();
    },
  );
});

describe('2.7.4.2, 2.7.5.2 descriptors', () => {
  // Clauses: 2.7.4.2a
  it('SHOULD NOT use many descriptors: there is one per packet, in both directions', async () => {
    const { transport } = await open();
    driver.send([frameOf(1), frameOf(2, 1000)]);
    for (const chain of [...transport.rx.takeAll(), ...transport.tx.takeAll()]) expect(chain.segments).toHaveLength(1);
  });

  // Clauses: 2.7.5.2a
  it('MUST NOT add a chain longer than 2^32 bytes or a loop: a chain is one buffer', async () => {
    const { transport } = await open();
    driver.send([frameOf(1, 1518)]);
    for (const { segments } of [...transport.rx.takeAll(), ...transport.tx.takeAll()]) {
      expect(segments.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(2048);
    }
  });

  it('a sent buffer covers the header and the frame, and no further byte', async () => {
    const { transport } = await open();
    driver.send([frameOf(7, 333)]);
    const chain = transport.tx.take();
    expect(chain?.segments.map(({ length, writable }) => ({ length, writable }))).toEqual([
      { length: 12 + 333, writable: false },
    ]);
  });
});

describe('2.7.5.3.1 indirect descriptors', () => {
  // Clauses: 2.7.5.3.1a, 2.7.5.3.1c, 2.7.5.3.1d
  it('MUST NOT set INDIRECT where it was not negotiated, even if it is offered', async () => {
    // The model notes every flag except NEXT and WRITE, and every chain longer than the queue.
    const { transport } = await open(f.VIRTIO_F_INDIRECT_DESC);
    expect(transport.accepted).toBe(BASIC);
    driver.send([frameOf(1), frameOf(2)]);
    expect([...transport.rx.takeAll(), ...transport.tx.takeAll()]).toHaveLength(QUEUE_SIZE + 2);
  });
});

describe('2.7.13.3.1, 2.7.13.4.1 memory barriers', () => {
  // Clauses: 2.7.13.3.1a, 2.7.13.4.1a
  it.each(both)('MUST write all before idx, and read flags and avail_event after it (%s)', async (_, features) => {
    const { device, transport } = await open(features);
    const { layout } = transport.tx;
    const { u16, u32 } = device.memory;
    const index = (layout.driver + 2) >> 1;
    const accesses: string[] = [];
    const { load, store } = Atomics;
    vi.spyOn(Atomics, 'store').mockImplementation(((array: Uint16Array, at: number, value: number) => {
      if (at === index)
        accesses.push(`idx ${value}, length ${u32[(layout.descriptors + 8) >> 2]}, head ${u16[index + 1]}`);
      return store(array, at, value);
    }) as typeof Atomics.store);
    vi.spyOn(Atomics, 'load').mockImplementation(((array: Uint16Array, at: number) => {
      const [flags, event] = [layout.device >> 1, (layout.device + 4 + 8 * layout.size) >> 1];
      if (at === flags || at === event) accesses.push(at === flags ? 'flags' : 'avail_event');
      return load(array, at);
    }) as typeof Atomics.load);
    driver.send([frameOf(1, 100)]);
    vi.restoreAllMocks();
    expect(accesses).toEqual(['idx 1, length 112, head 0', features === 0n ? 'flags' : 'avail_event']);
  });
});

describe('2.7.6.1 available ring', () => {
  // Clauses: 2.7.6.1a
  it('MUST NOT decrement the available idx: an entry stays exposed until it is used', async () => {
    const { transport } = await open();
    // The model notes an index that moves back, or by more than is free. The test goes two and a half times round the
    // ring.
    for (let i = 0; i < 20; i++) {
      expect(driver.send([frameOf(i)])).toBe(1);
      const before = transport.tx.availIndex;
      driver.send([]);
      driver.device.reclaimTx();
      expect(transport.tx.availIndex).toBe(before);
      expect(transport.tx.drain()).toEqual([frameOf(i)]);
    }
  });

  it('2.7.13: never offers more buffers than the queue has entries', async () => {
    const { transport } = await open();
    const frames = Array.from({ length: QUEUE_SIZE + 3 }, (_, i) => frameOf(i));
    expect(driver.send(frames)).toBe(QUEUE_SIZE);
    expect(driver.send(frames)).toBe(0);
    expect(transport.tx.takeAll()).toHaveLength(QUEUE_SIZE);
    expect(driver.send(frames)).toBe(0);
  });
});

describe('2.7.7.1 used buffer notification suppression', () => {
  // Clauses: 2.7.7.1a, 2.7.7.1b
  it.each(both)('MUST set flags to 0 or 1, and with EVENT_IDX to 0 (%s)', async (_, features) => {
    const { device, transport } = await open(features);
    const expectFlags = (suppressed: boolean): void => {
      for (const ring of [transport.rx, transport.tx]) {
        expect(ring.availFlags).toBe(features === 0n && (suppressed || ring === transport.tx) ? 1 : 0);
      }
    };
    expectFlags(true);
    expect(device.enableRxInterrupt()).toBe(true);
    expectFlags(false);
    device.disableRxInterrupt();
    expectFlags(true);
  });

  it.each(both)('asks for no notification of either queue while it polls (%s)', async (_, features) => {
    const { device, transport } = await open(features);
    const silent = (ring: SplitDeviceModel, from: number): void =>
      expect(ring.wantsInterrupt(from, ring.usedIndex)).toBe(false);
    for (let i = 0; i < 100; i++) {
      const [rx, tx] = [transport.rx.usedIndex, transport.tx.usedIndex];
      transport.rx.deliver(frameOf(i));
      driver.send([frameOf(i)]);
      transport.tx.drain();
      silent(transport.rx, rx);
      silent(transport.tx, tx);
      driver.receive();
    }
    // The same holds after interrupts were on once.
    expect(device.enableRxInterrupt()).toBe(true);
    device.disableRxInterrupt();
    const from = transport.rx.usedIndex;
    transport.rx.deliver(frameOf(0));
    silent(transport.rx, from);
  });

  it.each(both)('with interrupts on, any next used buffer is notified (%s)', async (_, features) => {
    const { device, transport } = await open(features);
    for (let i = 0; i < 20; i++) {
      expect(device.enableRxInterrupt()).toBe(true);
      const from = transport.rx.usedIndex;
      transport.rx.deliver(frameOf(i));
      expect(transport.rx.wantsInterrupt(from, transport.rx.usedIndex)).toBe(true);
      device.disableRxInterrupt();
      expect(driver.receive()).toEqual([frameOf(i)]);
    }
  });

  it.each(both)('2.7.14: sees a buffer that is used while it switches interrupts on (%s)', async (_, features) => {
    const { device, transport } = await open(features);
    transport.rx.deliver(frameOf(1));
    expect(device.enableRxInterrupt()).toBe(false);
    // Interrupts are off again.
    const from = transport.rx.usedIndex;
    transport.rx.deliver(frameOf(2));
    expect(transport.rx.wantsInterrupt(from, transport.rx.usedIndex)).toBe(false);
    expect(driver.receive()).toEqual([frameOf(1), frameOf(2)]);
  });

  // Clauses: 2.7.7.1c
  it('MUST handle spurious notifications', async () => {
    const { device, transport } = await open();
    let wakes = 0;
    device.onWake = () => wakes++;
    for (const queue of [0, 1, 0, 7]) transport.interrupt(queue);
    expect(wakes).toBe(2);
    expect(driver.receive()).toEqual([]);
    expect(driver.account()).toEqual({ pool: BUFFERS - QUEUE_SIZE, rx: QUEUE_SIZE, tx: 0, hand: 0 });
  });
});

describe('2.7.8.3 used ring', () => {
  // Clauses: 2.7.8.3a
  it('MUST NOT assume anything of data beyond len: reports len bytes and no more', async () => {
    const { device, transport } = await open();
    const chain = transport.rx.take();
    const { offset, length } = chain?.segments[0] ?? { offset: 0, length: 0 };
    device.memory.u8.fill(0xee, offset, offset + length);
    transport.rx.deliverInto(chain as NonNullable<typeof chain>, frameOf(5, 100));
    expect(driver.receive()).toEqual([frameOf(5, 100)]);
  });

  it('takes buffers back in any order, in both directions', async () => {
    const { transport } = await open();
    const chains = transport.rx.takeAll();
    const order = [3, 0, 7, 1, 2, 6, 5, 4];
    for (const i of order) transport.rx.deliverInto(chains[i] as (typeof chains)[0], frameOf(i));
    expect(driver.receive()).toEqual(order.map((i) => frameOf(i)));
    driver.send(order.map((i) => frameOf(i)));
    const sent = transport.tx.takeAll();
    for (const i of order) transport.tx.use(sent[i] as (typeof sent)[0], 0);
    driver.device.reclaimTx();
    expect(driver.account()).toEqual({ pool: BUFFERS - QUEUE_SIZE, rx: QUEUE_SIZE, tx: 0, hand: 0 });
  });

  it('goes on, more slowly, while a device keeps the oldest buffer', async () => {
    const { transport } = await open();
    expect(driver.send(Array.from({ length: QUEUE_SIZE }, (_, i) => frameOf(i)))).toBe(QUEUE_SIZE);
    const [oldest, ...others] = transport.tx.takeAll();
    for (const chain of others) transport.tx.use(chain, 0);
    // The next slot is busy, although seven others are free.
    expect(driver.send([frameOf(100)])).toBe(0);
    transport.tx.use(oldest as NonNullable<typeof oldest>, 0);
    expect(driver.send([frameOf(101)])).toBe(1);
    expect(transport.tx.drain()).toEqual([frameOf(101)]);
  });
});

describe('2.7.10.1 available buffer notification suppression', () => {
  // Clauses: 2.7.10.1a
  it('MUST initialise the used ring: after a reset it holds nothing of its past', async () => {
    // The model notes flags or an index that are not 0 when a queue is set up.
    const { device, transport } = await open();
    transport.rx.deliver(frameOf(1));
    transport.rx.setUsedFlags(1);
    driver.receive();
    transport.needReset();
    await new Promise<void>((resolve) => {
      device.onLink = (state) => state === 'up' && resolve();
    });
    expect(transport.rx.usedIndex).toBe(0);
  });

  // Clauses: 2.7.10.1b, 2.7.10.1c
  it('without EVENT_IDX notifies if flags is 0, not if 1, and ignores avail_event', async () => {
    const { transport } = await open();
    for (const flags of [0, 1, 0, 1]) {
      transport.tx.setUsedFlags(flags);
      transport.tx.setAvailEvent(flags === 0 ? 1000 : transport.tx.availIndex);
      const before = transport.tx.notifications;
      driver.send([frameOf(1), frameOf(2)]);
      expect(transport.tx.notifications - before).toBe(flags === 0 ? 1 : 0);
      transport.tx.drain();
    }
  });

  // Clauses: 2.7.10.1d, 2.7.10.1e
  it('with EVENT_IDX notifies only if it passes avail_event, and ignores flags', async () => {
    const { transport } = await open(f.VIRTIO_F_EVENT_IDX);
    const { tx } = transport;
    let told = 0;
    for (let i = 0; i < 200; i++) {
      const from = tx.availIndex;
      // In turn, avail_event is ahead of the index, at it, and behind it.
      tx.setAvailEvent(from + ((i * 5) % 13) - 4);
      tx.setUsedFlags(i & 1);
      const before = tx.notifications;
      driver.send(Array.from({ length: 1 + (i % 5) }, () => frameOf(i)));
      const wanted = tx.wantsNotification(from, tx.availIndex);
      expect(tx.notifications - before).toBe(wanted ? 1 : 0);
      if (wanted) told++;
      tx.drain();
    }
    expect(told).toBeGreaterThan(20);
    expect(told).toBeLessThan(180);
  });

  it('notifies by the same rule when it refills the receive ring', async () => {
    const { transport } = await open(f.VIRTIO_F_EVENT_IDX);
    const { rx } = transport;
    for (const [event, wanted] of [
      [0, 1],
      [1, 0],
    ] as const) {
      rx.setAvailEvent(rx.availIndex + event);
      const before = rx.notifications;
      rx.deliver(frameOf(1));
      driver.receive();
      expect(rx.notifications - before).toBe(wanted);
    }
  });
});
