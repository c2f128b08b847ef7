/**
 * What the suites of a lent transmit queue share: a driver that lends the queue, its borrower, and a clock that the
 * test turns.
 */
import { beforeEach, vi } from 'vitest';
import { AT_REST, DriverSuite } from '../virtio/driver-suite.js';
import { frameOf } from '../virtio/driver-under-test.js';
import type { FakeTransport } from '../virtio/fake-transport.js';
import { Borrower } from './borrower.js';

/** The places of the buffers when nothing is under way. */
export const REST = { ...AT_REST, sent: 0 };
/** How long the device waits before it tries to come back, and how long it waits for the borrower. */
export const RETRY_MS = 50;
export const ANSWER_MS = 2000;

export const frames = (count: number, from = 1): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => frameOf(from + i));

/** Lets messages between ports and their answers arrive, which takes turns of the event loop. */
export async function turn(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets time pass, with everything that it triggers. */
export async function pass(ms: number): Promise<void> {
  await turn();
  await vi.advanceTimersByTimeAsync(ms);
  await turn();
}

export class BorrowerSuite extends DriverSuite {
  constructor() {
    super();
    beforeEach(() => {
      // Not setImmediate: messages come between two real turns of the event loop.
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    });
  }

  async lend(prepare: (transport: FakeTransport) => void = () => {}): Promise<Borrower> {
    return new Borrower(await this.open(prepare, { lendTx: true }));
  }
}
