/**
 * What virtio 1.2 demands of the driver of a packed virtqueue (2.8), clause by clause. The device is the model in
 * test/support/virtio/packed-device-model.ts: it notes every broken demand that it sees, and the notes are asserted
 * after each test. test/CLAUSES.md lists all clauses, also those that packed-queues.test.ts shows.
 */
import { describe, expect, it, vi } from 'vitest';
import * as f from '../../../../../drivers/virtio/features.js';
import { DriverSuite } from '../../../../support/virtio/driver-suite.js';
import { type DriverUnderTest, frameOf, QUEUE_SIZE } from '../../../../support/virtio/driver-under-test.js';
import { BASIC } from '../../../../support/virtio/fake-transport.js';

const suite = new DriverSuite();

const frames = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => frameOf(i));

/** The bytes of the descriptors of both rings. */
function descriptors({ device, transport }: DriverUnderTest): Buffer[] {
  return [transport.packedRx, transport.packedTx].map(({ layout }) =>
    Buffer.from(device.memory.u8.slice(layout.descriptors, layout.descriptors + 16 * layout.size)),
  );
}

describe('2.8.11 virtqueues', () => {
  // Clauses: 2.8.11a
  it('MUST align the descriptor ring to 16 and event suppression to 4', async () => {
    const { transport } = await suite.openPacked();
    for (const { layout } of [transport.packedRx, transport.packedTx]) {
      expect([layout.descriptors % 16, layout.driver % 4, layout.device % 4]).toEqual([0, 0, 0]);
    }
  });
});

describe('2.8.16 the descriptors', () => {
  // Clauses: 2.8.16b, 3.3.1a
  it('MUST NOT change a descriptor after AVAIL until it sees USED, whatever is called', async () => {
    const driver = await suite.openPacked();
    const { device, transport } = driver;
    expect(driver.send(frames(QUEUE_SIZE))).toBe(QUEUE_SIZE);
    transport.packedTx.takeAll();
    transport.packedRx.takeAll();
    const before = descriptors(driver);
    expect(driver.send(frames(3))).toBe(0);
    expect(driver.receive()).toEqual([]);
    device.reclaimTx();
    device.enableRxInterrupt();
    device.disableRxInterrupt();
    expect(descriptors(driver)).toEqual(before);
  });

  // Clauses: 2.8.16a
  it('fills only those descriptors that it sees used', async () => {
    const driver = await suite.openPacked();
    const { transport } = driver;
    driver.send(frames(QUEUE_SIZE));
    for (const chain of transport.packedTx.takeAll().slice(0, 3)) transport.packedTx.use(chain, 0);
    const [, before] = descriptors(driver);
    expect(driver.send(frames(QUEUE_SIZE))).toBe(3);
    const [, after] = descriptors(driver);
    expect(after!.subarray(3 * 16)).toEqual(before!.subarray(3 * 16));
    expect(after!.subarray(0, 3 * 16)).not.toEqual(before!.subarray(0, 3 * 16));
  });
});

describe('2.8.17, 2.8.19 lists', () => {
  // Clauses: 2.8.17a, 2.8.17b, 2.8.17d
  it('MUST NOT make a list longer than the queue, nor begin one without room', async () => {
    const { transport } = await suite.openPacked();
    expect(suite.driver.send(frames(QUEUE_SIZE + 5))).toBe(QUEUE_SIZE);
    const chains = [...transport.packedTx.takeAll(), ...transport.packedRx.takeAll()];
    expect(chains).toHaveLength(2 * QUEUE_SIZE);
    for (const { segments } of chains) expect(segments).toHaveLength(1);
  });

  // Clauses: 2.8.19a, 2.8.19d
  it('MUST NOT set INDIRECT where it was not negotiated, even if it is offered', async () => {
    // The model notes every flag except NEXT, WRITE, AVAIL and USED.
    const { transport } = await suite.openPacked(f.VIRTIO_F_INDIRECT_DESC);
    expect(transport.accepted).toBe(BASIC | f.VIRTIO_F_RING_PACKED);
    suite.driver.send(frames(2));
    expect(transport.packedTx.takeAll()).toHaveLength(2);
  });
});

describe('2.8.21 barriers', () => {
  // Clauses: 2.8.21.3.1a
  it('MUST NOT read the event suppression of the device before it writes the flags', async () => {
    const { transport } = await suite.openPacked();
    const { layout } = transport.packedTx;
    const accesses: string[] = [];
    const { load, store } = Atomics;
    vi.spyOn(Atomics, 'store').mockImplementation(((array: Int32Array, at: number, value: number) => {
      if (at === (layout.descriptors >> 2) + 3) accesses.push('flags');
      return store(array, at, value);
    }) as typeof Atomics.store);
    vi.spyOn(Atomics, 'load').mockImplementation(((array: Int32Array, at: number) => {
      if (at === layout.device >> 2) accesses.push('event suppression');
      return load(array, at);
    }) as typeof Atomics.load);
    suite.driver.send(frames(3));
    vi.restoreAllMocks();
    expect(accesses).toEqual(['flags', 'event suppression']);
  });
});
