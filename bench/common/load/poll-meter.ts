/**
 * What share of its time a stack that spins has work. The loop looks at the clock every ten microseconds, which is too
 * seldom for that. Polls that found nothing are counted instead, and what one of them costs is measured while there is
 * no work.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stack } from '../../../src/index.js';

/** How often the cost of an empty poll is measured, and for how long, in ms. The least cost counts: the CPU may be shared. */
const MEASUREMENTS = 3;
const IDLE_MS = 10;

export interface PollCount {
  readonly empty: number;
  readonly atMs: number;
}

/** Drives a stack, and counts. It also has the time: reading the clock costs 40 ns, so it is read once per poll. */
export class PollMeter implements Stack {
  private empty = 0;
  private hasRead = false;
  private readMs = 0;

  constructor(private readonly stack: Stack) {}

  /** The time of this poll, as performance.now() has it. */
  now(): number {
    if (!this.hasRead) this.readMs = performance.now();
    this.hasRead = true;
    return this.readMs;
  }

  poll(): number {
    this.hasRead = false;
    const done = this.stack.poll();
    if (done === 0) this.empty++;
    return done;
  }

  pollAgain(): number {
    this.hasRead = false;
    const done = this.stack.pollAgain?.() ?? this.stack.poll();
    if (done === 0) this.empty++;
    return done;
  }

  stop(): void {
    this.stack.stop?.();
  }

  count(): PollCount {
    return { empty: this.empty, atMs: performance.now() };
  }
}

/**
 * The share of the time between two counts in which there was work. To be called when there is none.
 * @param count counts again
 */
export async function busyShare(
  first: PollCount,
  last: PollCount,
  count: () => PollCount | Promise<PollCount>,
): Promise<number> {
  let costMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < MEASUREMENTS; i++) {
    const from = await count();
    await sleep(IDLE_MS);
    const to = await count();
    costMs = Math.min(costMs, (to.atMs - from.atMs) / Math.max(to.empty - from.empty, 1));
  }
  const idleMs = (last.empty - first.empty) * costMs;
  return Math.max(0, 1 - idleMs / (last.atMs - first.atMs));
}
