import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpscRing } from '../../../../../rings/spsc-ring.js';
import { DOORBELL_WORDS, Doorbell, DoorbellListener } from '../../../../../src/threads/shared/doorbell.js';
import type { Player } from '../../../../support/threads/doorbell-player.worker.js';
import { until } from '../../../../support/until.js';

function make(): { bell: Doorbell; listener: DoorbellListener; word: Int32Array; rings: () => number } {
  const words = new Int32Array(new SharedArrayBuffer(8 * DOORBELL_WORDS));
  const listener = new DoorbellListener(words, DOORBELL_WORDS);
  let rings = 0;
  listener.onRing = () => rings++;
  const word = words.subarray(DOORBELL_WORDS, DOORBELL_WORDS + 1);
  return { bell: new Doorbell(words, DOORBELL_WORDS), listener, word, rings: () => rings };
}

/** Long enough for this thread to be woken by its own timer. */
const turns = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 1));
};

describe('a doorbell', () => {
  it('wakes the thread that has armed it, once', async () => {
    const { bell, listener, rings } = make();
    expect(listener.arm()).toBe(true);
    bell.ring();
    bell.ring();
    await turns();
    expect(rings()).toBe(1);
  });

  it('does nothing while the thread is awake', async () => {
    const { bell, listener, rings } = make();
    bell.ring();
    listener.arm();
    listener.disarm();
    bell.ring();
    await turns();
    expect(rings()).toBe(0);
  });

  it('wakes a thread however often it arms, also between arming and the event loop', async () => {
    const { bell, listener, rings } = make();
    for (let i = 0; i < 5; i++) {
      expect(listener.arm()).toBe(true);
      listener.disarm();
    }
    expect(listener.arm()).toBe(true);
    bell.ring();
    await turns();
    expect(rings()).toBe(1);
    expect(listener.arm()).toBe(true);
    bell.ring();
    await turns();
    expect(rings()).toBe(2);
  });

  it('wakes a thread that was rung and arms again before the ring has arrived', async () => {
    const { bell, listener, rings } = make();
    listener.arm();
    bell.ring();
    listener.disarm();
    expect(listener.arm()).toBe(true);
    bell.ring();
    await turns();
    expect(rings()).toBeGreaterThanOrEqual(1);
  });

  it('wakes a thread that arms again before a ring has arrived, and then once more', async () => {
    const { bell, listener, rings } = make();
    listener.arm();
    bell.ring();
    listener.arm();
    await until('the first ring arrives', () => rings() === 1);
    expect(bell.isAsleep).toBe(false);
    expect(listener.arm()).toBe(true);
    bell.ring();
    await until('the second ring arrives', () => rings() === 2);
  });

  it('says so when it is rung while it is being armed, as no second ring would come', () => {
    const { listener, word } = make();
    const { waitAsync } = Atomics;
    // The other thread comes between the store and the wait.
    Atomics.waitAsync = ((words: Int32Array, at: number, value: number) => {
      Atomics.store(word, 0, 0);
      return waitAsync(words, at, value);
    }) as typeof waitAsync;
    try {
      expect(listener.arm()).toBe(false);
    } finally {
      Atomics.waitAsync = waitAsync;
    }
    expect(word[0]).toBe(0);
    expect(listener.arm()).toBe(true);
    listener.disarm();
  });

  it('wakes exactly the sleeping thread when it is rung, after any steps', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom('arm', 'disarm', 'ring', 'turn'), { maxLength: 20 }), async (steps) => {
        const { bell, listener, rings } = make();
        let armed = 0;
        let owed = 0;
        for (const step of [...steps, 'arm', 'ring', 'turn']) {
          if (step === 'arm') {
            expect(listener.arm()).toBe(true);
            armed++;
          } else if (step === 'disarm') {
            listener.disarm();
          } else if (step === 'ring') {
            if (bell.isAsleep) owed = rings() + 1;
            bell.ring();
          } else {
            // A wake-up comes as a task of the platform. On a busy machine that is later than the next turn.
            await until('whoever slept is woken', () => rings() >= owed);
          }
        }
        expect(rings()).toBeLessThanOrEqual(armed);
      }),
      { numRuns: 40 },
    );
  });

  it.each([1, 7])('loses no wake-up between two threads that wait for each other, with %d balls', async (balls) => {
    const places = 16;
    const bytes = SpscRing.bytesFor(places);
    const buffer = new SharedArrayBuffer(8 * DOORBELL_WORDS + 2 * bytes);
    const rounds = 20_000;
    const common = { buffer, places, rounds };
    const rings = [8 * DOORBELL_WORDS, 8 * DOORBELL_WORDS + bytes] as const;
    const players: Player[] = [
      { ...common, from: rings[0], to: rings[1], own: 0, other: DOORBELL_WORDS, balls },
      { ...common, from: rings[1], to: rings[0], own: DOORBELL_WORDS, other: 0, balls: 0 },
    ];
    const file = new URL('../../../../../dist/test/support/threads/doorbell-player.worker.js', import.meta.url);
    const workers = players.map((workerData) => new Worker(file, { workerData }));
    const ends = workers.map((worker) => once(worker, 'exit'));
    const reports = await Promise.all(workers.map((worker) => once(worker, 'message')));
    for (const [{ taken, sleeps }] of reports as [{ taken: number; sleeps: number }][]) {
      expect(taken).toBeGreaterThanOrEqual(rounds);
      expect(sleeps).toBeGreaterThan(0);
    }
    await Promise.all(ends);
  });
});
