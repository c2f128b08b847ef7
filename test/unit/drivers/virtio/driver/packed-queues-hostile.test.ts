/**
 * The driver's packed queues with a device that lies: no burst throws, no buffer is lost, and a reset brings all
 * buffers back.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as f from '../../../../../drivers/virtio/features.js';
import { frameCapacity } from '../../../../../rings/buffer-pool.js';
import type { Chain } from '../../../../support/virtio/device-model.js';
import { AT_REST, DriverSuite } from '../../../../support/virtio/driver-suite.js';
import { frameOf, QUEUE_SIZE } from '../../../../support/virtio/driver-under-test.js';
import type { FakeTransport } from '../../../../support/virtio/fake-transport.js';
import { goOn, receiveSound, recovers, spoilHeaders } from '../../../../support/virtio/hostile-device-steps.js';

const suite = new DriverSuite();

describe('a hostile device', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([
    ['an id beyond the queue', 'rx', (t: FakeTransport) => t.packedRx.pushUsed(QUEUE_SIZE, 100), 8],
    ['the largest id', 'rx', (t: FakeTransport) => t.packedRx.pushUsed(0xffff, 100), 65535],
    ['an id that it does not hold', 'tx', (t: FakeTransport) => t.packedTx.pushUsed(5, 0), 5],
    ['one id twice', 'tx', (t: FakeTransport) => [0, 0].map((id) => t.packedTx.pushUsed(id, 0)), 0],
  ] as const)('%s (%s): resets the device and says so in one line', async (_, queue, attack, id) => {
    vi.useFakeTimers();
    const { device, transport } = await suite.openPacked();
    const told = suite.listen();
    suite.driver.send([frameOf(1), frameOf(2)]);
    attack(transport);
    if (queue === 'rx') expect(suite.driver.receive()).toEqual([]);
    else device.reclaimTx();
    expect(device.isUp).toBe(false);
    expect(told).toEqual([
      `down: mock ${queue === 'rx' ? 'receive' : 'transmit'} queue: a used descriptor names buffer ${id}, which the device does not hold`,
    ]);
    await vi.advanceTimersByTimeAsync(100);
    expect(device.isUp).toBe(true);
    expect(suite.driver.account()).toEqual(AT_REST);
  });

  it('ignores descriptors that are marked used but were never made available', async () => {
    const { device, transport } = await suite.openPacked();
    for (let i = 0; i < 5; i++) transport.packedTx.pushUsed(i, 0);
    device.reclaimTx();
    expect(device.isUp).toBe(true);
    expect(suite.driver.account()).toEqual(AT_REST);
  });

  it('delivers the frames before the fault, and sends and posts nothing after it', async () => {
    vi.useFakeTimers();
    const { device, transport } = await suite.openPacked();
    transport.packedRx.deliver(frameOf(1));
    transport.packedRx.pushUsed(QUEUE_SIZE, 64);
    expect(suite.driver.receive()).toEqual([frameOf(1)]);
    expect(device.isUp).toBe(false);
    expect(suite.driver.send([frameOf(2)])).toBe(0);
  });

  it.each([0, 11, 25, 12 + frameCapacity(11) + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])(
    'drops a frame with a length of %d',
    async (length) => {
      const { device, transport } = await suite.openPacked();
      transport.packedRx.use(transport.packedRx.take() as Chain, length);
      transport.packedRx.deliver(frameOf(1));
      expect(suite.driver.receive()).toEqual([frameOf(1)]);
      expect(device.counters()).toMatchObject({ rx_dropped_bad_length: 1, rx_packets: 1, rx_bytes: 64 });
    },
  );

  it('drops a packet in several buffers; resets at one in more buffers than there are', async () => {
    vi.useFakeTimers();
    const { device, transport } = await suite.openPacked(f.VIRTIO_NET_F_MRG_RXBUF);
    const [first, second, third] = transport.packedRx.takeAll() as [Chain, Chain, Chain];
    transport.packedRx.deliverInto(first, frameOf(1), 2);
    transport.packedRx.deliverInto(second, frameOf(2));
    transport.packedRx.deliverInto(third, frameOf(3));
    expect(suite.driver.receive()).toEqual([frameOf(3)]);
    expect(device.counters().rx_dropped_too_long).toBe(1);
    transport.packedRx.deliverInto([...transport.packedRx.held.values()][0] as Chain, frameOf(1), QUEUE_SIZE + 1);
    expect(suite.driver.receive()).toEqual([]);
    expect(device.isUp).toBe(false);
  });

  it('survives anything that a device writes: nothing throws, no buffer is lost', async () => {
    vi.useFakeTimers();
    const u32 = fc.oneof(fc.nat(9), fc.integer({ min: 0, max: 0xffff_ffff }));
    const act = fc.record({
      what: fc.constantFrom('honest', 'used', 'garbage', 'marks', 'header', 'event'),
      queue: fc.constantFrom('packedRx' as const, 'packedTx' as const),
      a: u32,
      b: fc.oneof(fc.integer({ min: 0, max: 2100 }), u32),
    });
    const features = fc.constantFrom(0n, f.VIRTIO_F_EVENT_IDX, f.VIRTIO_NET_F_MRG_RXBUF, f.VIRTIO_F_IN_ORDER);
    await fc.assert(
      fc.asyncProperty(features, fc.array(act, { minLength: 1, maxLength: 40 }), async (accepted, acts) => {
        const { device, transport } = await suite.openPacked(accepted);
        const { driver } = suite;
        const bytes = device.memory.u8;
        for (const { what, queue, a, b } of acts) {
          if (!device.isUp) break;
          const ring = transport[queue];
          const { descriptors, size } = ring.layout;
          if (what === 'honest') {
            const chain = ring.take();
            if (chain !== null) ring.use(chain, queue === 'packedRx' ? 26 + (b % 1000) : 0);
          } else if (what === 'used') ring.pushUsed(a, b);
          else if (what === 'garbage') bytes.fill(a, descriptors, descriptors + 16 * size);
          else if (what === 'marks') bytes[descriptors + 16 * (a % size) + 14 + (b & 1)] = b >> 1;
          else if (what === 'header') spoilHeaders(driver, a);
          else ring.setEvent(a & 3, { index: b & 0x7fff, wrap: (a & 4) !== 0 });
          goOn(driver, receiveSound(driver, 1 + (b % 12)), a, b);
        }
        await recovers(driver, (frame) => transport.packedRx.deliver(frame));
        // The model checks a driver whose device does not write over the driver's descriptors.
        transport.violations.length = 0;
        await device.close();
      }),
      { numRuns: 150 },
    );
  });
});
