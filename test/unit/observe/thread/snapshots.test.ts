/** How the thread that answers for a process asks the main thread. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Snapshots } from '../../../../observe/thread/snapshots.js';

describe('snapshots', () => {
  let asked: number;
  let snapshots: Snapshots;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    asked = 0;
    snapshots = new Snapshots(() => asked++);
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('are taken after they were wanted, at most one in 20 ms', async () => {
    const first = snapshots.get();
    expect(asked).toBe(1);
    const later = [snapshots.get(), snapshots.get()];
    snapshots.take({ n: 1 }, 0);
    expect(await first).toEqual({ n: 1 });
    expect(asked).toBe(1);
    vi.advanceTimersByTime(20);
    expect(asked).toBe(2);
    snapshots.take({ n: 2 }, 0);
    expect(await Promise.all(later)).toEqual([{ n: 2 }, { n: 2 }]);
    vi.advanceTimersByTime(1000);
    expect(asked).toBe(2);
  });

  it('tell how long the main thread took to see the question', async () => {
    const first = snapshots.get();
    snapshots.take({}, performance.timeOrigin + performance.now() + 7);
    await first;
    expect(snapshots.delayMs).toBeCloseTo(7);
  });

  it('that do not come are refused after two seconds, and not asked for again', async () => {
    const all: Promise<unknown>[] = [];
    for (let i = 0; i < 100; i++) {
      all.push(snapshots.get().catch((error: Error) => error.message));
      vi.advanceTimersByTime(100);
    }
    expect(asked).toBe(2);
    expect(new Set(await Promise.all(all))).toEqual(
      new Set(['the main thread has not answered for 2 s: it hangs, or the process was stopped']),
    );
    // When it goes on, it answers what it was asked.
    snapshots.take({ n: 1 }, 0);
    snapshots.take({ n: 2 }, 0);
    const next = snapshots.get();
    expect(asked).toBe(3);
    snapshots.take({ n: 3 }, 0);
    expect(await next).toEqual({ n: 3 });
  });
});
