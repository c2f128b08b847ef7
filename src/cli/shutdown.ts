/** The end of a command: by SIGINT, SIGTERM or SIGHUP, or when its output is closed. */
import { constants } from 'node:os';
import { HangWatch } from './hang/hang-watch.js';
import { outputEnd } from './output/output-end.js';
import { readServiceEnvironment, type ServiceEnvironment } from './service/environment.js';

/** The signals, with the exit code that a shell expects from a process that died of it. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type StopSignalName = keyof typeof SIGNALS;
const NAMES = Object.keys(SIGNALS) as StopSignalName[];

/**
 * Resolves at the first signal, or when the output is closed; the command then cleans up. A second signal ends the
 * process immediately. Signals end the process even when it hangs (`hang/hang-watch.ts`).
 * @param service is told that the command stops, and gets signs of life
 */
export function untilStopped(service: Service | null = null): Promise<void> {
  const watch = new HangWatch(NAMES, service?.environment);
  return new Promise((resolve) => {
    const stop = (first: StopSignalName): void => {
      watch.told(constants.signals[first]);
      service?.stops();
      for (const signal of NAMES) process.once(signal, () => process.exit(SIGNALS[signal]));
      resolve();
    };
    for (const signal of NAMES) process.once(signal, () => stop(signal));
    void outputEnd.then(() => stop('SIGHUP'));
  });
}

/** A service manager that is told how the command is. */
export interface Service {
  readonly environment: ServiceEnvironment;
  /** Tells it that the command stops. */
  readonly stops: () => void;
}

/** Begins to tell the service manager how this command is. Returns null, and loads nothing, when there is none. */
export async function serviceManager(): Promise<Service | null> {
  const environment = readServiceEnvironment(process.env, process.pid);
  if (environment === null) return null;
  const { beginTelling } = await import('./service/service-manager.js');
  return { environment, stops: beginTelling(environment.socket) };
}

/** Returns the result of `start`; null when it failed because the command was told to stop. */
export async function unlessStopped<T>(
  stopRequested: Promise<void>,
  start: (signal: AbortSignal) => Promise<T>,
): Promise<T | null> {
  const stop = new AbortController();
  void stopRequested.then(() => stop.abort());
  try {
    return await start(stop.signal);
  } catch (error) {
    if (stop.signal.aborted) return null;
    throw error;
  }
}
