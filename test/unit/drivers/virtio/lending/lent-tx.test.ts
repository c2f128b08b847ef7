/** A transmit queue that another thread drives: who has the buffers, what the borrower may do, and how a loan ends. */
import { describe, expect, it } from 'vitest';
import { closeFile, eventfd } from '../../../../../drivers/libc/index.js';
import { lendDoorbell, openDoorbell } from '../../../../../drivers/virtio/driver/device-doorbell.js';
import * as f from '../../../../../drivers/virtio/features.js';
import { BorrowedTx } from '../../../../../drivers/virtio/lending/borrowed-tx.js';
import { SEEN, STATE } from '../../../../../drivers/virtio/lending/tx-loan.js';
import { CounterBlock } from '../../../../../rings/counters.js';
import { Borrower } from '../../../../support/lending/borrower.js';
import {
  ANSWER_MS,
  BorrowerSuite,
  frames,
  pass,
  REST,
  RETRY_MS,
  turn,
} from '../../../../support/lending/borrower-suite.js';
import { openFds } from '../../../../support/resources.js';
import { DriverUnderTest, frameOf, QUEUE_SIZE } from '../../../../support/virtio/driver-under-test.js';
import { TX, WITH_CONFIG } from '../../../../support/virtio/fake-transport.js';

const suite = new BorrowerSuite();

describe('buffers that were sent', () => {
  it('go into the pool by default', async () => {
    const { device } = await suite.open();
    expect(device.sent).toBe(device.pool);
  });

  it('go into a pool of their own if that is asked for, also when dropped or lost', async () => {
    const { device, transport } = await suite.open(() => {}, { separateSent: true });
    const account = (): unknown => suite.driver.account(device.sent);
    expect(suite.driver.send([frameOf(1), frameOf(2, 13), frameOf(3)])).toBe(3);
    expect(account()).toEqual({ ...REST, pool: REST.pool - 3, tx: 2, sent: 1 });
    expect(transport.tx.take()).not.toBeNull();
    transport.tx.use([...transport.tx.held.values()][0] as never, 0);
    device.reclaimTx();
    expect(account()).toEqual({ ...REST, pool: REST.pool - 3, tx: 1, sent: 2 });
    transport.lose();
    await pass(RETRY_MS);
    expect(account()).toEqual({ ...REST, pool: REST.pool - 3, sent: 3 });
    expect(device.counters()).toMatchObject({ tx_lost_on_reset: 1, tx_dropped_bad_length: 1 });
  });

  it('leave the pool its own: only these fill the receive ring', async () => {
    const { device, transport } = await suite.open(() => {}, {
      separateSent: true,
      ownBuffers: { first: 16, end: 32 },
    });
    expect(device.pool.available).toBe(16 - QUEUE_SIZE);
    const posted = transport.rx.takeAll().map(({ segments }) => segments[0]?.offset as number);
    expect(posted).toHaveLength(QUEUE_SIZE);
    for (const at of posted) expect(at).toBeGreaterThanOrEqual(device.pool.offsetOf(16));
    transport.rx.deliverInto([...transport.rx.held.values()][0] as never, frameOf(1));
    expect(suite.driver.receive()).toEqual([frameOf(1)]);
  });

  it.each([
    [{ first: 0, end: 33 }, 'mock: its own buffers cannot be 0 to 33: there are 32'],
    [{ first: 4, end: 4 }, 'mock: its own buffers cannot be 4 to 4: there are 32'],
    [{ first: 4, end: 12 }, 'mock: 8 buffers are too few: they must fill a receive ring of 8, and more'],
  ])('may not be owned by %j', async (ownBuffers, message) => {
    await expect(DriverUnderTest.open({ ownBuffers })).rejects.toThrow(message);
  });
});

describe('the borrower of a transmit queue', () => {
  it('sends, rings the doorbell and takes buffers back; the owner does not', async () => {
    const borrower = await suite.lend();
    const { device, transport } = suite.driver;
    expect([borrower.tx.isUp, borrower.rang]).toEqual([true, false]);
    expect(borrower.send(frames(3))).toBe(3);
    expect([borrower.rang, borrower.tx.inFlight]).toEqual([true, 3]);
    expect(suite.driver.send(frames(1))).toBe(0);
    device.reclaimTx();
    expect(transport.tx.drain()).toEqual(frames(3));
    expect(borrower.account()).toEqual({ ...REST, pool: REST.pool - 3, tx: 3 });
    borrower.tx.reclaimTx();
    expect(borrower.tx.inFlight).toBe(0);
    expect(borrower.account()).toEqual({ ...REST, pool: REST.pool - 3, sent: 3 });
    expect(borrower.drain()).toBe(3);
    transport.rx.deliver(frameOf(9));
    expect(suite.driver.receive()).toEqual([frameOf(9)]);
  });

  it('is limited by the ring, wraps, and drops frames of a bad length into its pool', async () => {
    const borrower = await suite.lend();
    const { transport } = suite.driver;
    for (let round = 0; round < 20; round++) {
      expect(borrower.send(frames(12, round))).toBe(QUEUE_SIZE);
      expect(transport.tx.drain()).toEqual(frames(QUEUE_SIZE, round));
      borrower.tx.reclaimTx();
      expect(borrower.drain()).toBe(QUEUE_SIZE);
    }
    expect(borrower.send([frameOf(1, 1515 + 4)])).toBe(1);
    expect(borrower.account()).toEqual({ ...REST, pool: REST.pool - 1, sent: 1 });
    const totals = { tx_packets: 160, tx_bytes: 160 * 64, tx_dropped_bad_length: 1 };
    expect(borrower.tx.counters()).toMatchObject(totals);
    expect(suite.driver.device.counters()).toMatchObject(totals);
  });

  it('follows EVENT_IDX and the size of the ring as they were negotiated', async () => {
    const borrower = await suite.lend((t) => {
      t.offered |= f.VIRTIO_F_EVENT_IDX;
    });
    const { transport } = suite.driver;
    transport.tx.setAvailEvent(1);
    borrower.send(frames(1));
    expect(borrower.rang).toBe(false);
    borrower.send(frames(1));
    expect(borrower.rang).toBe(true);
  });

  it.each(['split', 'packed'] as const)('says where it goes on, with NOTIFICATION_DATA (%s)', async (ring) => {
    const { transport } = await suite.open(
      (t) => {
        t.transportFeatures = f.VIRTIO_F_NOTIFICATION_DATA;
        t.offered |= f.VIRTIO_F_NOTIFICATION_DATA | f.VIRTIO_F_RING_PACKED;
      },
      { lendTx: true, ring },
    );
    const borrower = new Borrower(suite.driver);
    const words: string[] = [];
    for (let i = 0; i < 5; i++) {
      borrower.send(frames(3));
      words.push(transport.notifyWords[TX]!.toString(16));
      expect(transport.ring(TX).drain()).toEqual(frames(3));
      borrower.tx.reclaimTx();
      borrower.drain();
    }
    const split = ['30001', '60001', '90001', 'c0001', 'f0001'];
    const packed = ['80030001', '80060001', '10001', '40001', '70001'];
    expect(words).toEqual(ring === 'split' ? split : packed);
  });

  it('knows whether the link is up', async () => {
    const borrower = await suite.lend((t) => {
      t.offered = WITH_CONFIG;
    });
    const told: boolean[] = [];
    borrower.tx.onLinkChange = () => told.push(borrower.tx.isUp);
    suite.driver.transport.setLink(false);
    await turn();
    expect([borrower.tx.isUp, borrower.send(frames(1))]).toEqual([false, 1]);
    suite.driver.transport.setLink(true);
    await turn();
    expect(borrower.tx.isUp).toBe(true);
    expect(told).toEqual([false, true]);
  });

  it('is one at a time, of a device that was opened for it and is open', async () => {
    const { device } = await suite.open();
    expect(() => device.lendTx()).toThrow('mock: opened without the option lendTx');
    await device.close();
    const borrower = await suite.lend();
    expect(() => suite.driver.device.lendTx()).toThrow('mock transmit queue is lent to another thread already');
    expect(borrower.tx.isUp).toBe(true);
    await suite.driver.device.close();
    expect(() => suite.driver.device.lendTx()).toThrow('mock: closed');
  });

  it('shares the counters with any thread, as of their last publication', async () => {
    const borrower = await suite.lend();
    const { device, transport } = suite.driver;
    const seen = CounterBlock.attach(structuredClone(device.counts.share));
    transport.rx.deliver(frameOf(1));
    suite.driver.receive();
    borrower.send(frames(2));
    expect(seen.snapshot()).toMatchObject({ rx_packets: 0, tx_packets: 0 });
    device.counts.publish();
    expect(seen.snapshot()).toMatchObject({ rx_packets: 1, rx_bytes: 64, tx_packets: 2, tx_bytes: 128 });
  });
});

describe('the end of a loan', () => {
  it('comes with the end of the device: the borrower is told, and leaves first', async () => {
    const borrower = await suite.lend();
    const { device, transport } = suite.driver;
    borrower.send(frames(3));
    transport.tx.use(transport.tx.take() as never, 0);
    const closing = device.close();
    expect(transport.connected).toBe(true);
    await turn();
    await closing;
    expect([transport.connected, borrower.tx.isClosed, borrower.states]).toEqual([false, true, ['closed']]);
    expect([borrower.tx.sent.available, borrower.tx.inFlight, borrower.send([])]).toEqual([1, 2, 0]);
    borrower.tx.reclaimTx();
    borrower.tx.close();
    expect(borrower.states).toEqual(['closed']);
  });

  it('is not waited for without end: the device closes all the same', async () => {
    const { device, transport } = await suite.open(() => {}, { lendTx: true });
    const loan = device.lendTx();
    Atomics.store(loan.control, SEEN, Atomics.load(loan.control, STATE));
    const closing = device.close();
    await pass(ANSWER_MS - 1);
    expect(transport.connected).toBe(true);
    await pass(1);
    await closing;
    expect(transport.connected).toBe(false);
    // If the borrower wakes up one day, it sees that there is nothing more to do.
    const late = new BorrowedTx(loan);
    expect([late.isClosed, late.isUp]).toEqual([true, false]);
    await turn();
  });

  it('can be the borrower’s wish: for the next one the device restarts, counters go on', async () => {
    const first = await suite.lend();
    const { device, transport } = suite.driver;
    const told = suite.listen();
    first.send(frames(3));
    first.tx.close();
    expect([first.tx.isClosed, first.states, first.send(frames(1))]).toEqual([true, ['closed'], 0]);
    await turn();
    expect(told).toEqual([]);
    const second = new Borrower(suite.driver, device.lendTx());
    expect([second.tx.isUp, told]).toEqual([false, ['down: mock: the transmit queue goes to another thread']]);
    await pass(RETRY_MS);
    expect(second.account()).toEqual({ ...REST, pool: REST.pool - 3, sent: 3 });
    expect(second.send(frames(2))).toBe(2);
    expect(transport.tx.drain()).toEqual(frames(2));
    expect(device.counters()).toMatchObject({ tx_packets: 5, tx_lost_on_reset: 3 });
  });

  it('leaves the buffers of the ring to the owner at the next reset without a borrower', async () => {
    const borrower = await suite.lend();
    const { device, transport } = suite.driver;
    borrower.send(frames(3));
    borrower.tx.close();
    transport.needReset();
    await pass(RETRY_MS);
    expect([device.isUp, device.sent.available]).toEqual([true, 3]);
    expect(borrower.account()).toEqual({ ...REST, pool: REST.pool - 3, sent: 3 });
  });
});

describe('doorbells on another thread', () => {
  it('stay open until they are given back, even if the original is closed', () => {
    const before = openFds();
    const fd = eventfd();
    const lent = lendDoorbell({ kind: 'eventfd', fd });
    closeFile(fd);
    expect(openFds()).toBe(before + 1);
    openDoorbell(lent.share).ring(0);
    lent.release();
    lent.release();
    expect(openFds()).toBe(before);
  });
});
