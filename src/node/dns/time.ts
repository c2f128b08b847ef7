/** Time as the resolver needs it: a test passes its own. */
import { performance } from 'node:perf_hooks';

export interface Timers {
  /** Milliseconds since some moment in the past, monotonic. */
  now(): number;
  /**
   * Calls a function once, later.
   * @param ms until then
   * @returns a function that cancels the call
   */
  after(ms: number, call: () => void): () => void;
}

/** Node's timers. One that waits keeps the process alive, as a lookup by the kernel does. */
export const systemTimers: Timers = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};
