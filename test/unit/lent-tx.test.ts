/** A transmit queue that another thread drives: what it may do, and how it is left before the device is touched. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { closeFile, eventfd } from '../../drivers/libc/index.js';
import { BorrowedTx } from '../../drivers/virtio/borrowed-tx.js';
import { lendDoorbell, openDoorbell } from '../../drivers/virtio/doorbell.js';
import * as f from '../../drivers/virtio/features.js';
import { SEEN, STATE } from '../../drivers/virtio/tx-loan.js';
import { CounterBlock } from '../../rings/counters.js';
import { Borrower } from '../support/borrower.js';
import { BUFFERS, Driver, frameOf, QUEUE_SIZE } from '../support/driver.js';
import { DriverSuite } from '../support/driver-suite.js';
import { WITH_CONFIG } from '../support/mock-transport.js';
import { openFds } from '../support/resources.js';

const suite = new DriverSuite();
const REST = { pool: BUFFERS - QUEUE_SIZE, rx: QUEUE_SIZE, tx: 0, hand: 0, sent: 0 };
const frames = (count: number, from = 1): Uint8Array[] => Array.from({ length: count }, (_, i) => frameOf(from + i));
/** Lets messages between ports, and answers to them, arrive: they do from one turn of the event loop to the next. */
const turn = async (): Promise<void> => {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
};
/** Lets time pass, and what it sets off. */
const pass = async (ms: number): Promise<void> => {
  await turn();
  await vi.advanceTimersByTimeAsync(ms);
  await turn();
};
/** As long as the device waits before it tries to come back, and as long as it waits for the borrower. */
const RETRY_MS = 50;
const ANSWER_MS = 2000;

async function lend(prepare: (transport: Driver['transport']) => void = () => {}): Promise<Borrower> {
  return new Borrower(await suite.open(prepare, { lendTx: true }));
}

beforeEach(() => {
  // Not setImmediate: messages come between two real turns of the event loop.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

describe('buffers that were sent', () => {
  it('go into the pool by default', async () => {
    const { device } = await suite.open();
    expect(device.sent).toBe(device.pool);
  });

  it('go into a pool of their own where that is asked for, those that were dropped or lost, too', async () => {
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

  it('leave the pool its own: the receive ring is filled from these alone', async () => {
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
    [{ first: 0, end: 33 }, 'mock: its own buffers are to be 0 to 33, of 32'],
    [{ first: 4, end: 4 }, 'mock: its own buffers are to be 4 to 4, of 32'],
    [{ first: 4, end: 12 }, 'mock: 8 buffers cannot fill a receive ring of 8 and leave any'],
  ])('refuses to own %j', async (ownBuffers, message) => {
    await expect(Driver.open({ ownBuffers })).rejects.toThrow(message);
  });
});

describe('the borrower of a transmit queue', () => {
  it('sends, rings and takes back; the owner does not', async () => {
    const borrower = await lend();
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

  it('is bounded by the ring, wraps, and drops frames of a bad length into its own pool', async () => {
    const borrower = await lend();
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
    const borrower = await lend((t) => {
      t.offered |= f.VIRTIO_F_EVENT_IDX;
    });
    const { transport } = suite.driver;
    transport.tx.setAvailEvent(1);
    borrower.send(frames(1));
    expect(borrower.rang).toBe(false);
    borrower.send(frames(1));
    expect(borrower.rang).toBe(true);
  });

  it('knows of the link', async () => {
    const borrower = await lend((t) => {
      t.offered = WITH_CONFIG;
    });
    suite.driver.transport.setLink(false);
    await turn();
    expect([borrower.tx.isUp, borrower.send(frames(1))]).toEqual([false, 1]);
    suite.driver.transport.setLink(true);
    await turn();
    expect(borrower.tx.isUp).toBe(true);
  });

  it('is one at a time, of a device that was opened for it and is open', async () => {
    const { device } = await suite.open();
    expect(() => device.lendTx()).toThrow('mock: opened without the option lendTx');
    await device.close();
    const borrower = await lend();
    expect(() => suite.driver.device.lendTx()).toThrow('mock transmit queue is lent already: revoke that loan first');
    expect(borrower.tx.isUp).toBe(true);
    await suite.driver.device.close();
    expect(() => suite.driver.device.lendTx()).toThrow('mock: closed');
  });

  it('shares the counters with any thread, as of their last publication', async () => {
    const borrower = await lend();
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

describe('when the device is lost', () => {
  it('the borrower sees it at its next burst; what was in the ring comes to it when the device is back', async () => {
    const borrower = await lend();
    const { device, transport } = suite.driver;
    borrower.send(frames(5));
    transport.tx.use(transport.tx.take() as never, 0);
    transport.lose();
    expect([borrower.tx.isUp, borrower.send(frames(2)), borrower.states]).toEqual([false, 0, ['down']]);
    // One was sent before; the others wait for the reset.
    expect(borrower.account()).toEqual({ ...REST, pool: REST.pool - 5, tx: 4, sent: 1 });
    await pass(RETRY_MS);
    expect([device.isUp, borrower.tx.isUp, borrower.states]).toEqual([true, true, ['down', 'up']]);
    expect(borrower.account()).toEqual({ ...REST, pool: REST.pool - 5, sent: 5 });
    expect(device.counters()).toMatchObject({ tx_packets: 5, tx_lost_on_reset: 4, reconnects: 1 });
    borrower.drain();
    borrower.send(frames(3));
    expect(transport.tx.drain()).toEqual(frames(3));
  });

  it('a borrower that sleeps in its event loop is woken, one that blocks by the call that it asked for', async () => {
    const driver = await suite.open(() => {}, { lendTx: true });
    let wakes = 0;
    const borrower = new Borrower(driver, driver.device.lendTx({ wake: () => wakes++ }));
    const before = wakes;
    driver.transport.lose();
    expect(wakes).toBe(before + 1);
    await turn();
    expect(borrower.states).toEqual(['down']);
    await pass(RETRY_MS);
    expect([wakes, borrower.states]).toEqual([before + 2, ['down', 'up']]);
  });

  it('the ring may be another size afterwards', async () => {
    const borrower = new Borrower(await suite.open(() => {}, { lendTx: true, queueSize: undefined }));
    const { transport } = suite.driver;
    for (const [limit, taken] of [
      [4, 4],
      [64, QUEUE_SIZE],
    ] as const) {
      transport.queueLimits = [QUEUE_SIZE, limit];
      transport.lose();
      await pass(RETRY_MS);
      expect(borrower.send(frames(12))).toBe(taken);
      expect(transport.tx.drain()).toHaveLength(taken);
      borrower.tx.reclaimTx();
      borrower.drain();
    }
    expect(borrower.account()).toEqual(REST);
  });

  it('nothing is touched while the borrower does not answer, and the reason is told; revoking it goes on', async () => {
    const { device, transport } = await suite.open(() => {}, { lendTx: true });
    const told = suite.listen();
    const loan = device.lendTx();
    // As a thread that is in the ring and hangs there.
    Atomics.store(loan.control, SEEN, Atomics.load(loan.control, STATE));
    transport.lose('mock: gone');
    const { length } = transport.calls;
    await pass(2 * (RETRY_MS + ANSWER_MS));
    expect(transport.calls).toHaveLength(length);
    expect(told).toEqual([
      'down: mock: gone',
      expect.stringMatching(/^down: mock transmit queue: the thread that it is lent to does not answer; revoke/),
    ]);
    device.revokeTx();
    await pass(1000);
    expect([device.isUp, told.at(-1)]).toEqual([true, 'up: mock is back']);
    // The thread was not gone, after all: it finds nothing to do.
    expect(Atomics.load(loan.control, STATE)).toBeLessThan(0);
  });

  it('a borrower that nobody took up is not waited for, and finds the device as it is by then', async () => {
    const { device, transport } = await suite.open(() => {}, { lendTx: true });
    const loan = device.lendTx();
    for (const count of [1, 2]) {
      transport.lose();
      await pass(RETRY_MS);
      expect(device.counters().reconnects).toBe(count);
    }
    const borrower = new Borrower(suite.driver, loan);
    expect([borrower.tx.isUp, borrower.send(frames(1)), borrower.rang]).toEqual([true, 1, true]);
    expect(transport.tx.drain()).toEqual(frames(1));
  });

  it('the queue can be lent meanwhile, and is used when the device is back', async () => {
    const { device, transport } = await suite.open(() => {}, { lendTx: true });
    transport.lose();
    const borrower = new Borrower(suite.driver, device.lendTx());
    expect([borrower.tx.isUp, borrower.send(frames(1))]).toEqual([false, 0]);
    await pass(RETRY_MS);
    expect([borrower.tx.isUp, borrower.send(frames(1))]).toEqual([true, 1]);
  });
});

describe('a ring that the device breaks', () => {
  it('is left by the borrower at once; the owner is told and restarts the device', async () => {
    const borrower = await lend();
    const { device, transport } = suite.driver;
    const told = suite.listen();
    borrower.send(frames(4));
    transport.tx.pushUsed(7, 0);
    borrower.tx.reclaimTx();
    expect([borrower.tx.isUp, borrower.send(frames(1)), borrower.states]).toEqual([false, 0, ['down']]);
    await turn();
    const reason = 'mock transmit queue: used entry names descriptor 7, which the device does not hold';
    expect([device.isUp, told]).toEqual([false, [`down: ${reason}`]]);
    await pass(RETRY_MS);
    expect([device.isUp, borrower.tx.isUp, borrower.states]).toEqual([true, true, ['down', 'up']]);
    expect(device.counters()).toMatchObject({ device_errors: 1, tx_lost_on_reset: 4 });
    expect(borrower.account()).toEqual({ ...REST, pool: REST.pool - 4, sent: 4 });
  });

  it('is no news of a device that is lost already', async () => {
    const borrower = await lend();
    const { device, transport } = suite.driver;
    borrower.send(frames(1));
    transport.tx.setUsedIndex(500);
    borrower.tx.reclaimTx();
    transport.lose();
    await pass(RETRY_MS);
    expect(device.counters()).toMatchObject({ device_errors: 0, reconnects: 1 });
    expect(borrower.tx.isUp).toBe(true);
  });
});

describe('the end of a loan', () => {
  it('comes with the device: the borrower leaves first, and is told', async () => {
    const borrower = await lend();
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
    // Should it wake up one day, it sees that there is nothing more to do.
    const late = new BorrowedTx(loan);
    expect([late.isClosed, late.isUp]).toEqual([true, false]);
    await turn();
  });

  it('can be the borrower’s wish; for the next one the device begins anew, and the counters go on', async () => {
    const first = await lend();
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

  it('leaves the buffers of the ring to the owner at the next reset, when nobody has borrowed it since', async () => {
    const borrower = await lend();
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
  it('a descriptor that was lent stays open until it is given back, whatever became of the original', () => {
    const before = openFds();
    const fd = eventfd();
    const lent = lendDoorbell({ kind: 'eventfd', fd });
    closeFile(fd);
    expect(openFds()).toBe(before + 1);
    openDoorbell(lent.share).ring();
    lent.release();
    lent.release();
    expect(openFds()).toBe(before);
  });
});

describe('any interleaving of owner, borrower and device', () => {
  const step = fc.record({
    what: fc.constantFrom('send', 'send', 'send', 'use', 'use', 'reclaim', 'drain', 'lose', 'break', 'time', 'relend'),
    n: fc.integer({ min: 1, max: 12 }),
  });

  it('keeps every buffer in one place, and counts each that was sent as used or lost', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const driver = await Driver.open({ lendTx: true });
        const { device, transport } = driver;
        let borrower = new Borrower(driver);
        let used = 0;
        let sent = 0;
        const check = (): void => expect(driver.account(device.sent, borrower.tx.sent).hand).toBe(0);
        for (const { what, n } of steps) {
          if (what === 'send') sent += borrower.send(frames(n));
          else if (what === 'use' && device.isUp) used += transport.tx.drain().length;
          else if (what === 'reclaim') borrower.tx.reclaimTx();
          else if (what === 'drain') borrower.drain();
          else if (what === 'lose' && device.isUp) transport.lose();
          else if (what === 'break' && device.isUp) transport.tx.pushUsed(QUEUE_SIZE + n, 0);
          else if (what === 'time') await pass(n * 20);
          else if (what === 'relend') {
            borrower.tx.close();
            borrower.drain();
            await turn();
            borrower = new Borrower(driver);
          }
          check();
        }
        transport.lose();
        await pass(3000);
        await turn();
        check();
        expect([device.isUp, borrower.tx.isUp, borrower.tx.inFlight]).toEqual([true, true, 0]);
        const counters = device.counters();
        expect(counters.tx_packets).toBe(sent);
        // What was used and not reclaimed when a ring broke is lost with it.
        expect(counters.tx_lost_on_reset).toBeGreaterThanOrEqual(sent - used);
        await device.close();
        expect(transport.violations).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});
