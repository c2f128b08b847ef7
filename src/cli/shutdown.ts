/** What ends a command: SIGINT, SIGTERM and SIGHUP, the first in good order, the second at once; and the end of its output. */
import { constants } from 'node:os';
import { HangWatch } from './hang-watch.js';
import { outputEnd } from './output-end.js';

/** Signal -> the exit code that a shell expects of who died by it. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type StopSignalName = keyof typeof SIGNALS;
const NAMES = Object.keys(SIGNALS) as StopSignalName[];

/**
 * Resolves at the first signal, or when the output is gone. From then on a signal ends the process at once. Where the process
 * hangs, signals end it all the same (`hang-watch.ts`).
 */
export function untilStopped(): Promise<void> {
  const watch = new HangWatch(NAMES);
  return new Promise((resolve) => {
    const stop = (first: StopSignalName): void => {
      watch.told(constants.signals[first]);
      for (const signal of NAMES) process.once(signal, () => process.exit(SIGNALS[signal]));
      resolve();
    };
    for (const signal of NAMES) process.once(signal, () => stop(signal));
    void outputEnd.then(() => stop('SIGHUP'));
  });
}

/** What `start` resolves to; null where it failed because it was told to stop. */
export async function unlessStopped<T>(
  told: Promise<void>,
  start: (signal: AbortSignal) => Promise<T>,
): Promise<T | null> {
  const stop = new AbortController();
  void told.then(() => stop.abort());
  try {
    return await start(stop.signal);
  } catch (error) {
    if (stop.signal.aborted) return null;
    throw error;
  }
}
