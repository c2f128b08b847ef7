/** A report as a table that a person can read. */
import Table from 'cli-table3';
import { isSpread } from './noise.js';
import type { Figure, Report, Row } from './report.js';

/** Why nothing can be concluded from a row; empty when something can. */
export function doubts({ ours, peers, noise }: Row): readonly string[] {
  if (noise) return noise.reasons;
  return [ours, ...Object.values(peers)].some(isSpread) ? ['the windows lie further apart than their median'] : [];
}

export function render({ benchmark, machine, rows }: Report): string {
  const table = new Table({
    head: ['row', 'tspmd (min to max)', 'peer', 'peer (min to max)', 'ratio'],
    style: { head: [], border: [] },
  });
  const notes: string[] = [];
  for (const row of rows) {
    const why = doubts(row);
    if (why.length > 0) notes.push(`* ${row.name}: no conclusion, too much noise: ${why.join('; ')}`);
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

/** What rows have besides their figures, a line each. */
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

/** A figure with the unit scaled: `15.60 Mframes/s (14.90 to 16.02)`. */
export function shown({ median, min, max, unit }: Figure): string {
  // Of times there are no thousands.
  const [factor, prefix] = unit.startsWith('us')
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
