/**
 * The driver's split queues with a device that lies: nothing that it writes makes a burst throw or loses a buffer, and
 * a broken ring ends in a reset. packed-queues-hostile.test.ts has the same for packed rings.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as f from '../../../../../drivers/virtio/features.js';
import { FRAME_OFFSET, frameCapacity } from '../../../../../rings/buffer-pool.js';
import type { Chain } from '../../../../support/virtio/device-model.js';
import {
  BUFFERS,
  DriverUnderTest,
  FEATURES,
  frameOf,
  QUEUE_SIZE,
} from '../../../../support/virtio/driver-under-test.js';
import { goOn, receiveSound, recovers, spoilHeaders } from '../../../../support/virtio/hostile-device-steps.js';

describe('a hostile device of split rings', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([
    ['an id beyond the queue', (d: DriverUnderTest) => d.transport.rx.pushUsed(QUEUE_SIZE, 100), /names descriptor 8/],
    [
      'the largest id',
      (d: DriverUnderTest) => d.transport.rx.pushUsed(0xffff_ffff, 100),
      /names descriptor 4294967295/,
    ],
    [
      'a used index that jumps',
      (d: DriverUnderTest) => d.transport.rx.setUsedIndex(9),
      /used index jumped by 9 in a queue of 8/,
    ],
    [
      'a used index that goes back',
      (d: DriverUnderTest) => d.transport.rx.setUsedIndex(-1),
      /used index jumped by 65535/,
    ],
  ])('%s: resets the device and says so in one line', async (_, attack, reason) => {
    vi.useFakeTimers();
    const driver = await DriverUnderTest.offering(0n);
    const told: string[] = [];
    driver.device.onLink = (state, why) => told.push(`${state}: ${why}`);
    attack(driver);
    expect(driver.receive()).toEqual([]);
    expect(driver.device.isUp).toBe(false);
    expect(told).toEqual([expect.stringMatching(reason)]);
    await vi.advanceTimersByTimeAsync(100);
    expect(driver.device.isUp).toBe(true);
    expect(driver.account()).toEqual({ pool: BUFFERS - QUEUE_SIZE, rx: QUEUE_SIZE, tx: 0, hand: 0 });
    await driver.device.close();
  });

  it.each([
    ['an id that it does not hold', (d: DriverUnderTest) => d.transport.tx.pushUsed(5, 0)],
    ['one id twice', (d: DriverUnderTest) => [0, 0].map((id) => d.transport.tx.pushUsed(id, 0))],
    ['a used index that jumps', (d: DriverUnderTest) => d.transport.tx.setUsedIndex(100)],
  ])('%s on the transmit queue: resets the device at the next look', async (_, attack) => {
    vi.useFakeTimers();
    const driver = await DriverUnderTest.offering(0n);
    driver.send([frameOf(1), frameOf(2)]);
    attack(driver);
    driver.device.reclaimTx();
    expect(driver.device.isUp).toBe(false);
    expect(driver.device.counters().device_errors).toBe(1);
    driver.account();
    await vi.advanceTimersByTimeAsync(100);
    expect(driver.device.isUp).toBe(true);
    await driver.device.close();
  });

  // Found by fuzzing (split-driver-rx): the device could set its index right again before the next burst.
  it('stops using a ring whose used index jumps while the interrupt is being armed', async () => {
    vi.useFakeTimers();
    const driver = await DriverUnderTest.offering(0n);
    const { rx } = driver.transport;
    rx.setUsedIndex(100);
    expect(driver.device.enableRxInterrupt()).toBe(false);
    rx.setUsedIndex(0);
    rx.deliver(frameOf(1));
    const published = rx.availIndex;
    expect(driver.receive()).toEqual([]);
    expect(rx.availIndex).toBe(published);
    expect(driver.device.isUp).toBe(false);
    expect(driver.device.counters().device_errors).toBe(1);
    await driver.device.close();
  });

  it('delivers the frames before the fault, and sends and posts nothing after it', async () => {
    vi.useFakeTimers();
    const driver = await DriverUnderTest.offering(0n);
    const { rx } = driver.transport;
    rx.deliver(frameOf(1));
    rx.pushUsed(QUEUE_SIZE, 64);
    const published = rx.availIndex;
    expect(driver.receive()).toEqual([frameOf(1)]);
    expect(rx.availIndex).toBe(published + 1);
    expect(driver.device.isUp).toBe(false);
    expect(driver.send([frameOf(2)])).toBe(0);
    await driver.device.close();
  });

  it('delivers no frame after the reset that was written but not handed over before', async () => {
    vi.useFakeTimers();
    const driver = await DriverUnderTest.offering(0n);
    const { device, transport } = driver;
    const { memory, pool } = device;
    const types = (): Set<number> =>
      new Set(
        Array.from({ length: pool.geometry.count }, (_, h) => memory.u16[(pool.offsetOf(h) + FRAME_OFFSET + 12) >> 1]!),
      );
    transport.rx.deliver(frameOf(0x0101));
    expect(types().size).toBe(2);
    transport.needReset();
    await vi.advanceTimersByTimeAsync(200);
    expect(device.isUp).toBe(true);
    expect(types()).toEqual(new Set([0]));
    await device.close();
  });

  it.each([0, 11, 12, 25, 12 + frameCapacity(11) + 1, 0x7fff_ffff, 0xffff_ffff])(
    'drops and counts a frame with a length of %d',
    async (length) => {
      const driver = await DriverUnderTest.offering(0n);
      const { rx } = driver.transport;
      const chain = rx.take() as Chain;
      rx.use(chain, length);
      rx.deliver(frameOf(1));
      expect(driver.receive()).toEqual([frameOf(1)]);
      expect(driver.device.counters()).toMatchObject({ rx_dropped_bad_length: 1, rx_packets: 1, rx_bytes: 64 });
      await driver.finish();
    },
  );

  it.each([9, 255, 65535])('resets at a packet that is said to be in %d buffers of a queue of 8', async (buffers) => {
    vi.useFakeTimers();
    const driver = await DriverUnderTest.offering(f.VIRTIO_NET_F_MRG_RXBUF);
    driver.transport.rx.deliverInto(driver.transport.rx.take() as Chain, frameOf(1), buffers);
    expect(driver.receive()).toEqual([]);
    expect(driver.device.isUp).toBe(false);
    expect(driver.account()).toMatchObject({ rx: QUEUE_SIZE, hand: 0 });
    await driver.device.close();
  });

  it('survives anything that a device writes: nothing throws, no buffer is lost', async () => {
    vi.useFakeTimers();
    const u32 = fc.oneof(fc.nat(9), fc.integer({ min: 0, max: 0xffff_ffff }));
    const act = fc.record({
      what: fc.constantFrom('honest', 'used', 'index', 'garbage', 'table', 'header', 'flags'),
      queue: fc.constantFrom('rx' as const, 'tx' as const),
      a: u32,
      b: fc.oneof(fc.integer({ min: 0, max: 2100 }), u32),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...FEATURES),
        fc.array(act, { minLength: 1, maxLength: 40 }),
        async (accepted, acts) => {
          const driver = await DriverUnderTest.offering(accepted);
          const { device, transport } = driver;
          const { base, shift, count } = device.pool.geometry;
          const buffers = device.memory.u8.subarray(base, base + (count << shift));
          for (const { what, queue, a, b } of acts) {
            if (!device.isUp) break;
            const ring = transport[queue];
            const { descriptors, device: usedRing, size } = ring.layout;
            const bytes = device.memory.u8;
            if (what === 'honest') {
              if (queue === 'rx') ring.pushUsed(a % size, 26 + (b % 1000));
              else if (ring.take() !== null) ring.pushUsed((ring.nextAvailable - 1) % size, 0);
            } else if (what === 'used') ring.pushUsed(a, b);
            else if (what === 'index') ring.setUsedIndex(a);
            else if (what === 'garbage') bytes.fill(a, usedRing + 4, usedRing + 4 + 8 * size);
            else if (what === 'table') bytes.fill(a, descriptors, descriptors + 16 * size);
            else if (what === 'header') spoilHeaders(driver, a);
            else ring.setUsedFlags(a & 1);
            const before = Buffer.from(buffers);
            const received = receiveSound(driver, 1 + (b % 12));
            // Receiving writes to no packet buffer.
            expect(Buffer.compare(before, buffers)).toBe(0);
            goOn(driver, received, a, b);
          }
          await recovers(driver, (frame) => transport.rx.deliver(frame));
          await device.close();
        },
      ),
      { numRuns: 150 },
    );
  });
});
