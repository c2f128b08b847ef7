/**
 * A transmit queue that another thread drives, when the device is lost or breaks the ring: what happens to its buffers.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SEEN, STATE } from '../../../../../drivers/virtio/lending/tx-loan.js';
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
import { DriverUnderTest, QUEUE_SIZE } from '../../../../support/virtio/driver-under-test.js';

const suite = new BorrowerSuite();

describe('when the device is lost', () => {
  it('the borrower sees it at its next burst, and has its buffers after the reset', async () => {
    const borrower = await suite.lend();
    const { device, transport } = suite.driver;
    borrower.send(frames(5));
    transport.tx.use(transport.tx.take() as never, 0);
    transport.lose();
    expect([borrower.tx.isUp, borrower.send(frames(2)), borrower.states]).toEqual([false, 0, ['down']]);
    // One frame was sent before the loss; the others wait for the reset.
    expect(borrower.account()).toEqual({ ...REST, pool: REST.pool - 5, tx: 4, sent: 1 });
    await pass(RETRY_MS);
    expect([device.isUp, borrower.tx.isUp, borrower.states]).toEqual([true, true, ['down', 'up']]);
    expect(borrower.account()).toEqual({ ...REST, pool: REST.pool - 5, sent: 5 });
    expect(device.counters()).toMatchObject({ tx_packets: 5, tx_lost_on_reset: 4, reconnects: 1 });
    borrower.drain();
    borrower.send(frames(3));
    expect(transport.tx.drain()).toEqual(frames(3));
  });

  it('a borrower that sleeps or blocks is woken in the way that it asked for', async () => {
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

  it('the ring may have another size afterwards', async () => {
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

  it('nothing is touched until the borrower answers or ends; the reason is told', async () => {
    const { device, transport } = await suite.open(() => {}, { lendTx: true });
    const told = suite.listen();
    const loan = device.lendTx();
    // This is what a thread looks like that hangs in the ring.
    Atomics.store(loan.control, SEEN, Atomics.load(loan.control, STATE));
    transport.lose('mock: gone');
    const { length } = transport.calls;
    await pass(2 * (RETRY_MS + ANSWER_MS));
    expect(transport.calls).toHaveLength(length);
    expect(told).toEqual([
      'down: mock: gone',
      'down: mock transmit queue: the thread that drives it did not answer within 2000 ms',
    ]);
    // The thread ends.
    loan.port.close();
    await turn();
    await pass(1000);
    expect([device.isUp, told.at(-1)]).toEqual([true, 'up: mock is back']);
  });

  it('a loan that no thread has opened is not waited for, and sees the device as it is', async () => {
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
    const borrower = await suite.lend();
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

  it('changes nothing for a device that is lost already', async () => {
    const borrower = await suite.lend();
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

describe('owner, borrower and device in any order of steps', () => {
  const step = fc.record({
    what: fc.constantFrom('send', 'send', 'send', 'use', 'use', 'reclaim', 'drain', 'lose', 'break', 'time', 'relend'),
    n: fc.integer({ min: 1, max: 12 }),
  });

  it('keep every buffer in one place, and count each as used or lost', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const driver = await DriverUnderTest.open({ lendTx: true });
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
        // Buffers that were used and not yet reclaimed when a ring broke are lost with it.
        expect(counters.tx_lost_on_reset).toBeGreaterThanOrEqual(sent - used);
        await device.close();
        expect(transport.violations).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});
