/** How long the loop of a port that spins has worked. */
import type { SinglePort } from '../../../src/index.js';

/** Until now, in ms. */
export interface BusyTime {
  readonly busyMs: number;
  /** In which it polled in vain. */
  readonly idleMs: number;
}

export function busyTimeOf(port: SinglePort): BusyTime {
  const { loop_busy_ms: busyMs = 0, loop_idle_ms: idleMs = 0 } = port.counters();
  return { busyMs, idleMs };
}

/** Returns the share of the time between two looks in which the loop worked; 1 when it has not counted meanwhile. */
export function busyPart(before: BusyTime, after: BusyTime): number {
  const busy = after.busyMs - before.busyMs;
  const all = busy + after.idleMs - before.idleMs;
  return all > 0 ? busy / all : 1;
}
