/**
 * `npm run soak -- --tcp`: what TCP allocates and keeps, then random schedules of two TCP/IP stacks in a simulated
 * network, for as long as wanted.
 */
import { type ManyResult, runSchedules } from '../support/tcpip/schedule/run-many.js';
import { counted, thousands } from './report.js';
import type { SoakOptions } from './soak-run.js';
import { runTcpLimits } from './tcp-limits.js';

/** The part of the time that the schedules have at least. */
const SCHEDULES_PART = 1 / 3;
const TELL_MS = 15_000;
const MAX_FAILURES = 20;

export interface TcpSoakResult {
  readonly schedules: number;
  readonly violations: readonly string[];
  /** The last line of a run. */
  readonly summary: string;
}

/** @param runLimits what comes before the schedules; a test has something shorter */
export async function runTcpSoak(options: SoakOptions, runLimits = runTcpLimits): Promise<TcpSoakResult> {
  const { ms, stop, tell } = options;
  const start = performance.now();
  const limits = await runLimits(ms * (1 - SCHEDULES_PART), stop);
  for (const line of limits.lines) tell?.(`soak: TCP: ${line}`);
  const left = ms - (performance.now() - start);
  const result = await runRandom({ ...options, ms: Math.max(left, ms * SCHEDULES_PART) });
  const violations = [...limits.violations, ...result.failures];
  if (result.schedules === 0 && stop?.aborted !== true) violations.push('no schedule ran');
  return { schedules: result.schedules, violations, summary: summaryOf(result, violations.length) };
}

function runRandom({ ms, seed, stop, tell }: SoakOptions): Promise<ManyResult> {
  let toldAt = performance.now();
  return runSchedules({
    ...{ ms, seed, maxFailures: MAX_FAILURES, ...(stop === undefined ? {} : { stop }) },
    tell: (schedules, { connections }) => {
      if (performance.now() - toldAt < TELL_MS) return;
      toldAt = performance.now();
      tell?.(`soak: ${thousands(schedules)} schedules, ${thousands(connections)} ends of connections`);
    },
  });
}

function summaryOf({ schedules, totals }: ManyResult, violations: number): string {
  const { connections, bytes, packets, failed, aborted, virtualMs } = totals;
  return (
    `soak: TCP: ${thousands(schedules)} schedules, ${thousands(connections)} ends of connections (${thousands(aborted)} reset, ` +
    `${thousands(failed)} not opened), ${thousands(bytes)} bytes, each checked, in ${thousands(packets)} packets and ` +
    `${thousands(Math.round(virtualMs / 3_600_000))} hours of virtual time; ${counted(violations, 'violation')}`
  );
}
