/** A load that measures how long requests take: the base of the loads of `bench -- http`. */
import type { StopSignal } from '../../src/index.js';
import { answerRequests } from '../common/bench-process.js';
import { ClosedLoop, runLoop } from '../common/load/closed-loop.js';
import type { PollMeter } from '../common/load/poll-meter.js';
import type { LoadRun } from './setup.js';

/** More than a window has. */
const MOST_SAMPLES = 1 << 20;

export abstract class TimedLoop extends ClosedLoop {
  /** What was wrong first; empty when nothing was. */
  fault = '';
  /** The first samples since {@link start}. A histogram of node:perf_hooks takes 50 ns per sample. */
  private readonly samples = new Float64Array(MOST_SAMPLES);
  private sampled = 0;

  /** Of the requests since {@link start}, in µs. */
  get p99Us(): number {
    const { samples, sampled } = this;
    const sorted = samples.slice(0, sampled).sort();
    return Number(((sorted[Math.ceil(sampled * 0.99) - 1] ?? 0) * 1000).toFixed(1));
  }

  /** Faults until now do not count: a server ends connections that were idle for long, as when it was stopped. */
  open(): void {
    this.errors = 0;
    this.fault = '';
  }

  start(): void {
    this.sampled = 0;
    this.isRunning = true;
  }

  protected wrong(fault: string): void {
    this.errors++;
    this.fault ||= fault;
  }

  /** @param ms from the request to the whole response */
  protected record(ms: number): void {
    if (this.sampled < MOST_SAMPLES) this.samples[this.sampled++] = ms;
  }
}

/**
 * Answers `run MILLISECONDS PID` with a {@link LoadRun}, and `polls` with a `PollCount`.
 * @returns aborts when the benchmark has ended
 */
export function answerRuns(loop: TimedLoop, meter: PollMeter): StopSignal {
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  const run = async (milliseconds: number, server: number): Promise<LoadRun> => {
    const done = await runLoop(loop, meter, milliseconds, server);
    if (done.errors > 0) process.stderr.write(`${done.errors} errors, the first: ${loop.fault}\n`);
    return { ...done, p99Us: loop.p99Us };
  };
  answerRequests(
    ([what, milliseconds, pid]) => (what === 'polls' ? meter.count() : run(Number(milliseconds), Number(pid))),
    () => stop.abort(),
  );
  return stop.signal;
}
