/**
 * `bench -- rss`: hashes a second of soft RSS next to DPDK's `rte_softrss`, the hash that a C program would use in its
 * place; what a whole frame costs; and how evenly random flows spread over 2 to 16 cores.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import type { Benchmark, Plan } from '../benchmark.js';
import { figure, type Row, row } from '../report.js';
import { frameWork, largestDeviation, measureNs, toeplitzWork, type Work } from './hashing.js';
import { FUNCTIONS, missingForSoftRss, SoftRss } from './softrss.js';

type Version = 4 | 6;

const VERSIONS: readonly Version[] = [4, 6];
const CORES = Array.from({ length: 15 }, (_, i) => i + 2);
const toeplitzName = (version: Version): string => `toeplitz/ipv${version}`;
const frameName = (version: Version): string => `frame/ipv${version}`;
const splitName = (cores: number): string => `split/${cores}`;

/** A contestant's median of so many slices is the window's figure: most slices are short enough to end undisturbed. */
const SLICES = 15;

/** Milliseconds. */
const timing = (isQuick: boolean): { windows: number; slice: number; warmUp: number; flows: number } =>
  isQuick
    ? { windows: 3, slice: 2, warmUp: 200, flows: 100_000 }
    : { windows: 9, slice: 4, warmUp: 1000, flows: 1_000_000 };

/** Runs for a slice; returns nanoseconds a tuple. */
type Contestant = (ms: number) => number | Promise<number>;

/** All contestants in turns, slice by slice; returns the windows of each. */
async function alternate(contestants: readonly Contestant[], { isQuick, stop }: Plan): Promise<number[][]> {
  const { windows, slice } = timing(isQuick);
  const results = contestants.map((): number[] => []);
  for (let window = 0; window < windows; window++) {
    const slices = contestants.map((): number[] => []);
    for (let turn = 0; turn < SLICES; turn++) {
      for (const [i, contestant] of contestants.entries()) slices[i]!.push(await contestant(slice));
      await breathe();
      stop.throwIfAborted();
    }
    for (const [i, ns] of slices.entries()) results[i]!.push(figure(ns, 'ns').median);
  }
  return results;
}

const toFigure = (ns: readonly number[]): ReturnType<typeof figure> =>
  figure(
    ns.map((time) => Math.round(1e9 / time)),
    'tuples/s',
  );
const middle = (ns: readonly number[]): string => figure(ns, 'ns').median.toFixed(1);

/** Three contestants hash the same tuples; that they get the same hashes is checked. */
async function toeplitz(version: Version, plan: Plan): Promise<Row> {
  const work = toeplitzWork(version);
  const expected = work.run();
  const peer = new SoftRss(work.key, work.bytes, work.wordsPerTuple);
  try {
    measureNs(work, timing(plan.isQuick).warmUp);
    const peers = FUNCTIONS.map((name): Contestant => {
      return async (ms) => {
        const { ns, all } = await peer.measure(name, ms);
        if (all !== expected) throw new Error(`${toeplitzName(version)}: ${name} has other hashes than tspmd`);
        return ns;
      };
    });
    const [ours, ...theirs] = await alternate([(ms) => measureNs(work, ms), ...peers], plan);
    const times = FUNCTIONS.map((name, i) => `${name} ${middle(theirs[i]!)}`);
    plan.progress(`${toeplitzName(version)}: ns a tuple: tspmd ${middle(ours!)}, ${times.join(', ')}`);
    const figures = FUNCTIONS.map((name, i) => [name, toFigure(theirs[i]!)]);
    return row(toeplitzName(version), toFigure(ours!), Object.fromEntries(figures));
  } finally {
    await peer.close();
  }
}

async function frame(version: Version, plan: Plan): Promise<Row> {
  const work: Work = frameWork(version);
  measureNs(work, timing(plan.isQuick).warmUp);
  const [ours] = await alternate([(ms) => measureNs(work, ms)], plan);
  plan.progress(`${frameName(version)}: ns a frame: tspmd ${middle(ours!)}`);
  return row(frameName(version), toFigure(ours!), {});
}

async function split(cores: number, { isQuick, stop }: Plan): Promise<Row> {
  await breathe();
  stop.throwIfAborted();
  const deviation = Number(largestDeviation(cores, timing(isQuick).flows).toFixed(3));
  return row(splitName(cores), figure([deviation], '% of all flows off an even share'), {});
}

export const rss: Benchmark = {
  summary: 'soft RSS: hashes a second, against rte_softrss; the split over 2 to 16 cores',
  rows: [...VERSIONS.map(toeplitzName), ...VERSIONS.map(frameName), ...CORES.map(splitName)],

  missing(rows) {
    return VERSIONS.some((version) => rows.includes(toeplitzName(version))) ? missingForSoftRss() : [];
  },

  async measure(rows, plan) {
    const measured: Row[] = [];
    for (const version of VERSIONS)
      if (rows.includes(toeplitzName(version))) measured.push(await toeplitz(version, plan));
    for (const version of VERSIONS) if (rows.includes(frameName(version))) measured.push(await frame(version, plan));
    for (const cores of CORES) if (rows.includes(splitName(cores))) measured.push(await split(cores, plan));
    return measured;
  },
};
