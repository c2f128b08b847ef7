/**
 * The driver's queues with steps in random order, and when buffers run out: every buffer is in exactly one place at any
 * time, and no frame is lost, doubled or altered without a counter. split-queues-hostile.test.ts has devices that lie.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as f from '../../../../../drivers/virtio/features.js';
import { FRAME_OFFSET } from '../../../../../rings/buffer-pool.js';
import type { Chain } from '../../../../support/virtio/device-model.js';
import {
  BUFFERS,
  DriverUnderTest,
  FEATURES,
  frameOf,
  QUEUE_SIZE,
} from '../../../../support/virtio/driver-under-test.js';
import { RX, TX } from '../../../../support/virtio/fake-transport.js';

const HEADER = 12;
const NOTHING = new Uint8Array(0);
const layouts = [
  ['split', 0n],
  ['packed', f.VIRTIO_F_RING_PACKED],
] as const;

/** Removes and returns an element that a random number chooses. */
function pick<T>(from: T[], random: number): T {
  return from.splice(random % from.length, 1)[0] as T;
}

/** What can happen next. Each step may use `n` and `random` in its own way. */
const step = fc.record({
  what: fc.constantFrom('deliver', 'deliver', 'receive', 'keep', 'give back', 'send', 'send', 'use', 'use', 'reclaim'),
  n: fc.integer({ min: 1, max: 12 }),
  random: fc.nat(),
});

describe.each(layouts)('an honest device and a driver in any order of steps, %s ring', (layout, packed) => {
  // Clauses: 3.3.1a
  it('keeps every buffer in one place and every frame intact, and counts drops', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...FEATURES),
        fc.array(step, { minLength: 5, maxLength: 120 }),
        async (accepted, steps) => {
          const driver = await DriverUnderTest.offering(accepted | packed);
          const { device, transport } = driver;
          const kept: { handle: number; frame: Uint8Array }[] = [];
          const waiting: Uint8Array[] = [];
          const expected: Uint8Array[] = [];
          let rxHeld: Chain[] = [];
          let txHeld: Chain[] = [];
          let seed = 0;
          const take = (received: Uint8Array[]): void => {
            for (const frame of received) {
              // Frames that were dropped for want of a buffer are missing in between. No other frame is out of order or
              // altered.
              let next = waiting.shift();
              while (next !== undefined && Buffer.compare(next, frame) !== 0) next = waiting.shift();
              if (next === undefined) throw new Error('a frame was received altered, twice or out of order');
            }
          };
          for (const { what, n, random } of steps) {
            if (what === 'deliver') {
              rxHeld.push(...transport.ring(RX).takeAll());
              for (let i = 0; i < n && rxHeld.length > 0; i++) {
                const frame = frameOf(seed++, 14 + ((random + i * 97) % 1580));
                transport.ring(RX).deliverInto(pick(rxHeld, random + i), frame);
                waiting.push(frame);
              }
            } else if (what === 'receive') {
              take(driver.receive(n));
            } else if (what === 'keep') {
              const received = driver.receiveInHand(n);
              kept.push(...received);
              take(received.map(({ frame }) => frame));
            } else if (what === 'give back') {
              for (let i = 0; i < n && kept.length > 0; i++) {
                const { handle, frame } = pick(kept, random + i);
                const at = device.pool.offsetOf(handle) + FRAME_OFFSET;
                // Nobody has written to the buffer while the stack had it.
                expect(Buffer.compare(device.memory.u8.subarray(at, at + frame.length), frame)).toBe(0);
                driver.giveBack(handle);
              }
            } else if (what === 'send') {
              const frames = Array.from({ length: n }, (_, i) => frameOf(seed++, 14 + ((random + i * 31) % 1500)));
              expected.push(...frames.slice(0, driver.send(frames)));
            } else if (what === 'use') {
              for (const chain of transport.ring(TX).takeAll()) {
                // Each frame is there once, in the order of the calls.
                expect(
                  Buffer.compare(transport.ring(TX).read(chain).subarray(HEADER), expected.shift() ?? NOTHING),
                ).toBe(0);
                txHeld.push(chain);
              }
              for (let i = 0; i < n && txHeld.length > 0; i++) transport.ring(TX).use(pick(txHeld, random + i), 0);
            } else {
              device.reclaimTx();
            }
            driver.account();
          }
          // At the end the device uses all that it has, and the driver takes all of it back.
          for (const chain of txHeld.concat(transport.ring(TX).takeAll())) transport.ring(TX).use(chain, 0);
          txHeld = rxHeld = [];
          for (const { handle } of kept) driver.giveBack(handle);
          for (let burst = driver.receive(); burst.length > 0; burst = driver.receive()) take(burst);
          device.reclaimTx();
          expect(driver.account()).toEqual({ pool: BUFFERS - QUEUE_SIZE, rx: QUEUE_SIZE, tx: 0, hand: 0 });
          const counters = device.counters();
          expect(counters.device_errors).toBe(0);
          const used = layout === 'split' ? transport.rx.usedIndex : transport.packedRx.used & 0xffff;
          expect(used).toBe(((counters.rx_packets ?? 0) + (counters.rx_dropped_no_buffer ?? 0)) & 0xffff);
          await driver.finish();
        },
      ),
      { numRuns: 150 },
    );
  });

  it('survives the wrap of the 16-bit indexes, both ways, with bursts of every size', async () => {
    const driver = await DriverUnderTest.offering(f.VIRTIO_F_EVENT_IDX | packed, { queueSize: 4, buffers: 16 });
    const { device, transport } = driver;
    const out = frameOf(1, 14);
    let sent = 0;
    let received = 0;
    for (let round = 0; received < 70_000; round++) {
      const burst = 1 + (round % 4);
      let delivered = 0;
      while (delivered < burst && transport.ring(RX).deliver(frameOf(received + delivered, 14))) delivered++;
      for (const frame of driver.receive(8)) {
        if (Buffer.compare(frame, frameOf(received, 14)) !== 0) throw new Error(`packet ${received} is another`);
        received++;
      }
      const taken = driver.send(Array.from({ length: burst }, () => out));
      sent += taken;
      if (transport.ring(TX).drain().length !== taken)
        throw new Error(`round ${round}: not all ${taken} were sent once`);
    }
    device.reclaimTx();
    expect(device.counters()).toMatchObject({ rx_packets: received, tx_packets: sent, device_errors: 0 });
    expect(sent).toBeGreaterThan(65_536);
    expect(driver.account()).toEqual({ pool: 12, rx: 4, tx: 0, hand: 0 });
    await driver.finish();
  });

  it('sends again once the device has used enough, whatever the order and bursts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { minLength: 60, maxLength: 60 }), async (random) => {
        const driver = await DriverUnderTest.offering(packed);
        const tx = driver.transport.ring(TX);
        const held: Chain[] = [];
        let sent = 0;
        for (const number of random) {
          sent += driver.send([frameOf(sent)]);
          held.push(...tx.takeAll());
          if (number % 3 !== 0) tx.use(pick(held, number), 0);
          // There is always room when the device holds nothing.
          if (held.length === 0) expect(driver.send([frameOf(0)])).toBe(1);
          held.push(...tx.takeAll());
        }
        for (const chain of held.splice(0)) tx.use(chain, 0);
        expect(driver.send([frameOf(1)])).toBe(1);
        await driver.finish();
      }),
      { numRuns: 50 },
    );
  });
});

describe.each(layouts)('pool exhaustion, %s ring', (_, packed) => {
  it('drops and counts what has no buffer, keeps the ring full, and goes on later', async () => {
    const driver = await DriverUnderTest.offering(packed);
    const { device, transport } = driver;
    const kept: number[] = [];
    for (let i = 0; device.pool.available > 0; i++) {
      transport.ring(RX).deliver(frameOf(i));
      kept.push(...driver.receiveInHand().map(({ handle }) => handle));
    }
    expect(kept).toHaveLength(BUFFERS - QUEUE_SIZE);
    for (let i = 0; i < 20; i++) expect(transport.ring(RX).deliver(frameOf(i)) && driver.receive()).toEqual([]);
    expect(device.counters().rx_dropped_no_buffer).toBe(20);
    expect(driver.account()).toEqual({ pool: 0, rx: QUEUE_SIZE, tx: 0, hand: kept.length });
    driver.giveBack(kept.pop() as number);
    transport.ring(RX).deliver(frameOf(77));
    expect(driver.receive()).toEqual([frameOf(77)]);
    for (const handle of kept) driver.giveBack(handle);
    await driver.finish();
  });

  it('returns a buffer without a frame to the pool, and sends the others', async () => {
    const driver = await DriverUnderTest.offering(packed);
    expect(driver.send([frameOf(1, 13), frameOf(2, 14), new Uint8Array(0), frameOf(3, 1519)])).toBe(4);
    expect(driver.transport.ring(TX).drain()).toEqual([frameOf(2, 14)]);
    expect(driver.device.counters()).toMatchObject({ tx_packets: 1, tx_bytes: 14, tx_dropped_bad_length: 3 });
    driver.device.reclaimTx();
    expect(driver.account()).toEqual({ pool: BUFFERS - QUEUE_SIZE, rx: QUEUE_SIZE, tx: 0, hand: 0 });
    await driver.finish();
  });
});
