/** Loads in which the next request follows the response, and how such a load is measured. */
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds } from '../cpus.js';
import type { PollCount, PollMeter } from './poll-meter.js';

/** How long the connections may take to open, and the last responses to come. */
const PATIENCE_MS = 10_000;

export abstract class ClosedLoop {
  /** Requests that were answered. */
  done = 0;
  /** Connections that ended when they should not, and wrong answers. */
  errors = 0;
  /** Requests that wait for their response. */
  underWay = 0;
  protected isRunning = false;

  /** Opens the connections that are to be open and are not. {@link isReady} tells when they are. */
  abstract open(): void;
  abstract get isReady(): boolean;

  /** Sends the first requests. */
  abstract start(): void;

  /** Sends no more. What is under way ends in time. */
  stop(): void {
    this.isRunning = false;
  }

  /** Ends the connections that stay open. */
  close(): void {}
}

/** What was done in a run. */
export interface LoopRun {
  readonly requests: number;
  readonly seconds: number;
  /** CPU time of the server meanwhile. */
  readonly cpuSeconds: number;
  /** Until the end of the run. */
  readonly errors: number;
  /** Polls of the load before the run and after it. */
  readonly polls: readonly [PollCount, PollCount];
}

/**
 * Opens what is to be open, and lets the load work. Resolves when nothing is under way any more: the processes may be
 * stopped then, and nothing is taken for lost.
 * @param server its PID
 */
export async function runLoop(
  loop: ClosedLoop,
  meter: PollMeter,
  milliseconds: number,
  server: number,
): Promise<LoopRun> {
  loop.open();
  await until('all connections open', () => loop.isReady);
  const first = loop.done;
  const before = meter.count();
  const cpu = cpuSeconds(server);
  const start = performance.now();
  loop.start();
  await sleep(milliseconds);
  const requests = loop.done - first;
  const seconds = (performance.now() - start) / 1000;
  const used = cpuSeconds(server) - cpu;
  const after = meter.count();
  loop.stop();
  await until('all responses', () => loop.underWay === 0);
  return { requests, seconds, cpuSeconds: used, errors: loop.errors, polls: [before, after] };
}

/** Turns of a millisecond are counted, and not the clock: the process may have been stopped meanwhile. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns === PATIENCE_MS) throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
    await sleep(1);
  }
}
