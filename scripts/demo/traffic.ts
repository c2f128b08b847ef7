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
import { TcpIp } from '../../src/tcpip/index.js';
import { parseIpv4 } from '../../src/wire/address.js';
import { IP_PROTOCOL_ICMP } from '../../src/wire/ipv4.js';
import { Fetch, type FetchResult } from './fetch.js';

export { layer, offloads } from '../../src/apps/tcp/tcp-app.js';

/** The line with a core's result begins with this mark. The JSON of {@link CoreTraffic} follows. */
export const RESULT_MARK = 'traffic:';

/** How long an answer may take, in ms: longer than a busy machine gives a process no CPU. */
const TIMEOUT_MS = 5000;

export interface TrafficResult {
  ping: { sent: number; received: number; corrupt: number; rttUs: { p50: number; p99: number; max: number } };
  udp: { sent: number; received: number; corrupt: number; bytes: number };
  /** Only one core has it. */
  tcp: FetchResult | null;
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
  const tcp = results.find((result) => result.tcp !== null)?.tcp ?? null;
  for (const other of others) {
    // Only one core has sent pings.
    if (other.ping.sent > 0) Object.assign(ping, other.ping);
    for (const name of ['sent', 'received', 'corrupt', 'bytes'] as const) udp[name] += other.udp[name];
  }
  return { ping, udp, tcp };
}

/**
 * @param options `to` (address), `pings` and `datagrams` (numbers), as texts. `bytes` is the size of the download at the
 *   end; without it there is none, and the stack goes on echoing.
 */
export default function createTraffic(core: Core, options: StackOptions): Stack {
  const to = String(options.to);
  const pingsHere = core.rssCoreFor({ protocol: IP_PROTOCOL_ICMP, source: parseIpv4(to), destination: core.address });
  const isPinging = pingsHere === core.index;
  const client = { to, timeoutMs: TIMEOUT_MS };
  const pinger = new Pinger(core, { ...client, count: isPinging ? Number(options.pings) : 0, intervalMs: 0 });
  const probe = new UdpProbe(core, { ...client, count: shareOf(Number(options.datagrams), core) });
  const echo = new Echo(core);
  const pinging = createDemux(core, [echo, pinger]);
  const probing = createDemux(core, [echo, pinger, probe]);
  let stack: Stack = pinging;
  let isProbed = false;
  const isFetching = isPinging && options.bytes !== undefined;
  const report = (tcp: FetchResult | null): void => {
    const traffic: CoreTraffic = { ...result(pinger, probe), tcp, cores: core.count };
    process.stdout.write(`${RESULT_MARK} ${JSON.stringify(traffic)}\n`);
  };
  const begin = (): void => {
    stack = probing;
    core.wake();
  };
  const fetch = (): void => {
    if (!isFetching) return;
    const net = new TcpIp(core);
    stack = net;
    new Fetch(net, to, Number(options.bytes), (fetched, failure) => {
      if (failure !== null) process.stderr.write(`download from ${to}: ${failure}\n`);
      report(fetched);
    });
    core.wake();
  };
  const phases = new Phases(core, isPinging, begin, fetch);
  return {
    poll(): number {
      const work = stack.poll();
      if (stack === pinging && isPinging && pinger.isDone) phases.pingsAreDone();
      if (!isProbed && stack === probing && probe.isDone) {
        isProbed = true;
        if (!isFetching) report(null);
        phases.probeIsDone();
      }
      return work;
    },
    maxSleepMs: () => stack.maxSleepMs?.() ?? 0,
    report: () => stack.report?.() ?? {},
    stop: () => stack.stop?.(),
  };
}

/** Returns how many of `total` datagrams this core sends. */
function shareOf(total: number, { index, count }: Core): number {
  return Math.floor(total / count) + (index < total % count ? 1 : 0);
}

/** What the cores tell each other. */
const BEGIN = 'begin';
const MAY_I = 'may I?';
const PROBED = 'probed';

/**
 * The order of the cores' traffic: first one core sends pings, then all send datagrams, then the first one downloads.
 * So the round trips are measured on a quiet port, and no datagram is lost beside the download. A core that starts late
 * asks whether the pings are done.
 */
class Phases {
  private readonly channel: InstanceType<typeof BroadcastChannel> | null;
  private arePingsDone = false;
  private left: number;

  constructor(
    { count }: Core,
    private readonly isFirst: boolean,
    private readonly begin: () => void,
    private readonly fetch: () => void,
  ) {
    this.left = count;
    this.channel = count === 1 ? null : new BroadcastChannel('tspmd demo');
    if (this.channel === null) return;
    this.channel.unref();
    this.channel.onmessage = ({ data }) => this.hear(data);
    if (!isFirst) this.channel.postMessage(MAY_I);
  }

  pingsAreDone(): void {
    this.arePingsDone = true;
    this.channel?.postMessage(BEGIN);
    this.begin();
  }

  /** The datagrams of this core are done. */
  probeIsDone(): void {
    if (this.isFirst) this.count();
    else this.channel?.postMessage(PROBED);
  }

  private hear(message: unknown): void {
    if (message === BEGIN && !this.isFirst) this.begin();
    else if (message === MAY_I && this.arePingsDone) this.channel?.postMessage(BEGIN);
    else if (message === PROBED && this.isFirst) this.count();
  }

  private count(): void {
    this.left--;
    if (this.left === 0) this.fetch();
  }
}

function result(pinger: Pinger, probe: UdpProbe): Omit<TrafficResult, 'tcp'> {
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
