/**
 * The loop of every thread that polls: it polls while packets come, and sleeps when none came for a while. Node's event
 * loop gets a turn every millisecond, or every two where a turn is expensive, so that timers, signals and ordinary code
 * run beside it.
 */
import { monotonicMs } from './libc/index.js';
import type { StopSignal } from './stop-signal.js';

/** What a polling thread does without packets: sleep after some microseconds (`adaptive`), or poll on (`spin`). */
export type IdlePolicy = 'adaptive' | 'spin';

/** What the loop polls. */
export interface Polled {
  /** Does what there is to do, without blocking. Returns how many packets it handled; 0 when it found nothing. */
  poll(): number;
  /** As {@link poll}, right after it: what only the time brings about may wait for the next `poll`. Default: `poll`. */
  pollAgain?(): number;
}

export interface PollLoopOptions {
  /** Ends the loop. */
  readonly signal: StopSignal;
  /**
   * Called when no packet came for {@link IDLE_MS}. Returns a promise that resolves when the loop is to poll again
   * (after an abort, too), or null when the loop must not sleep now. Without this function the loop never sleeps.
   */
  readonly sleep?: (() => Promise<unknown> | null) | undefined;
  /** Told how long the loop worked, and how long it slept or polled in vain, in ms. */
  readonly countTime?: ((busyMs: number, idleMs: number) => void) | undefined;
}

/** A `poll` returned something that is not a number of packets, such as nothing or a promise. */
export class PollResultError extends TypeError {}

/** How long the loop polls before the event loop gets a turn, unless such a turn is expensive. */
const TURN_MS = 1;
/**
 * A turn of the event loop that finds nothing to do may take one part in 20 of the time. On an emulated machine it
 * takes 0.15 ms.
 */
const EVENT_LOOP_PART = 20;
/** The event loop waits no longer than this for its turn. */
const MAX_TURN_MS = 2;
/**
 * The cheapest turn of the event loop that was seen tells what a turn costs: in the others there was something to do.
 * This factor raises it at each turn, because machines change.
 */
const COST_GROWTH = 1.02;
/** How long the loop polls in vain before it sleeps: about what a sleep and a wake-up cost. */
const IDLE_MS = 0.075;
/**
 * Time between two looks at the clock, in ms. The clock is libc's, because `performance.now` allocates 16 bytes on
 * Node 20: with a look after every 16 polls, a loop that found nothing left 50 MB per second, and V8 stopped it 20 to 40
 * times per second, for half a millisecond.
 */
const LOOK_MS = 0.01;
/** Polls between two looks. There are as many as {@link LOOK_MS} takes. */
const FEWEST_POLLS = 16;
const MOST_POLLS = 1024;
/** A look is due after so many packets, because their number tells how long the polls took. */
const PACKETS_PER_LOOK = 512;

/** What the loop has found out about the cost of a poll. */
class Pace {
  /** Polls until the next look. */
  polls = FEWEST_POLLS;
  /** What a poll costs that finds nothing, in ms; 0 while it is not known. The cheapest ones tell, as of turns. */
  private emptyMs = 0;

  /**
   * Notes the polls between two looks.
   * @returns the part of the time in which they found nothing, in ms
   */
  note(tookMs: number, polls: number, emptyPolls: number): number {
    if (tookMs < LOOK_MS / 2) this.polls = Math.min(this.polls << 1, MOST_POLLS);
    else if (tookMs > LOOK_MS * 2) this.polls = Math.max(this.polls >> 1, FEWEST_POLLS);
    if (emptyPolls < polls) return Math.min(emptyPolls * this.emptyMs, tookMs);
    const cost = tookMs / polls;
    this.emptyMs = this.emptyMs === 0 ? cost : Math.min(cost, this.emptyMs * COST_GROWTH);
    return tookMs;
  }
}

/**
 * Polls until the signal aborts.
 * @returns when the loop has ended
 * @throws (rejects) what `poll` or `sleep` threw; PollResultError when `poll` did not return a number
 */
export async function pollUntilAborted(polled: Polled, options: PollLoopOptions): Promise<void> {
  const { signal, sleep, countTime } = options;
  const pace = new Pace();
  let turnCost = TURN_MS / EVENT_LOOP_PART;
  while (!signal.aborted) {
    const turnMs = Math.min(Math.max(turnCost * EVENT_LOOP_PART, TURN_MS), MAX_TURN_MS);
    const isIdle = pollForOneTurn(polled, sleep !== undefined, turnMs, pace, countTime);
    if (signal.aborted) return;
    const asleep = isIdle && sleep !== undefined ? sleep() : null;
    const before = monotonicMs();
    if (asleep === null) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      turnCost = Math.min(monotonicMs() - before, turnCost * COST_GROWTH);
    } else {
      await asleep;
      countTime?.(0, monotonicMs() - before);
    }
  }
}

/** Polls for one turn. Returns true when it ended early because there was nothing to do. */
function pollForOneTurn(
  polled: Polled,
  maySleep: boolean,
  turnMs: number,
  pace: Pace,
  countTime: PollLoopOptions['countTime'],
): boolean {
  const start = monotonicMs();
  let idleSince = start;
  let last = start;
  let idle = 0;
  for (;;) {
    const most = pace.polls;
    let packets = polled.poll();
    let polls = 1;
    let empty = packets === 0 ? 1 : 0;
    // Two loops, because each call then has one target.
    if (polled.pollAgain === undefined) {
      for (; polls < most && packets < PACKETS_PER_LOOK; polls++) {
        const found = polled.poll();
        if (found === 0) empty++;
        packets += found;
      }
    } else {
      for (; polls < most && packets < PACKETS_PER_LOOK; polls++) {
        const found = polled.pollAgain();
        if (found === 0) empty++;
        packets += found;
      }
    }
    // The sum with undefined or a promise is NaN or a text.
    if (!(packets >= 0)) throw new PollResultError('poll() must return how many packets it handled, at once');
    const now = monotonicMs();
    idle += pace.note(now - last, polls, empty);
    if (packets > 0) idleSince = now;
    last = now;
    const isIdle = packets === 0 && maySleep && now - idleSince >= IDLE_MS;
    if (isIdle || now - start >= turnMs) {
      countTime?.(now - start - idle, idle);
      return isIdle;
    }
  }
}
