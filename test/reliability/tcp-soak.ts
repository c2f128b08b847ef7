/** `npm run soak -- --tcp`: random schedules of two TCP/IP stacks in a simulated network, for as long as wanted. */
import { type ManyResult, runSchedules } from '../support/tcpip/schedule/run-many.js';
import { counted, thousands } from './report.js';
import type { SoakOptions } from './soak-run.js';

const TELL_MS = 15_000;
const MAX_FAILURES = 20;

export function runTcpSoak({ ms, seed, stop, tell }: SoakOptions): Promise<ManyResult> {
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

/** The last line of a run. */
export function tcpSoakSummary({ schedules, totals, failures }: ManyResult): string {
  const { connections, bytes, packets, failed, aborted, virtualMs } = totals;
  return (
    `soak: TCP: ${thousands(schedules)} schedules, ${thousands(connections)} ends of connections (${thousands(aborted)} reset, ` +
    `${thousands(failed)} not opened), ${thousands(bytes)} bytes, each checked, in ${thousands(packets)} packets and ` +
    `${thousands(Math.round(virtualMs / 3_600_000))} hours of virtual time; ${counted(failures.length, 'violation')}`
  );
}
