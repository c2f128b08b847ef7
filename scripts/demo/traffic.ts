/**
 * The stack of the demo's first endpoint: an echo like the other's, and beside it the traffic: pings one after the other,
 * then UDP datagrams of all sizes up to the MTU. Prints one line with the result.
 */
import { createDemux } from '../../src/apps/demux.js';
import { Echo } from '../../src/apps/echo.js';
import { Pinger } from '../../src/apps/pinger.js';
import { UdpProbe } from '../../src/apps/udp-probe.js';
import type { Core } from '../../src/core.js';
import type { Stack, StackOptions } from '../../src/stack.js';

/** What the line with the result begins with; JSON of {@link TrafficResult} follows. */
export const RESULT_MARK = 'traffic:';

export interface TrafficResult {
  ping: { sent: number; received: number; corrupt: number; rttUs: { p50: number; p99: number; max: number } };
  udp: { sent: number; received: number; corrupt: number; bytes: number };
}

/** @param options `to` (address), `pings` and `datagrams` (how many), as texts */
export default function createTraffic(core: Core, options: StackOptions): Stack {
  const to = String(options.to);
  const pinger = new Pinger(core, { to, count: Number(options.pings), intervalMs: 0 });
  const probe = new UdpProbe(core, { to, count: Number(options.datagrams) });
  const echo = new Echo(core);
  const pinging = createDemux(core, [echo, pinger]);
  const probing = createDemux(core, [echo, pinger, probe]);
  let stack = pinging;
  let isReported = false;
  return {
    poll(): number {
      const work = stack.poll();
      if (stack === pinging && pinger.isDone) stack = probing;
      if (!isReported && probe.isDone) {
        isReported = true;
        process.stdout.write(`${RESULT_MARK} ${JSON.stringify(result(pinger, probe))}\n`);
      }
      return work;
    },
    maxSleepMs: () => stack.maxSleepMs?.() ?? 0,
  };
}

function result(pinger: Pinger, probe: UdpProbe): TrafficResult {
  const ping = pinger.report();
  const udp = probe.report();
  const times = pinger.roundTrips();
  const us = (value: number | undefined): number => Math.round((value ?? 0) * 10) / 10;
  return {
    ping: {
      sent: ping.ping_sent ?? 0,
      received: ping.ping_received ?? 0,
      corrupt: ping.ping_corrupt ?? 0,
      rttUs: { p50: us(times?.p50Us), p99: us(times?.p99Us), max: us(times?.maxUs) },
    },
    udp: {
      sent: udp.probe_sent ?? 0,
      received: udp.probe_received ?? 0,
      corrupt: udp.probe_corrupt ?? 0,
      bytes: udp.probe_received_bytes ?? 0,
    },
  };
}
