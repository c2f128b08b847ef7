/**
 * The driver's side of packed rings (virtio 1.2, 2.8): when they are used, and what each clause demands of the driver.
 */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { PackedRxQueue } from '../../../../../drivers/virtio/driver/packed-rx.js';
import * as f from '../../../../../drivers/virtio/features.js';
import { eventAt, wantsEvent } from '../../../../../drivers/virtio/layout/packed.js';
import { FRAME_OFFSET } from '../../../../../rings/buffer-pool.js';
import type { Chain } from '../../../../support/virtio/device-model.js';
import { AT_REST, DriverSuite } from '../../../../support/virtio/driver-suite.js';
import { BUFFERS, frameOf, QUEUE_SIZE } from '../../../../support/virtio/driver-under-test.js';
import { BASIC } from '../../../../support/virtio/fake-transport.js';

const PACKED = BASIC | f.VIRTIO_F_RING_PACKED;
const suite = new DriverSuite();

const both = [
  ['flags', 0n],
  ['EVENT_IDX', f.VIRTIO_F_EVENT_IDX],
] as const;

describe('the layout of a queue', () => {
  it.each([
    ['packed', PACKED, true],
    ['split', PACKED, false],
    ['auto', BASIC, false],
    ['split', BASIC, false],
  ] as const)('is %s, for a device that offers %i', async (ring, offered, packed) => {
    const { device, transport } = await suite.open((t) => (t.offered = offered), { ring });
    expect(transport.accepted).toBe(packed ? PACKED : BASIC);
    expect(device.rx instanceof PackedRxQueue).toBe(packed);
  });

  it('refuses a device without packed rings where they are asked for', async () => {
    await expect(suite.open((t) => (t.offered = BASIC), { ring: 'packed' })).rejects.toThrow(
      'mock: packed rings were asked for, but the device does not offer them (it offers VERSION_1)',
    );
  });

  it('goes on, with counters and buffers, when a device returns with the other layout', async () => {
    vi.useFakeTimers();
    const { device, transport } = await suite.open((t) => (t.offered = PACKED), { ring: 'split' });
    const options = (device as unknown as { options: { ring: string } }).options;
    let [received, sent, lost] = [0, 0, 0];
    for (const ring of ['packed', 'split', 'packed', 'packed', 'split']) {
      suite.driver.send([frameOf(1), frameOf(2)]);
      sent += 2;
      lost += 2;
      transport.ring(0).deliver(frameOf(3));
      expect(suite.driver.receive()).toEqual([frameOf(3)]);
      received++;
      options.ring = ring;
      transport.needReset();
      await vi.advanceTimersByTimeAsync(200);
      expect(device.isUp).toBe(true);
      expect(suite.driver.account()).toEqual(AT_REST);
      expect(device.rx instanceof PackedRxQueue).toBe(ring === 'packed');
    }
    expect(device.counters()).toMatchObject({ rx_packets: received, tx_packets: sent, tx_lost_on_reset: lost });
  });

  it.each([
    ['packed', 'packed'],
    ['packed', 'split'],
    ['split', 'packed'],
    ['split', 'split'],
  ] as const)('forgets an undelivered frame when its buffer is free again (%s, then %s)', async (ring, next) => {
    vi.useFakeTimers();
    const { device, transport } = await suite.open((t) => (t.offered = PACKED), { ring });
    const { memory, pool } = device;
    const types = (): number[] =>
      Array.from({ length: BUFFERS }, (_, handle) => memory.u16[(pool.offsetOf(handle) + FRAME_OFFSET + 12) >> 1]!);
    const frame = frameOf(7).fill(0xaa, 12, 14);
    transport.ring(0).deliver(frame);
    expect(types()).toContain(0xaaaa);
    (device as unknown as { options: { ring: string } }).options.ring = next;
    transport.needReset();
    await vi.advanceTimersByTimeAsync(200);
    expect(device.isUp).toBe(true);
    expect(types()).not.toContain(0xaaaa);
  });
});

describe('2.8.10 used buffer notification suppression', () => {
  it.each(both)('asks for no notification of either queue while it polls (%s)', async (_, features) => {
    const { device, transport } = await suite.openPacked(features);
    for (let i = 0; i < 40; i++) {
      for (const ring of [transport.packedRx, transport.packedTx]) expect(ring.driverEvent.flags).toBe(1);
      transport.packedRx.deliver(frameOf(i));
      suite.driver.send([frameOf(i)]);
      transport.packedTx.drain();
      suite.driver.receive();
      if (i === 20) {
        expect(device.enableRxInterrupt()).toBe(true);
        device.disableRxInterrupt();
      }
    }
  });

  it.each(both)('with interrupts on, any next used buffer is notified (%s)', async (_, features) => {
    const { device, transport } = await suite.openPacked(features);
    const ring = transport.packedRx;
    for (let i = 0; i < 40; i++) {
      expect(device.enableRxInterrupt()).toBe(true);
      const from = { ...ring.nextUsed };
      ring.deliver(frameOf(i));
      expect(ring.wantsInterrupt(from, 1)).toBe(true);
      device.disableRxInterrupt();
      expect(suite.driver.receive()).toEqual([frameOf(i)]);
    }
  });

  it.each(both)('sees a buffer that is used while it switches interrupts on (%s)', async (_, features) => {
    const { device, transport } = await suite.openPacked(features);
    transport.packedRx.deliver(frameOf(1));
    expect(device.enableRxInterrupt()).toBe(false);
    expect(transport.packedRx.driverEvent.flags).toBe(1);
    expect(suite.driver.receive()).toEqual([frameOf(1)]);
  });
});

describe('2.8.21.2 available buffer notifications', () => {
  it.each(both)('are sent for exactly those descriptors for which the device wants them (%s)', async (_, features) => {
    const { transport } = await suite.openPacked(features);
    const ring = transport.packedTx;
    let told = 0;
    for (let i = 0; i < 200; i++) {
      const from = { ...ring.nextAvail };
      const at = from.index + ((i * 5) % 13) - 4;
      const wrapped = at < 0 || at >= QUEUE_SIZE;
      ring.setEvent(i % 7 === 0 ? i % 2 : 2, {
        index: (at + QUEUE_SIZE) % QUEUE_SIZE,
        wrap: wrapped ? !from.wrap : from.wrap,
      });
      const before = ring.notifications;
      const n = 1 + (i % 5);
      expect(suite.driver.send(Array.from({ length: n }, () => frameOf(i)))).toBe(n);
      const wanted = ring.wantsNotification(from, n);
      expect(ring.notifications - before).toBe(wanted ? 1 : 0);
      if (wanted) told++;
      ring.drain();
    }
    expect(told).toBeGreaterThan(20);
    expect(told).toBeLessThanOrEqual(features === 0n ? 186 : 180);
  });

  it('follow the rule for every place in rings of every size', () => {
    const place = fc.record({
      size: fc.integer({ min: 1, max: 40 }),
      from: fc.nat(200),
      count: fc.nat(40),
      event: fc.nat(200),
    });
    fc.assert(
      fc.property(place, ({ size, from, count, event }) => {
        const moved = Math.min(count, size);
        const to = from + moved;
        const wrapAt = (n: number): boolean => Math.floor(n / size) % 2 === 0;
        let passed = false;
        for (let n = from; n < to; n++) passed ||= n % size === event % size && wrapAt(n) === wrapAt(event);
        const wish = eventAt(event % size, wrapAt(event));
        expect(wantsEvent(wish, true, to % size, wrapAt(to), moved, size)).toBe(passed);
      }),
    );
  });
});

describe('2.8.21.1 buffers on their way to the device and back', () => {
  // Clauses: 2.8.17e, 2.8.21.1.1a
  it('nothing of a burst before all of it is written, and nothing before DRIVER_OK', async () => {
    // The model notes a first descriptor that is marked when the queue is set up.
    const { device, transport } = await suite.openPacked();
    const { descriptors } = transport.packedTx.layout;
    const stores: number[] = [];
    const store = Atomics.store;
    const spy = vi.spyOn(Atomics, 'store').mockImplementation(((array: Int32Array, index: number, value: number) => {
      const flags = [0, 1, 2].map((i) => device.memory.u16[(descriptors + 16 * i + 14) >> 1]! & 0x8080);
      if (index === (descriptors >> 2) + 3) stores.push(...flags);
      return store(array, index, value);
    }) as typeof Atomics.store);
    suite.driver.send([frameOf(1), frameOf(2), frameOf(3)]);
    spy.mockRestore();
    expect(stores).toEqual([0, 0x80, 0x80]);
    expect(transport.packedTx.drain()).toHaveLength(3);
  });

  it('takes buffers back in any order and in batches, in both directions', async () => {
    const { transport, device } = await suite.openPacked();
    const order = [3, 0, 7, 1, 2, 6, 5, 4];
    for (let round = 0; round < 5; round++) {
      const chains = transport.packedRx.takeAll();
      for (const i of order) transport.packedRx.deliverInto(chains[i] as Chain, frameOf(i));
      expect(suite.driver.receive()).toEqual(order.map((i) => frameOf(i)));
      expect(suite.driver.send(order.map((i) => frameOf(i)))).toBe(8);
      const sent = transport.packedTx.takeAll();
      transport.packedTx.useTogether(
        order.map((i) => sent[i] as Chain),
        0,
      );
      device.reclaimTx();
      expect(suite.driver.account()).toEqual(AT_REST);
    }
  });

  it('goes on, more slowly, while a device keeps the oldest buffer', async () => {
    const { transport } = await suite.openPacked();
    expect(suite.driver.send(Array.from({ length: 11 }, (_, i) => frameOf(i)))).toBe(QUEUE_SIZE);
    const [oldest, ...others] = transport.packedTx.takeAll();
    for (const chain of others) transport.packedTx.use(chain, 0);
    expect(suite.driver.send([frameOf(100)])).toBe(0);
    transport.packedTx.use(oldest as Chain, 0);
    expect(suite.driver.send([frameOf(101)])).toBe(1);
    expect(transport.packedTx.drain()).toEqual([frameOf(101)]);
  });
});

describe('2.8.8 in-order use of descriptors', () => {
  const IN_ORDER = f.VIRTIO_F_IN_ORDER;

  it('is accepted with packed rings only', async () => {
    const { transport } = await suite.openPacked(IN_ORDER);
    expect(transport.accepted).toBe(PACKED | IN_ORDER);
    await suite.driver.device.close();
    const split = await suite.open((t) => (t.offered = PACKED | IN_ORDER), { ring: 'split' });
    expect(split.transport.accepted).toBe(BASIC);
  });

  it('takes back batches of any size by one used descriptor each, round the ring', async () => {
    const { device, transport } = await suite.openPacked(IN_ORDER);
    const held: Chain[] = [];
    const lengths = [1, 8, 3, 2, 5, 7, 4, 6];
    for (let round = 0; round < 100; round++) {
      suite.driver.send(Array.from({ length: lengths[round % 8]! }, (_, i) => frameOf(i)));
      held.push(...transport.packedTx.takeAll());
      const n = Math.min(held.length, lengths[(round * 5 + 3) % 8]!);
      if (n > 0) transport.packedTx.useBatch(held.splice(0, n));
      if (round % 3 === 0) device.reclaimTx();
      suite.driver.account();
    }
    if (held.length > 0) transport.packedTx.useBatch(held);
    device.reclaimTx();
    expect(suite.driver.account()).toEqual(AT_REST);
    expect(device.isUp).toBe(true);
  });

  it.each([
    ['a buffer that it does not hold', 5],
    ['a number beyond the ring', 8],
    ['the largest number', 65535],
  ])('resets the device at a batch whose last is %s', async (_, id) => {
    vi.useFakeTimers();
    const { device, transport } = await suite.openPacked(IN_ORDER);
    suite.driver.send([frameOf(1), frameOf(2)]);
    transport.packedTx.pushUsed(id, 0);
    device.reclaimTx();
    expect(device.isUp).toBe(false);
    await vi.advanceTimersByTimeAsync(100);
    expect(suite.driver.account()).toEqual(AT_REST);
  });

  it('delivers frames in order, and resets at a used descriptor out of order', async () => {
    vi.useFakeTimers();
    const { transport } = await suite.openPacked(IN_ORDER);
    for (let i = 0; i < 30; i++) {
      transport.packedRx.deliver(frameOf(i));
      expect(suite.driver.receive()).toEqual([frameOf(i)]);
    }
    const told = suite.listen();
    transport.packedRx.pushUsed(0, 76);
    expect(suite.driver.receive()).toEqual([]);
    expect(told).toEqual(['down: mock receive queue: a used descriptor names buffer 0, but 6 was next in order']);
  });
});
