/** What every benchmark gives: rows of figures, ours next to the peers', as JSON for programs. For people: table.ts. */
import type { MachineFacts } from './machine.js';
import type { Noise } from './noise.js';

/** Some windows of measurement, summed up. */
export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly unit: string;
}

export interface Row {
  readonly name: string;
  readonly ours: Figure;
  readonly peers: Readonly<Record<string, Figure>>;
  /** Medians, ours by theirs or, of what less is better of, theirs by ours; above 1 ours is better. */
  readonly ratio: Readonly<Record<string, number>>;
  /** Whether the ratio can be believed. */
  readonly noise?: Noise | undefined;
  /** Further figures of this benchmark, by name. */
  readonly more?: Readonly<Record<string, unknown>> | undefined;
}

/** The JSON of `npm run bench -- NAME --json`. */
export interface Report {
  readonly benchmark: string;
  readonly machine: MachineFacts;
  readonly rows: readonly Row[];
}

/** What `npm run bench -- all` gives: a report a benchmark, and why there are not more. */
export interface Reports {
  readonly benchmark: 'all';
  readonly machine: MachineFacts;
  /** The rows of all of them. */
  readonly rows: readonly Row[];
  readonly reports: readonly Report[];
  /** Benchmark -> what it needs that this machine has not, or what went wrong with it. */
  readonly notMeasured: Readonly<Record<string, string>>;
}

/** @param windows at least one value */
export function figure(windows: readonly number[], unit: string): Figure {
  const sorted = [...windows].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted.at(-1)!, unit };
}

/** What of its figures is better. */
export type Better = 'more' | 'less';

export function row(
  name: string,
  ours: Figure,
  peers: Readonly<Record<string, Figure>>,
  { better = 'more', ...rest }: { better?: Better; noise?: Noise | undefined; more?: Row['more'] } = {},
): Row {
  const ratio = Object.fromEntries(
    Object.entries(peers).map(([peer, { median }]) => {
      const value = better === 'more' ? ours.median / median : median / ours.median;
      return [peer, Number(value.toFixed(3))];
    }),
  );
  return { name, ours, peers, ratio, ...rest };
}
