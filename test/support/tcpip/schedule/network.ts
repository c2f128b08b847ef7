/** Random networks and options for random schedules. */

import { OFFLOAD_CHAIN, OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4 } from '../../../../drivers/offloads.js';
import type { TcpIpOptions } from '../../../../src/tcpip/index.js';
import type { TcpOptions } from '../../../../src/tcpip/tcp/settings.js';
import { Random } from '../../../fuzz/random.js';
import type { PathOptions } from '../sim/path.js';
import type { HostOptions } from '../sim/simulation.js';
import { pick } from './plan.js';

/** Half of all paths have one fault or several. */
export function drawPath(random: Random): PathOptions {
  const bitsPerSecond = pick(random, [undefined, 1e6, 1e7, 1e8, 1e9]);
  const queueBytes = pick(random, [undefined, 3100, 15_000, 100_000]);
  const sometimes = <T>(choices: readonly T[]): T | undefined =>
    random.chance(0.25) ? pick(random, choices) : undefined;
  const reorder = sometimes([0.01, 0.1, 0.5]);
  const enter = random.chance(0.1) ? pick(random, [0.001, 0.02]) : undefined;
  const mtu = random.chance(0.15) ? pick(random, [576, 1000, 1400]) : undefined;
  return withoutUndefined({
    bitsPerSecond,
    queueBytes: bitsPerSecond === undefined ? undefined : queueBytes,
    markFrom: sometimes([0, 5000]),
    whenFull: pick(random, ['drop', 'drop', 'hold'] as const),
    delayMs: pick(random, [0.02, 0.5, 5, 50, 200]),
    loss: sometimes([0.001, 0.01, 0.05, 0.2]),
    burstLoss: enter === undefined ? undefined : { enter, leave: pick(random, [0.5, 0.8]) },
    reorder: reorder === undefined ? undefined : { probability: reorder, extraMs: pick(random, [0.1, 3, 30, 300]) },
    duplicate: sometimes([0.01, 0.2]),
    corrupt: sometimes([0.001, 0.02]),
    mtu,
    tooLong: mtu === undefined ? undefined : pick(random, ['router', 'black-hole'] as const),
  });
}

/**
 * What the device of a host offers, from a seed: with every other seed nothing, as most schedules had before there were
 * offloads.
 */
export function drawOffloads(seed: number): number {
  if ((seed & 1) === 0) return 0;
  const random = new Random(seed);
  const tso = pick(random, [0, OFFLOAD_TSO4, OFFLOAD_TSO4, OFFLOAD_TSO4 | OFFLOAD_ECN]);
  return OFFLOAD_CHAIN | pick(random, [0, OFFLOAD_CSUM | tso, OFFLOAD_CSUM | tso, OFFLOAD_CSUM | tso]);
}

export function drawHost(random: Random): HostOptions {
  return { buffers: pick(random, [256, 512, 2048]), pollMs: pick(random, [0.002, 0.05, 1]) };
}

/** Small tables, because most of the time of a short schedule goes into making them. */
export function drawStack(random: Random): TcpIpOptions {
  const memory = random.chance(0.2) ? pick(random, [65_536, 300_000]) : 16 * 2 ** 20;
  return { maxConnections: 64, maxTimeWait: pick(random, [2, 256]), memory };
}

/** @param keepAlive in ms: needed where a peer may vanish */
export function drawOptions(random: Random, keepAlive: number): TcpOptions {
  return withoutUndefined({
    keepAlive,
    noDelay: random.chance(0.3),
    sendBuffer: pick(random, [undefined, undefined, 2000, 20_000, 200_000]),
    receiveBuffer: pick(random, [undefined, undefined, 2000, 9000, 70_000, 1_000_000]),
    congestion: pick(random, ['cubic', 'cubic', 'reno'] as const),
    ecn: random.chance(0.2),
  });
}

/** An object without its undefined entries: a default is chosen by a missing entry. */
function withoutUndefined<T extends object>(entries: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  const given = Object.entries(entries).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { [Name in keyof T]: Exclude<T[Name], undefined> };
}
