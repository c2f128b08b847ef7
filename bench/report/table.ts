/** Renders a report as a text table. */
import Table from 'cli-table3';
import { isSpread, SPREAD } from '../common/noise.js';
import type { Figure, Report, Row } from './report.js';

/** Returns why a row is not conclusive; empty when it is. */
export function doubts({ ours, peers, noise }: Row): readonly string[] {
  if (noise) return noise.reasons;
  return [ours, ...Object.values(peers)].some(isSpread) ? [SPREAD] : [];
}

export function render({ benchmark, machine, rows }: Report): string {
  const table = new Table({
    head: ['row', 'tspmd (min to max)', 'peer', 'peer (min to max)', 'ratio'],
    style: { head: [], border: [] },
  });
  const notes: string[] = [];
  for (const row of rows) {
    const why = doubts(row);
    if (why.length > 0) notes.push(`* ${row.name}: not conclusive: ${why.join('; ')}`);
    const mark = why.length > 0 ? ' *' : '';
    const peers = Object.entries(row.peers);
    if (peers.length === 0) table.push([row.name, shown(row.ours), '-', '-', `-${mark}`]);
    for (const [peer, theirs] of peers) {
      table.push([row.name, shown(row.ours), peer, shown(theirs), `${row.ratio[peer]?.toFixed(2)}${mark}`]);
    }
  }
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  return [
    `${benchmark}: medians; a ratio above 1 means that tspmd is better`,
    table.toString(),
    ...notes,
    ...moreLines(rows),
    facts.join(', '),
    '',
  ].join('\n');
}

/** Returns the further figures of rows, one line each. */
export function moreLines(rows: readonly Row[]): string[] {
  const show = (value: unknown): string => {
    if (typeof value !== 'object' || value === null) return String(value);
    return Object.entries(value)
      .filter(([, inner]) => !Array.isArray(inner))
      .map(([name, inner]) => (typeof inner === 'object' ? `${name} (${show(inner)})` : `${name} ${String(inner)}`))
      .join(', ');
  };
  return rows.flatMap(({ name, more }) =>
    more === undefined ? [] : Object.entries(more).map(([what, value]) => `  ${name} ${what}: ${show(value)}`),
  );
}

/** Formats a figure with a scaled unit: `15.60 Mframes/s (14.90 to 16.02)`. */
export function shown({ median, min, max, unit }: Figure): string {
  // Times are not scaled.
  const [factor, prefix] = /^[nu]s/.test(unit)
    ? [1, '']
    : median >= 1e6
      ? [1e6, 'M']
      : median >= 1e3
        ? [1e3, 'k']
        : [1, ''];
  const digits = factor > 1 || median < 10 ? 2 : median < 100 ? 1 : 0;
  const scaled = (value: number): string => (value / factor).toFixed(digits);
  return `${scaled(median)} ${prefix}${unit} (${scaled(min)} to ${scaled(max)})`;
}
