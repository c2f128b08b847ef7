/**
 * The loop that drives a stack: `drivers/poll-loop.ts` for a stack that has a `poll` method. A stack that has only `run`
 * drives itself, and only has to be woken at the end.
 */
import { type IdlePolicy, PollResultError, pollUntilAborted } from '../../drivers/poll-loop.js';
import { type StopSignal, whenAborted } from '../../drivers/stop-signal.js';
import { AppError } from '../errors.js';
import type { EventLoopStack, Stack } from '../stack.js';
import type { Core } from './core.js';

/** Options of {@link runStack}. */
export interface RunOptions {
  /** `adaptive`: sleep when no packets come. `spin`: never. Default: as the core was configured. */
  readonly idle?: IdlePolicy;
  /** Ends the loop. */
  readonly signal: StopSignal;
}

/** What the loop needs of a core. The kernel-bypass threads run in the same loop. */
export interface Runnable extends Pick<Core, 'idle' | 'getRxCount' | 'waitForPackets' | 'wake' | 'flush'> {
  /**
   * Adds to the time in which the thread worked, and to the time in which it slept or polled in vain, in ms. A core of
   * a user's own need not have it.
   */
  countTime?(busyMs: number, idleMs: number): void;
}

/**
 * The shortest timer of Node. A stack that has work to do earlier is polled until then, because the timer would be
 * late.
 */
const SHORTEST_SLEEP_MS = 1;
/** How long a stack that drives itself may take to end, in ms. */
const END_MS = 1500;
/** How often the busy and idle time of such a stack is counted, in ms. */
const COUNT_MS = 250;

/**
 * Runs `stack` on `core` until the signal aborts.
 * @returns when the loop has ended and the stack was stopped.
 * @throws (rejects) what the stack threw; AppError when its poll does not return a number, or its run() does not end.
 */
export function runStack(core: Core, stack: Stack | EventLoopStack, options: RunOptions): Promise<void> {
  return runLoop(core, stack, options);
}

/**
 * Rejects with the first error that is thrown outside of the loop, in a timer or a promise. Later errors are ignored:
 * they are consequences of the first.
 */
export function firstUncaught(): Promise<never> {
  return new Promise((_, reject) => process.on('uncaughtException', reject));
}

/** As {@link runStack}, for everything that can be driven like a core. */
export async function runLoop(core: Runnable, stack: Stack | EventLoopStack, options: RunOptions): Promise<void> {
  const { signal } = options;
  const wake = (): void => core.wake();
  signal.addEventListener('abort', wake);
  try {
    if (isPolled(stack)) await runPolled(core, stack, (options.idle ?? core.idle) !== 'spin', signal);
    else await runItself(core, stack, signal);
  } finally {
    signal.removeEventListener('abort', wake);
  }
}

/** A stack with both methods is polled: `run` is then for programs that have no core to drive it. */
function isPolled(stack: Stack | EventLoopStack): stack is Stack {
  return typeof (stack as Partial<Stack>).poll === 'function';
}

async function runPolled(core: Runnable, stack: Stack, maySleep: boolean, signal: StopSignal): Promise<void> {
  const sleep = (): Promise<number> | null => {
    const timeoutMs = stack.maxSleepMs?.() ?? Number.POSITIVE_INFINITY;
    // A stack that leaves its packets where they are is idle, too. Its sleep would end at once, and other code would
    // starve.
    if (timeoutMs < SHORTEST_SLEEP_MS || core.getRxCount() > 0) return null;
    return core.waitForPackets({ timeoutMs });
  };
  const countTime = (busyMs: number, idleMs: number): void => core.countTime?.(busyMs, idleMs);
  try {
    await pollUntilAborted(stack, { signal, sleep: maySleep ? sleep : undefined, countTime });
    core.flush();
  } catch (error) {
    try {
      stack.stop?.();
    } catch {
      // A consequence of the first error, which tells more.
    }
    if (!(error instanceof PollResultError)) throw error;
    throw new AppError('the poll() of a stack must return how many packets it handled, at once', { cause: error });
  }
  stack.stop?.();
}

async function runItself(core: Runnable, stack: EventLoopStack, signal: StopSignal): Promise<void> {
  let last = performance.eventLoopUtilization();
  const count = (): void => {
    const now = performance.eventLoopUtilization();
    core.countTime?.(now.active - last.active, now.idle - last.idle);
    last = now;
  };
  // What the stack waits for keeps the thread alive, not this timer.
  const counting = setInterval(count, COUNT_MS).unref();
  try {
    await Promise.race([stack.run(signal), overdue(signal)]);
    core.flush();
  } finally {
    clearInterval(counting);
    count();
  }
}

/** Rejects when the stack has not ended {@link END_MS} after the signal. */
async function overdue(signal: StopSignal): Promise<never> {
  await whenAborted(signal);
  return new Promise((_, reject) => {
    const late = (): void =>
      reject(new AppError(`the run() of the stack has not returned ${END_MS} ms after its signal`));
    setTimeout(late, END_MS).unref();
  });
}
