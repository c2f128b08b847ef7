import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { OpenHandle } from '../../../../src/node/net/handle-host.js';
import { ORPHAN_MS, Orphans } from '../../../../src/node/orphans.js';

const LOOK_MS = 1000;

class FakeHandle implements OpenHandle {
  readonly isUnsent = false;
  readonly isUnacknowledged = false;
  aborts = 0;

  constructor(
    private readonly orphans: Orphans,
    public unacknowledgedBytes: number,
  ) {
    orphans.add(this);
  }

  close(): void {}

  abort(): void {
    this.aborts++;
    this.orphans.delete(this);
  }
}

describe('Orphans', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('aborts a connection whose peer does not end it', () => {
    const orphans = new Orphans();
    const [first, second] = [new FakeHandle(orphans, 0), new FakeHandle(orphans, 0)];
    vi.advanceTimersByTime(ORPHAN_MS - LOOK_MS);
    expect(first.aborts).toBe(0);
    vi.advanceTimersByTime(LOOK_MS);
    expect([first.aborts, second.aborts]).toEqual([1, 1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves a connection its time while the peer acknowledges more', () => {
    const orphans = new Orphans();
    const handle = new FakeHandle(orphans, 1000);
    for (let i = 0; i < 5; i++) {
      handle.unacknowledgedBytes -= 100;
      vi.advanceTimersByTime(ORPHAN_MS);
    }
    expect(handle.aborts).toBe(0);
    vi.advanceTimersByTime(ORPHAN_MS + LOOK_MS);
    expect(handle.aborts).toBe(1);
  });

  it('looks for nothing when the last connection is over', () => {
    const orphans = new Orphans();
    const handle = new FakeHandle(orphans, 0);
    orphans.delete(handle);
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(2 * ORPHAN_MS);
    expect(handle.aborts).toBe(0);
  });
});
