/**
 * The long forms of `integration/tcp-limits.test.ts`: ten million segments of each kind of traffic, a hundred thousand
 * idle connections, a million connections that are opened and closed. Fewer when there is less time.
 */
import type { ManyConnections } from '../support/tcpip/limits/many-connections.worker.js';
import { runWorker } from '../support/tcpip/limits/run-worker.js';
import { type SteadyTcp, TRAFFIC_KINDS } from '../support/tcpip/limits/traffic.js';
import { thousands } from './report.js';

/** With this much time or more, the whole counts. */
const WHOLE_MS = 20 * 60_000;
const SEGMENTS = 10_000_000;
const IDLE = 100_000;
const CHURN = 1_000_000;
/** What V8 and Node allocate by themselves meanwhile: in all, and per segment (a turn of the event loop now and then). */
const RUNTIME_BYTES = 2_000_000;
const RUNTIME_PART = 1;
/** A hundred thousand idle connections take less than 100 MB: in bytes per connection. */
const IDLE_BYTES = 1000;
const SLACK_BYTES = 2_000_000;

export interface TcpLimits {
  readonly lines: readonly string[];
  readonly violations: readonly string[];
}

/** @param ms how much time there is; no more than a guess says how much of the whole fits into it */
export async function runTcpLimits(ms: number, stop?: AbortSignal): Promise<TcpLimits> {
  const part = Math.min(1, ms / WHOLE_MS);
  const lines: string[] = [];
  const violations: string[] = [];
  const expect = (isRight: boolean, what: string): void => {
    if (!isRight) violations.push(what);
  };
  for (const kind of TRAFFIC_KINDS) {
    if (stop?.aborted === true) break;
    const { segments, allocated, scavenges } = await runWorker<SteadyTcp>(
      'steady-tcp',
      Math.ceil(SEGMENTS * part),
      kind,
    );
    lines.push(
      `${thousands(segments)} segments of ${kind} traffic: ${scavenges} scavenges, ${thousands(allocated)} bytes`,
    );
    const limit = RUNTIME_BYTES + RUNTIME_PART * segments;
    expect(scavenges === 0 && allocated < limit, `${kind}: ${scavenges} scavenges, ${allocated} bytes were allocated`);
  }
  if (stop?.aborted !== true) {
    const { most, bytesPerConnection, open, closed } = await runMany('idle', Math.ceil(IDLE * part));
    lines.push(`${thousands(most)} idle connections: ${Math.round(bytesPerConnection)} bytes each`);
    // The fixed part of a stack would dominate few of them.
    expect(part < 1 || bytesPerConnection < IDLE_BYTES, `an idle connection takes ${bytesPerConnection} bytes`);
    expect(open.tcp_timers === 0 && open.tcp_memory === 0, `idle connections have ${JSON.stringify(open)}`);
    expect(isEmpty(closed), `after the idle connections there are ${JSON.stringify(closed)}`);
  }
  if (stop?.aborted !== true) {
    const { opened, early, late, closed } = await runMany('churn', Math.ceil(CHURN * part));
    lines.push(`${thousands(opened)} connections opened and closed: memory ${thousands(late - early)} bytes more`);
    expect(late - early < SLACK_BYTES, `${opened} connections have left ${late - early} bytes`);
    expect(isEmpty(closed), `after ${opened} connections there are ${JSON.stringify(closed)}`);
  }
  return { lines, violations };
}

function runMany(what: 'idle' | 'churn', count: number): Promise<ManyConnections> {
  return runWorker<ManyConnections>('many-connections', what, count);
}

function isEmpty(report: Record<string, number>): boolean {
  const { tcp_connections, tcp_time_wait, tcp_timers, tcp_memory } = report;
  return tcp_connections === 0 && tcp_time_wait === 0 && tcp_timers === 0 && tcp_memory === 0;
}
