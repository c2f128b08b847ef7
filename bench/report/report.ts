/** The result of a benchmark: rows with our figures and those of the peers. The JSON has these fields. */
import type { MachineFacts } from './machine.js';

/** The values of some windows, summed up. */
export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly unit: string;
}

/** Whether the machine was quiet enough for a row. */
export interface Noise {
  /** False when the machine was too noisy to trust the ratio. */
  readonly conclusive: boolean;
  /** Why it is not conclusive, one clause each. */
  readonly reasons: readonly string[];
  /** The round trip of a cache line between the two CPUs, before and after; null when the CPUs had no time for it. */
  readonly coreToCoreNs?: { readonly before: number | null; readonly after: number | null };
}

/** The key in {@link Row.more} of costs by the number of cores, which are plotted. */
export const COST_BY_CORES = 'cost by cores';

export interface Row {
  readonly name: string;
  readonly ours: Figure;
  readonly peers: Readonly<Record<string, Figure>>;
  /** Ratio of the medians. Above 1, tspmd is better, also when less is better. */
  readonly ratio: Readonly<Record<string, number>>;
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

/** The JSON of `npm run bench -- all --json`: one report per benchmark, and why some are missing. */
export interface Reports {
  readonly benchmark: 'all';
  readonly machine: MachineFacts;
  /** The rows of all reports. */
  readonly rows: readonly Row[];
  readonly reports: readonly Report[];
  /** By benchmark: what this machine lacks for it, or the error. */
  readonly notMeasured: Readonly<Record<string, string>>;
}

/**
 * Sums the values of windows up.
 * @param windows at least one value
 */
export function figure(windows: readonly number[], unit: string): Figure {
  const sorted = [...windows].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted.at(-1)!, unit };
}

/** Whether a larger or a smaller figure is better. */
export type Better = 'more' | 'less';

/** Makes a row, with the ratios of its medians. */
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
