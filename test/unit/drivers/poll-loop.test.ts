/** The loop of every thread that polls. */
import { describe, expect, it } from 'vitest';
import { type Polled, PollResultError, pollUntilAborted } from '../../../drivers/poll-loop.js';

/** Polls until it was told of so many turns. Returns the times that it was told, in ms. */
async function timesOf(polled: Polled, turns: number): Promise<{ busyMs: number; idleMs: number }> {
  const end = new AbortController();
  const told = { busyMs: 0, idleMs: 0 };
  const countTime = (busyMs: number, idleMs: number): void => {
    told.busyMs += busyMs;
    told.idleMs += idleMs;
    if (--turns === 0) end.abort();
  };
  await pollUntilAborted(polled, { signal: end.signal, countTime });
  return told;
}

describe('poll loop', () => {
  it('counts the time of polls that find nothing as idle', async () => {
    const { busyMs, idleMs } = await timesOf({ poll: () => 0 }, 3);
    expect(busyMs).toBe(0);
    expect(idleMs).toBeGreaterThan(0);
  });

  it('counts the time of polls that find packets as busy', async () => {
    const { busyMs, idleMs } = await timesOf({ poll: () => 32 }, 3);
    expect(busyMs).toBeGreaterThan(0);
    expect(idleMs).toBe(0);
  });

  it('counts empty polls between packets as idle', async () => {
    let polls = 0;
    // At first it finds nothing, so that the cost of an empty poll is known.
    const { busyMs, idleMs } = await timesOf({ poll: () => (++polls > 100 && polls % 8 === 0 ? 1 : 0) }, 5);
    expect(busyMs).toBeGreaterThan(0);
    expect(idleMs).toBeGreaterThan(0);
  });

  it('looks at the clock again after a burst of packets, however few polls it took', async () => {
    let sinceFull = 0;
    let most = 0;
    const again = (): number => {
      most = Math.max(most, ++sinceFull);
      return 512;
    };
    const poll = (): number => {
      sinceFull = 0;
      return 512;
    };
    await timesOf({ poll, pollAgain: again }, 3);
    expect(most).toBe(0);
  });

  it('rejects when a poll does not return a number', async () => {
    const polled = { poll: () => undefined as unknown as number };
    await expect(timesOf(polled, 1)).rejects.toBeInstanceOf(PollResultError);
  });

  it('sleeps when nothing came for a while, and not before', async () => {
    const end = new AbortController();
    let left = 100;
    let slept = 0;
    const sleep = (): Promise<void> => {
      slept++;
      expect(left).toBe(0);
      end.abort();
      return Promise.resolve();
    };
    await pollUntilAborted({ poll: () => (left > 0 ? left-- && 1 : 0) }, { signal: end.signal, sleep });
    expect(slept).toBe(1);
  });
});
