/** What TCP allocates and keeps. `npm run soak -- --tcp` has the long forms. */
import { describe, expect, it } from 'vitest';
import type { ManyConnections } from '../support/tcpip/limits/many-connections.worker.js';
import { runWorker } from '../support/tcpip/limits/run-worker.js';
import { type SteadyTcp, TRAFFIC, TRAFFIC_KINDS } from '../support/tcpip/limits/traffic.js';

const SEGMENTS = 250_000;
/** What V8 allocates by itself meanwhile: code, feedback, the timers of Node. 16 bytes per segment would be 4 MB. */
const RUNTIME_BYTES = 1_500_000;
const IDLE = 20_000;
const CHURN = 50_000;
/** What is neither a leak nor an allocation per connection, in bytes. */
const SLACK_BYTES = 1_500_000;

describe('TCP in steady state', () => {
  it.each(TRAFFIC_KINDS)('allocates nothing per segment: %s', { timeout: 120_000 }, async (kind) => {
    const run = () => runWorker<SteadyTcp>('steady-tcp', SEGMENTS, kind);
    let result = await run();
    // V8 may compile a function once more in the middle of a run. A cost per segment would show in each run.
    for (let again = 0; again < 2 && result.allocated > RUNTIME_BYTES; again++) result = await run();
    expect(result.segments).toBeGreaterThanOrEqual(SEGMENTS);
    expect(result.bytes).toBeGreaterThan(SEGMENTS);
    expect(result.resent > 0).toBe(TRAFFIC[kind].lose > 0);
    expect(result.gso > 0).toBe(TRAFFIC[kind].offloads > 0);
    expect(result.scavenges).toBe(0);
    expect(result.allocated).toBeLessThan(RUNTIME_BYTES);
  });
});

describe('many connections', () => {
  it('take less than 1 KiB each while they are idle', { timeout: 120_000 }, async () => {
    const result = await runWorker<ManyConnections>('many-connections', 'idle', IDLE);
    expect(result.most).toBe(IDLE);
    expect(result.bytesPerConnection).toBeLessThan(1024);
    const none = { tcp_time_wait: 0, tcp_timers: 0, tcp_memory: 0, tcp_opened_passive: IDLE };
    expect(result.open).toEqual({ ...none, tcp_connections: 2 * IDLE, tcp_closed: 0 });
    expect(result.closed).toEqual({ ...none, tcp_connections: 0, tcp_closed: 2 * IDLE });
  });

  it('leave nothing behind when they are closed', { timeout: 120_000 }, async () => {
    const result = await runWorker<ManyConnections>('many-connections', 'churn', CHURN);
    expect(result.opened).toBe(CHURN);
    const none = { tcp_connections: 0, tcp_time_wait: 0, tcp_timers: 0, tcp_memory: 0 };
    expect(result.closed).toEqual({ ...none, tcp_opened_passive: CHURN, tcp_closed: 2 * CHURN });
    expect(result.late - result.early).toBeLessThan(SLACK_BYTES);
  });
});
