/**
 * What share of its time a stack that spins has work. The loop looks at the clock every ten microseconds, which is too
 * seldom for that. Polls that found nothing are counted instead, and what one of them costs is measured while there is
 * no work.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stack } from '../../../src/index.js';

/** How long the cost of an empty poll is measured, in ms. */
const IDLE_MS = 30;

export interface PollCount {
  readonly empty: number;
  readonly atMs: number;
}

/** Drives a stack, and counts. */
export class PollMeter implements Stack {
  private empty = 0;

  constructor(private readonly stack: Stack) {}

  poll(): number {
    const done = this.stack.poll();
    if (done === 0) this.empty++;
    return done;
  }

  pollAgain(): number {
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
  const from = await count();
  await sleep(IDLE_MS);
  const to = await count();
  const costMs = (to.atMs - from.atMs) / Math.max(to.empty - from.empty, 1);
  const idleMs = (last.empty - first.empty) * costMs;
  return Math.max(0, 1 - idleMs / (last.atMs - first.atMs));
}
