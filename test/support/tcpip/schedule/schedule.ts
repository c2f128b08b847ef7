/**
 * A random schedule: two stacks, a bad network between them, and connections that are opened from either side or from
 * both at once, carry bytes with pauses, and are closed in every way. All follows from a seed.
 */

import { OFFLOAD_CHAIN } from '../../../../drivers/offloads.js';
import type { Stack } from '../../../../src/stack.js';
import { TcpIp } from '../../../../src/tcpip/index.js';
import { Random } from '../../../fuzz/random.js';
import { checkInvariants } from '../invariants.js';
import type { Host } from '../sim/host.js';
import { expectQuiet } from '../sim/quiet.js';
import { Simulation } from '../sim/simulation.js';
import { Trace } from '../sim/trace.js';
import { drawHost, drawOffloads, drawOptions, drawPath, drawStack } from './network.js';
import { drawPlan, pick } from './plan.js';
import { Talker, talkerHandlers } from './talker.js';

/** What a schedule has done, for statistics. */
export interface Outcome {
  connections: number;
  bytes: number;
  failed: number;
  aborted: number;
  virtualMs: number;
  packets: number;
}

const PORT = 80;
const FIRST_PORT = 20_000;
/** Longest virtual time of a schedule, in ms: three hours. */
const LIMIT_MS = 3 * 3600 * 1000;
const MAX_STEPS = 5_000_000;
/** Not a divisor of anything that happens in turn. */
const POLLS_PER_CHECK = 7;

/**
 * Runs a schedule.
 * @param traced adds so many of the last segments to the error
 * @throws Error that names the seed, and what went wrong
 */
export async function runSchedule(seed: number, traced = 0): Promise<Outcome> {
  const sim = new Simulation({ seed, maxSteps: MAX_STEPS });
  const trace = traced > 0 ? new Trace(sim, traced) : null;
  try {
    return await run(sim);
  } catch (error) {
    if (trace !== null) (error as Error).message += `\n${trace}`;
    throw error;
  } finally {
    await sim.stop();
  }
}

async function run(sim: Simulation): Promise<Outcome> {
  const { seed } = sim;
  const random = new Random(seed ^ 0x5eed);
  const faults: string[] = [];
  const talk = { sim, random, fault: (what: string) => faults.push(`${sim.now.toFixed(3)}: ${what}`) };
  const talkers: Talker[] = [];
  const mayAbort = random.chance(0.3);
  const newTalker = (): Talker => {
    const talker = new Talker(talk, drawPlan(random, mayAbort));
    talkers.push(talker);
    return talker;
  };
  const handlers = talkerHandlers(newTalker);
  const keepAlive = mayAbort ? 2000 : pick(random, [0, 0, 500]);
  const options = () => drawOptions(random, keepAlive);

  const newHost = (number: number) => sim.host({ ...drawHost(random), offloads: drawOffloads(seed + 2 * number) });
  const hosts = [await newHost(0), await newHost(1)] as const;
  sim.link(hosts[0], hosts[1], drawPath(random), drawPath(random));
  const nets = new Map<Host, TcpIp>();
  for (const host of hosts) {
    const net = new TcpIp(host.core, { ...drawStack(random), seed: random.next() });
    host.stack = watched(net);
    nets.set(host, net);
    net.tcp.listen({ port: PORT, backlog: pick(random, [1, 511, 511]), ...options() }, handlers);
  }

  const connect = (from: Host, to: Host, ports: { port: number; localPort?: number }): void => {
    const connection = nets.get(from)!.tcp.connect({ address: to.address, ...ports, ...options() }, handlers);
    newTalker().take(connection);
  };
  const count = 1 + random.below(5);
  for (let i = 0; i < count; i++) {
    const [from, to] = random.chance(0.5) ? hosts : ([hosts[1], hosts[0]] as const);
    const isSimultaneous = random.chance(0.15);
    sim.at(random.chance(0.5) ? 0 : random.below(1000), () => {
      if (isSimultaneous) {
        const port = FIRST_PORT + 2 * i;
        connect(from, to, { port: port + 1, localPort: port });
        connect(to, from, { port, localPort: port + 1 });
      } else {
        connect(from, to, { port: PORT });
      }
    });
  }

  // Another backend comes, which does not do the same.
  if (hosts[0].device.offloads !== 0 && (seed & 6) === 2) {
    sim.at(500, () => {
      for (const { device } of hosts) device.offloads = OFFLOAD_CHAIN;
    });
    sim.at(900, () => {
      for (const { device } of hosts) device.offloads = drawOffloads(seed + 4);
    });
  }
  sim.run(1001);
  const areOver = sim.runUntil(() => talkers.every(({ isClosed }) => isClosed), LIMIT_MS);
  if (!areOver) {
    for (const { isClosed, name, connection } of talkers) {
      if (!isClosed) faults.push(`${name} has not ended, in state ${connection?.state}`);
    }
  }
  // A cookie knows nothing of a connection, so a lost ACK may end it; with a full TIME_WAIT, a FIN that comes again may.
  const reports = [...nets.values()].map((net) => net.report());
  const mayReset = reports.some((report) => report.tcp_cookies_sent! > 0 || report.tcp_time_wait_recycled! > 0);
  const failed = checkEnds(talkers, faults, mayReset);
  if (faults.length > 0) throw new Error(`seed ${seed}: ${faults.join('\n')}`);
  expectQuiet(sim);
  return {
    connections: talkers.length,
    bytes: talkers.reduce((sum, { received }) => sum + received, 0),
    failed,
    aborted: talkers.filter(({ isAborted }) => isAborted).length,
    virtualMs: sim.now,
    packets: sim.arrived,
  };
}

/** A stack whose state is checked after some of its polls. */
function watched(net: TcpIp): Stack {
  let polls = 0;
  return {
    poll: () => {
      const handled = net.poll();
      if (++polls % POLLS_PER_CHECK === 0) checkInvariants(net.tcp);
      return handled;
    },
    maxSleepMs: () => net.maxSleepMs(),
    report: () => net.report(),
    stop: () => net.stop(),
  };
}

/**
 * Compares both ends of each connection. Returns how many connections could not be opened.
 * @param mayReset whether a connection may end by a RST that no application has asked for
 */
function checkEnds(talkers: readonly Talker[], faults: string[], mayReset: boolean): number {
  const byName = new Map<string, Talker[]>();
  for (const talker of talkers) byName.set(talker.name, [...(byName.get(talker.name) ?? []), talker]);
  let failed = 0;
  for (const talker of talkers) {
    const { name, isOpen, received, sawEnd, isAborted, error } = talker;
    // After a reset, an ACK that comes again brings its cookie again, and opens a connection that nobody else knows; or
    // that the other end takes for the first one, if it never got the RST.
    if (mayReset && byName.get(name)![0] !== talker) continue;
    const peers = byName.get(name.split(' ').reverse().join(' ')) ?? [];
    const [peer] = peers;
    const code = codeOf(error);
    if (!isOpen) {
      failed++;
      // An attempt may be given up when the network loses one segment after the other.
      if (code !== 'ETIMEDOUT' && peer?.isAborted !== true) faults.push(`${name} was not opened: ${error}`);
      continue;
    }
    if (peer === undefined) {
      // A reset may come before the ACK that opens the other end.
      if (!isAborted && !(mayReset && code === 'ECONNRESET')) faults.push(`${name} has no other end`);
      continue;
    }
    const written = Math.max(...peers.map((one) => one.written));
    if (received > written) faults.push(`${name} has received ${received} bytes of ${written}`);
    if (mayReset && peers.length > 1) continue;
    if (isAborted || peer.isAborted || !peer.isOpen) continue;
    if (mayReset && (code === 'ECONNRESET' || codeOf(peer.error) === 'ECONNRESET')) continue;
    if (error !== null) faults.push(`${name} has ended with ${error}`);
    if (received !== peer.plan.bytes) faults.push(`${name} has received ${received} bytes of ${peer.plan.bytes}`);
    if (!sawEnd) faults.push(`${name} has not seen the end`);
  }
  return failed;
}

function codeOf(error: Error | null): string | undefined {
  return (error as { code?: string } | null)?.code;
}
