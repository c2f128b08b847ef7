/**
 * The app of the demo's first endpoint. It echoes like the other endpoint, and sends the traffic: pings one after the
 * other, then UDP datagrams of all sizes up to the MTU. Each core prints one line with its result.
 *
 * With several cores, the core that gets the answers sends the pings. Every core sends its share of the datagrams from
 * a port of its own.
 */
import { createDemux } from '../../src/apps/demux.js';
import { Echo } from '../../src/apps/echo.js';
import { Pinger } from '../../src/apps/pinger.js';
import { UdpProbe } from '../../src/apps/udp-probe.js';
import type { Core } from '../../src/link/core.js';
import type { Stack, StackOptions } from '../../src/stack.js';
import { parseIpv4 } from '../../src/wire/address.js';
import { IP_PROTOCOL_ICMP } from '../../src/wire/ipv4.js';

/** The line with a core's result begins with this mark. The JSON of {@link CoreTraffic} follows. */
export const RESULT_MARK = 'traffic:';

export interface TrafficResult {
  ping: { sent: number; received: number; corrupt: number; rttUs: { p50: number; p99: number; max: number } };
  udp: { sent: number; received: number; corrupt: number; bytes: number };
}

/** The result of one core. */
export interface CoreTraffic extends TrafficResult {
  /** Number of cores that print a result. */
  cores: number;
}

/** Adds the results of all cores. */
export function sumOf(results: readonly CoreTraffic[]): TrafficResult {
  const [first, ...others] = results;
  if (first === undefined) throw new Error('no core has printed a result');
  const { ping, udp } = structuredClone(first);
  for (const other of others) {
    // Only one core has sent pings.
    if (other.ping.sent > 0) Object.assign(ping, other.ping);
    for (const name of ['sent', 'received', 'corrupt', 'bytes'] as const) udp[name] += other.udp[name];
  }
  return { ping, udp };
}

/** @param options `to` (address), `pings` and `datagrams` (numbers), as texts */
export default function createTraffic(core: Core, options: StackOptions): Stack {
  const to = String(options.to);
  const pingsHere = core.rssCoreFor({ protocol: IP_PROTOCOL_ICMP, source: parseIpv4(to), destination: core.address });
  const isPinging = pingsHere === core.index;
  const pinger = new Pinger(core, { to, count: isPinging ? Number(options.pings) : 0, intervalMs: 0 });
  const probe = new UdpProbe(core, { to, count: shareOf(Number(options.datagrams), core) });
  const echo = new Echo(core);
  const pinging = createDemux(core, [echo, pinger]);
  const probing = createDemux(core, [echo, pinger, probe]);
  let stack = pinging;
  let isReported = false;
  const begin = (): void => {
    stack = probing;
    core.wake();
  };
  const pingsAreDone = core.count === 1 ? begin : startOthersAfterPings(isPinging, begin);
  return {
    poll(): number {
      const work = stack.poll();
      if (stack === pinging && isPinging && pinger.isDone) pingsAreDone();
      if (!isReported && stack === probing && probe.isDone) {
        isReported = true;
        const traffic: CoreTraffic = { ...result(pinger, probe), cores: core.count };
        process.stdout.write(`${RESULT_MARK} ${JSON.stringify(traffic)}\n`);
      }
      return work;
    },
    maxSleepMs: () => stack.maxSleepMs?.() ?? 0,
  };
}

/** Returns how many of `total` datagrams this core sends. */
function shareOf(total: number, { index, count }: Core): number {
  return Math.floor(total / count) + (index < total % count ? 1 : 0);
}

/**
 * Makes the other cores wait until the pings are done, so that the round trips are measured on a quiet port. A core
 * that starts late asks whether they are done.
 * @returns a function that the pinging core calls after the last ping
 */
function startOthersAfterPings(isPinging: boolean, begin: () => void): () => void {
  const channel = new BroadcastChannel('tspmd demo');
  channel.unref();
  let isDone = false;
  channel.onmessage = ({ data }) => {
    if (data === 'begin' && !isPinging) begin();
    else if (data === 'may I?' && isDone) channel.postMessage('begin');
  };
  if (!isPinging) channel.postMessage('may I?');
  return () => {
    isDone = true;
    channel.postMessage('begin');
    begin();
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
