/** What every benchmark gives: rows of figures, ours next to the peers', as a table for people or JSON for programs. */
import Table from 'cli-table3';
import type { MachineFacts } from './machine.js';

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
  /** Medians, ours by theirs; above 1 ours is better. */
  readonly ratio: Readonly<Record<string, number>>;
}

/** The JSON of `npm run bench -- NAME --json`. */
export interface Report {
  readonly benchmark: string;
  readonly machine: MachineFacts;
  readonly rows: readonly Row[];
}

/** @param windows at least one value */
export function figure(windows: readonly number[], unit: string): Figure {
  const sorted = [...windows].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, unit };
}

/** A row of figures of which more is better. */
export function row(name: string, ours: Figure, peers: Readonly<Record<string, Figure>>): Row {
  const ratio = Object.fromEntries(
    Object.entries(peers).map(([peer, { median }]) => [peer, Number((ours.median / median).toFixed(3))]),
  );
  return { name, ours, peers, ratio };
}

/** Windows so far apart that their median says little: the machine did something else meanwhile. */
const isNoisy = ({ median, min, max }: Figure): boolean => max - min > median;

export function render({ benchmark, machine, rows }: Report): string {
  const table = new Table({
    head: ['row', 'tspmd (min to max)', 'peer', 'peer (min to max)', 'ratio'],
    style: { head: [], border: [] },
  });
  for (const { name, ours, peers, ratio } of rows) {
    if (Object.keys(peers).length === 0) table.push([name, shown(ours), '-', '-', '-']);
    for (const [peer, theirs] of Object.entries(peers)) {
      const mark = isNoisy(ours) || isNoisy(theirs) ? ' *' : '';
      table.push([name, shown(ours), peer, shown(theirs), `${ratio[peer]?.toFixed(2)}${mark}`]);
    }
  }
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  const noisy = rows.some(({ ours, peers }) => [ours, ...Object.values(peers)].some(isNoisy));
  return [
    `${benchmark}: medians; a ratio above 1 means that tspmd is faster`,
    table.toString(),
    ...(noisy ? ['* the windows lie too far apart to conclude anything: measure again on a quiet machine'] : []),
    facts.join(', '),
    '',
  ].join('\n');
}

function shown({ median, min, max, unit }: Figure): string {
  const [factor, prefix] = median >= 1e6 ? [1e6, 'M'] : median >= 1e3 ? [1e3, 'k'] : [1, ''];
  const digits = factor > 1 || median < 10 ? 2 : median < 100 ? 1 : 0;
  const scaled = (value: number): string => (value / factor).toFixed(digits);
  return `${scaled(median)} ${prefix}${unit} (${scaled(min)} to ${scaled(max)})`;
}
