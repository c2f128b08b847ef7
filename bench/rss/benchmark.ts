/**
 * `bench -- rss`: compares hashes per second of soft RSS with DPDK's `rte_softrss`, and measures the cost of a whole
 * frame, and how evenly random flows spread over 2 to 16 cores.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import type { Benchmark, Plan } from '../common/benchmark.js';
import { figure, type Row, row } from '../report/report.js';
import { HashThread } from './hash-thread.js';
import { largestDeviation, type WorkName } from './hashing.js';
import { FUNCTIONS, missingForSoftRss, SoftRss } from './softrss.js';

const VERSIONS = [4, 6] as const;
const CORES = Array.from({ length: 15 }, (_, i) => i + 2);
const KINDS = ['toeplitz', 'frame', 'packet'] as const;
const HASHES: readonly WorkName[] = KINDS.flatMap((kind) => VERSIONS.map((version) => ({ kind, version })));
const hashName = ({ kind, version }: WorkName): string => `${kind}/ipv${version}`;
const splitName = (cores: number): string => `split/${cores}`;

/** A window's figure is the median of this many slices. A slice is so short that most slices are not disturbed. */
const SLICES = 15;

/** Times in milliseconds. */
const timing = (isQuick: boolean): { windows: number; slice: number; warmUp: number; flows: number } =>
  isQuick
    ? { windows: 3, slice: 2, warmUp: 200, flows: 100_000 }
    : { windows: 9, slice: 4, warmUp: 1000, flows: 1_000_000 };

/** Runs for a slice. Returns nanoseconds per tuple. */
type Contestant = (ms: number) => Promise<number>;

/** Runs all contestants in turns, slice by slice. Returns the windows of each. */
async function alternate(contestants: readonly Contestant[], { isQuick, stop }: Plan): Promise<number[][]> {
  const { windows, slice } = timing(isQuick);
  const results = contestants.map((): number[] => []);
  for (let window = 0; window < windows; window++) {
    const slices = contestants.map((): number[] => []);
    for (let turn = 0; turn < SLICES; turn++) {
      for (const [i, contestant] of contestants.entries()) slices[i].push(await contestant(slice));
      await breathe();
      stop.throwIfAborted();
    }
    for (const [i, ns] of slices.entries()) results[i].push(figure(ns, 'ns').median);
  }
  return results;
}

const toFigure = (ns: readonly number[]): ReturnType<typeof figure> =>
  figure(
    ns.map((time) => Math.round(1e9 / time)),
    'tuples/s',
  );
const middle = (ns: readonly number[]): string => figure(ns, 'ns').median.toFixed(1);

async function measureHash(name: WorkName, plan: Plan): Promise<Row> {
  const thread = await HashThread.start(name);
  try {
    await thread.measure(timing(plan.isQuick).warmUp);
    return await (name.kind === 'toeplitz'
      ? compare(thread, hashName(name), plan)
      : alone(thread, hashName(name), plan));
  } finally {
    await thread.close();
  }
}

/** Compares three contestants on the same tuples, and checks that they get the same hashes. */
async function compare(thread: HashThread, name: string, plan: Plan): Promise<Row> {
  const { key, bytes, wordsPerTuple, all: expected } = thread.tuples;
  const peer = new SoftRss(key, bytes, wordsPerTuple);
  try {
    const peers = FUNCTIONS.map((other): Contestant => {
      return async (ms) => {
        const { ns, all } = await peer.measure(other, ms);
        if (all !== expected) throw new Error(`${name}: ${other} and tspmd have different hashes`);
        return ns;
      };
    });
    const [ours, ...theirs] = await alternate([(ms) => thread.measure(ms), ...peers], plan);
    const times = FUNCTIONS.map((other, i) => `${other} ${middle(theirs[i])}`);
    plan.progress(`${name}: ns per tuple: tspmd ${middle(ours)}, ${times.join(', ')}`);
    return row(name, toFigure(ours), Object.fromEntries(FUNCTIONS.map((other, i) => [other, toFigure(theirs[i])])));
  } finally {
    await peer.close();
  }
}

async function alone(thread: HashThread, name: string, plan: Plan): Promise<Row> {
  const [ours] = await alternate([(ms) => thread.measure(ms)], plan);
  plan.progress(`${name}: ns per packet: tspmd ${middle(ours)}`);
  return row(name, toFigure(ours), {});
}

async function split(cores: number, { isQuick, stop }: Plan): Promise<Row> {
  await breathe();
  stop.throwIfAborted();
  const deviation = Number(largestDeviation(cores, timing(isQuick).flows).toFixed(3));
  return row(splitName(cores), figure([deviation], '% of all flows off an even share'), {});
}

export const rss: Benchmark = {
  summary: 'soft RSS: hashes per second, against rte_softrss; how evenly flows spread over 2 to 16 cores',
  rows: [...HASHES.map(hashName), ...CORES.map(splitName)],

  missing(rows) {
    return rows.some((name) => name.startsWith('toeplitz/')) ? missingForSoftRss() : [];
  },

  async measure(rows, plan) {
    const measured: Row[] = [];
    for (const name of HASHES) if (rows.includes(hashName(name))) measured.push(await measureHash(name, plan));
    for (const cores of CORES) if (rows.includes(splitName(cores))) measured.push(await split(cores, plan));
    return measured;
  },
};
