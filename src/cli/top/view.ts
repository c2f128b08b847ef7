/** What the keys have chosen: a process, a section, a row, an order. */
import type { TopSort } from '../arguments.js';
import type { Choice } from './port-tables.js';
import type { Section, SectionName } from './sections.js';
import type { Sort } from './table.js';

export interface View {
  /** The key of the process that is shown; null: the list of all. */
  readonly process: string | null;
  readonly focus: SectionName;
  /** The row that keys act on, by its key; where that is gone, by its place. */
  readonly rows: Readonly<Partial<Record<SectionName, { readonly key: string; readonly index: number }>>>;
  /** The port or thread that the other sections are about. */
  readonly choice: Choice | null;
  readonly sorts: Readonly<Partial<Record<SectionName, Sort>>>;
  readonly isPaused: boolean;
  readonly hasHelp: boolean;
}

const DEFAULT_SORTS: Readonly<Partial<Record<SectionName, string>>> = {
  drops: 'drops',
  flows: 'bits',
  connections: 'bytes',
};

/** What `--sort` means in each section that has such a column. */
const COLUMNS: Readonly<Record<TopSort, Readonly<Partial<Record<SectionName, string>>>>> = {
  packets: { processes: 'in-packets', ports: 'in-packets', threads: 'rx', modules: 'packets', flows: 'packets' },
  bits: { processes: 'in-bits', ports: 'in-bits', modules: 'bits', flows: 'bits' },
  drops: { processes: 'drops', ports: 'drops', threads: 'drops', drops: 'drops' },
  busy: { processes: 'busy', threads: 'busy' },
  name: { processes: 'name', ports: 'name', threads: 'thread', drops: 'reason', modules: 'module' },
  ...{ state: { connections: 'state' }, rtt: { connections: 'rtt' }, unsent: { connections: 'unsent' } },
  ...{ retransmitted: { connections: 'retransmitted' }, bytes: { connections: 'bytes' } },
};

/** @param process the key of the process to begin with; null: the list */
export function firstView(process: string | null, sort?: TopSort): View {
  const columns = { ...DEFAULT_SORTS, ...(sort === undefined ? {} : COLUMNS[sort]) };
  const sorts = Object.fromEntries(
    Object.entries(columns).map(([section, column]) => [section, { column, isReversed: false }]),
  );
  return { ...view(process), rows: {}, sorts, isPaused: false, hasHelp: false };
}

const view = (process: string | null) =>
  ({ process, focus: process === null ? 'processes' : 'ports', choice: null }) as const;

/** Shows another process, or the list. */
export const show = (now: View, process: string | null): View => ({
  ...now,
  ...view(process),
  rows: { processes: now.rows.processes ?? { key: '', index: 0 } },
});

/** A section on the screen: what keys can do in it. */
export interface Facts extends Pick<Section, 'name' | 'sortable'> {
  /** The keys of its rows in their order. */
  readonly keys: readonly string[];
}

/** Returns the place of the row that keys act on. */
export function selectedIndex({ rows }: View, { name, keys }: Facts): number {
  const row = rows[name];
  if (row === undefined) return 0;
  const found = keys.indexOf(row.key);
  return found >= 0 ? found : Math.max(0, Math.min(row.index, keys.length - 1));
}

const PAGE = 10;
const MOVES: Readonly<Record<string, number>> = {
  ...{ up: -1, k: -1, down: 1, j: 1, pageup: -PAGE, pagedown: PAGE, home: -1e9, end: 1e9 },
};

/**
 * Returns the view after a key.
 * @param key its name as Node's readline has it; `<`, `>` and `?` as they are
 * @param sections those on the screen, from top to bottom
 */
export function press(now: View, key: string, sections: readonly Facts[]): View {
  if (now.hasHelp) return { ...now, hasHelp: false };
  const at = Math.max(
    0,
    sections.findIndex(({ name }) => name === now.focus),
  );
  const section = sections[at];
  if (key === '?' || key === 'h') return { ...now, hasHelp: true };
  if (key === 'space') return { ...now, isPaused: !now.isPaused };
  if (key === 'escape' || key === 'left' || key === 'backspace') return back(now);
  if (section === undefined) return now;
  if (key === 'tab') return { ...now, focus: sections[(at + 1) % sections.length].name };
  if (key === 'shift-tab') return { ...now, focus: sections[(at + sections.length - 1) % sections.length].name };
  if (key === 's' || key === '>') return sortBy(now, section, 1);
  if (key === '<') return sortBy(now, section, -1);
  if (key === 'r') return reverse(now, section);
  if (key === 'return' || key === 'enter' || key === 'right') return choose(now, section);
  const move = MOVES[key];
  return move === undefined ? now : select(now, section, selectedIndex(now, section) + move);
}

function back(now: View): View {
  if (now.choice !== null) return { ...now, choice: null };
  return now.process === null ? now : show(now, null);
}

function select(now: View, { name, keys }: Facts, index: number): View {
  if (keys.length === 0) return now;
  const place = Math.max(0, Math.min(index, keys.length - 1));
  return { ...now, rows: { ...now.rows, [name]: { key: keys[place], index: place } } };
}

function choose(now: View, section: Facts): View {
  const key = section.keys[selectedIndex(now, section)];
  if (key === undefined) return now;
  if (section.name === 'processes') return show(select(now, section, selectedIndex(now, section)), key);
  if (section.name !== 'ports' && section.name !== 'threads') return now;
  const isChosen = now.choice?.section === section.name && now.choice.key === key;
  return { ...now, choice: isChosen ? null : { section: section.name, key } };
}

function sortBy(now: View, { name, sortable }: Facts, step: number): View {
  const at = sortable.indexOf(now.sorts[name]?.column ?? '');
  const next = at < 0 ? 0 : (at + step + sortable.length) % sortable.length;
  if (sortable.length === 0) return now;
  return { ...now, sorts: { ...now.sorts, [name]: { column: sortable[next], isReversed: false } } };
}

function reverse(now: View, section: Facts): View {
  const sort = now.sorts[section.name];
  if (sort === undefined) return sortBy(now, section, 1);
  return { ...now, sorts: { ...now.sorts, [section.name]: { ...sort, isReversed: !sort.isReversed } } };
}
