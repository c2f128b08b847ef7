/**
 * Makes the work of a kernel-bypass thread run like a stack on a core: the same polling, sleeping and waking up.
 */
import type { IdlePolicy } from '../../../drivers/poll-loop.js';
import { L2, type L2Counters } from '../../counters.js';
import type { WaitForPacketsOptions } from '../../link/core.js';
import type { WakeSource } from '../../link/lower-layer.js';
import type { Runnable } from '../../link/run-loop.js';
import { Sleeper } from '../../link/sleep.js';

/** What a kernel-bypass thread does. */
export interface Work {
  /** One round. Returns how many frames were moved. */
  poll(): number;
  /** Does what is due at `nowMs`, if the work has timers. */
  tick(nowMs: number): void;
  /** When {@link tick} has something to do next; Infinity when it has not. */
  nextDeadline(): number;
  /** Called before the thread sleeps. */
  beforeSleep(): void;
}

/** Polls between two looks at the clock. */
const POLLS_PER_TICK = 64;

export class WorkerLoop implements Runnable {
  private readonly sleeper: Sleeper;
  private pollsToTick = POLLS_PER_TICK;

  constructor(
    readonly idle: IdlePolicy,
    private readonly work: Work,
    wakeSource: WakeSource,
    private readonly counters: L2Counters,
    private readonly clock: () => number = () => performance.now(),
  ) {
    this.sleeper = new Sleeper(wakeSource, this, clock);
  }

  poll(): number {
    if (--this.pollsToTick <= 0) this.tick(this.clock());
    return this.work.poll();
  }

  getRxCount(): number {
    return this.poll();
  }

  tick(nowMs: number): void {
    this.pollsToTick = POLLS_PER_TICK;
    this.work.tick(nowMs);
  }

  nextDeadline(): number {
    return this.work.nextDeadline();
  }

  waitForPackets({ timeoutMs, signal }: WaitForPacketsOptions = {}): Promise<number> {
    this.work.beforeSleep();
    return this.sleeper.sleep(timeoutMs, signal);
  }

  wake(): void {
    this.sleeper.wake();
  }

  countTime(busyMs: number, idleMs: number): void {
    this.counters.values[L2.loop_busy_ms] += busyMs;
    this.counters.values[L2.loop_idle_ms] += idleMs;
  }

  /** Does nothing: each poll sends what it has. */
  flush(): void {}
}
