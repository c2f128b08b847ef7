/**
 * The loop that drives a stack. It polls as long as there is work; Node's event loop gets its turn every millisecond, or
 * every few where that costs much, so that timers, signals and ordinary code live beside it.
 */
import type { StopSignal } from '../../drivers/stop-signal.js';
import type { IdlePolicy } from '../config.js';
import { AppError } from '../errors.js';
import type { EventLoopStack, Stack } from '../stack.js';
import type { Core } from './core.js';

export interface RunOptions {
  /** `adaptive`: sleep when nothing came for {@link IDLE_MS}. `spin`: never. Default: as the core was configured. */
  readonly idle?: IdlePolicy;
  /** Ends the loop. */
  readonly signal: StopSignal;
}

/** What the loop needs of a core; the threads that have the device run in the same loop. */
export interface Runnable extends Pick<Core, 'idle' | 'getRxCount' | 'waitForPackets' | 'wake' | 'flush'> {
  /** Adds to what the thread has spent working, and sleeping or polling in vain. A core of a user's own need not count. */
  countTime?(busyMs: number, idleMs: number): void;
}

/** How long the loop runs before the event loop gets a turn, unless such a turn is dear. */
const TURN_MS = 1;
/** A turn that finds nothing to do gets one part in so many of the time: an emulated machine needs 0.15 ms for one. */
const EVENT_LOOP_PART = 20;
/** What there is to do in the event loop waits no longer than this. */
const MAX_TURN_MS = 2;
/** The cheapest turn counts, as dear ones had something to do; but so much more each time, as machines change. */
const FORGETTING = 1.02;
/** How long an adaptive loop polls in vain before it sleeps: about what a sleep and a wake-up cost. */
const IDLE_MS = 0.075;
/** What a timer of Node sleeps at least; what is due earlier would come late, so the loop polls until then. */
const SHORTEST_SLEEP_MS = 1;
/** Polls between two looks at the clock. */
const POLLS_PER_LOOK = 16;

/**
 * Runs `stack` on `core` until the signal aborts.
 * @returns when the loop has ended and the stack was stopped.
 * @throws (rejects) what the stack threw; AppError when its poll does not return a number, or its run() does not end.
 */
export function runStack(core: Core, stack: Stack | EventLoopStack, options: RunOptions): Promise<void> {
  return runLoop(core, stack, options);
}

/** As {@link runStack}, for whatever can be driven like a core. */
export async function runLoop(core: Runnable, stack: Stack | EventLoopStack, options: RunOptions): Promise<void> {
  const { signal } = options;
  if ('run' in stack) return runItself(core, stack, signal);
  const maySleep = (options.idle ?? core.idle) !== 'spin';
  const wake = (): void => core.wake();
  signal.addEventListener('abort', wake);
  let turnCost = TURN_MS / EVENT_LOOP_PART;
  try {
    while (!signal.aborted) {
      const turnMs = Math.min(Math.max(turnCost * EVENT_LOOP_PART, TURN_MS), MAX_TURN_MS);
      const wasIdle = pollForOneTurn(core, stack, maySleep, turnMs);
      if (signal.aborted) break;
      const sleepMs = wasIdle ? (stack.maxSleepMs?.() ?? Number.POSITIVE_INFINITY) : 0;
      // A stack that leaves packets where they are is idle, too; sleeping would return at once and starve other code.
      if (sleepMs >= SHORTEST_SLEEP_MS && core.getRxCount() === 0) {
        const before = performance.now();
        await core.waitForPackets({ timeoutMs: sleepMs });
        core.countTime?.(0, performance.now() - before);
        continue;
      }
      const before = performance.now();
      await new Promise<void>((resolve) => setImmediate(resolve));
      turnCost = Math.min(performance.now() - before, turnCost * FORGETTING);
    }
    core.flush();
  } catch (error) {
    try {
      stack.stop?.();
    } catch {
      // A consequence: what was thrown first tells more.
    }
    throw error;
  } finally {
    signal.removeEventListener('abort', wake);
  }
  stack.stop?.();
}

/** How long a stack that drives itself may take to end. */
const END_MS = 1500;

/** How often the time is counted that such a stack's event loop worked and waited. */
const COUNT_MS = 250;

/** A stack that drives itself: all that there is to do is to wake it at the end. */
async function runItself(core: Runnable, stack: EventLoopStack, signal: StopSignal): Promise<void> {
  const wake = (): void => core.wake();
  signal.addEventListener('abort', wake);
  let last = performance.eventLoopUtilization();
  const count = (): void => {
    const now = performance.eventLoopUtilization();
    core.countTime?.(now.active - last.active, now.idle - last.idle);
    last = now;
  };
  const counting = setInterval(count, COUNT_MS);
  try {
    await Promise.race([stack.run(signal), overdue(signal)]);
    core.flush();
  } finally {
    clearInterval(counting);
    count();
    signal.removeEventListener('abort', wake);
  }
}

/** Rejects when a stack has not ended for {@link END_MS} although it was told to. */
function overdue(signal: StopSignal): Promise<never> {
  return new Promise((_, reject) => {
    const late = (): void =>
      reject(new AppError(`the run() of the stack has not returned ${END_MS} ms after its signal`));
    const startClock = (): void => void setTimeout(late, END_MS).unref();
    if (signal.aborted) startClock();
    else signal.addEventListener('abort', startClock, { once: true });
  });
}

/** Polls for one turn of the loop. Returns true when it ended early because there was nothing to do. */
function pollForOneTurn(core: Runnable, stack: Stack, maySleep: boolean, turnMs: number): boolean {
  const start = performance.now();
  let idleSince = start;
  let last = start;
  let busy = 0;
  for (;;) {
    let packets = 0;
    for (let i = 0; i < POLLS_PER_LOOK; i++) packets += stack.poll();
    // What no sum comes of: nothing, or a promise.
    if (!(packets >= 0)) throw new AppError('the poll() of a stack must return how many packets it handled, at once');
    const now = performance.now();
    if (packets > 0) {
      busy += now - last;
      idleSince = now;
    }
    last = now;
    const isIdle = packets === 0 && maySleep && now - idleSince >= IDLE_MS;
    if (isIdle || now - start >= turnMs) {
      core.countTime?.(busy, now - start - busy);
      return isIdle;
    }
  }
}
