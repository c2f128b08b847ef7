/** The whole screen as lines: what is known of the processes, and what the keys have chosen, in a given size. */
import { describe, processSection, type Section, sectionsOf } from './sections.js';
import type { Shown } from './table.js';
import { EMPTY, type Line, line, padded, type Span, span, widthOf } from './text.js';
import { type Facts, selectedIndex, type View } from './view.js';
import type { Watched } from './watcher.js';

export interface Picture {
  readonly processes: readonly Watched[];
  readonly view: View;
  /** Between two readings, in seconds. */
  readonly interval: number;
  /** The last thing that happened. */
  readonly news: string | null;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** The keys, the most important first; the last ones have no room on a narrow screen. */
const KEYS: readonly (readonly [string, string])[] = [
  ...([
    ['q', 'quit'],
    ['?', 'help'],
    ['tab', 'section'],
    ['↑↓', 'row'],
    ['enter', 'choose'],
    ['s', 'sort'],
  ] as const),
  ...([
    ['space', 'pause'],
    ['r', 'reverse'],
    ['esc', 'back'],
  ] as const),
];

const HELP: readonly (readonly [string, string])[] = [
  ['↑ ↓  PgUp PgDn', 'choose a row'],
  ['tab, shift-tab', 'next or previous section'],
  ['enter', 'show the process; only drops, flows, … of the port or thread'],
  ['esc, ←', 'back: to all ports and threads, to the list'],
  ['s  < >', 'sort by the next column; by the previous or next one'],
  ['r', 'reverse the order'],
  ['space', 'pause, and go on'],
  ['q, Ctrl-C', 'quit'],
];

/** The sections on the screen. */
export function sectionsFor({ processes, view }: Picture): Section[] {
  const watched = processes.find(({ key }) => key === view.process);
  return watched === undefined ? [processSection(processes)] : sectionsOf(watched, view.choice);
}

/** What keys can do in the sections on the screen. */
export function factsOf(picture: Picture): Facts[] {
  return sectionsFor(picture).map(({ name, sortable, layOut }) => {
    const { rows } = layOut(picture.view.sorts[name], MANY);
    return { name, sortable, keys: rows.map(({ key }) => key) };
  });
}
const MANY = 200;

/** Returns at most `rows` lines of at most `columns` cells. */
export function screenOf(picture: Picture, { columns, rows }: Size): Line[] {
  const { view, processes } = picture;
  const watched = processes.find(({ key }) => key === view.process);
  const head = [headLine(picture, watched, columns), ...noteLines(picture, watched, columns)];
  const foot = keysLine(columns);
  const room = rows - head.length - 1;
  const body = view.hasHelp ? helpLines(columns) : bodyLines(picture, columns, room);
  const filled = [...body, ...Array<Line>(Math.max(0, room)).fill(EMPTY)].slice(0, Math.max(0, room));
  return [...head, ...filled, foot]
    .slice(0, Math.max(1, rows))
    .map(({ spans, isSelected = false }) => ({ ...line(spans, columns), isSelected }));
}

function headLine({ interval, view, processes }: Picture, watched: Watched | undefined, width: number): Line {
  const state = view.isPaused ? 'paused' : `every ${interval} s`;
  const [name, ...facts] =
    watched === undefined
      ? ['tspmd top', `${processes.filter(({ hasEnded }) => !hasEnded).length} running`]
      : describe(watched);
  const room = width - state.length - 1;
  const left = line([span(name, 'title'), ...facts.map((fact) => span(`  ${fact}`, 'plain'))], room);
  const used = left.spans.reduce((sum, { text }) => sum + widthOf(text), 0);
  return line(
    [
      ...left.spans,
      span(' '.repeat(Math.max(1, width - used - state.length))),
      span(state, view.isPaused ? 'warn' : 'dim'),
    ],
    width,
  );
}

/** What is wrong, one line each, and an empty line before the sections. */
function noteLines({ news, view }: Picture, watched: Watched | undefined, width: number): Line[] {
  const notes: string[] = [];
  if (watched?.hasEnded)
    notes.push(
      `${watched.about.kind} ${watched.about.pid} has ended; waiting for another one named ${watched.about.name} (esc: all processes)`,
    );
  else if (watched?.problem) notes.push(watched.problem);
  else if (watched?.rates === null) notes.push('waiting for its first answer');
  if (watched === undefined && view.process === null && news !== null) notes.push(news);
  const problems =
    watched?.rates?.ports.flatMap(({ port }) =>
      port.problem === null ? [] : [`port ${port.name}: ${port.problem}`],
    ) ?? [];
  return [...notes, ...problems.slice(0, 2)].map((note) => line([span(note, 'warn')], width)).concat(EMPTY);
}

function keysLine(width: number): Line {
  const spans: Span[] = [];
  let used = 0;
  for (const [key, does] of KEYS) {
    const more = widthOf(key) + 1 + does.length + (spans.length > 0 ? 2 : 0);
    if (used + more > width) break;
    spans.push(...(spans.length > 0 ? [span('  ')] : []), span(key, 'title'), span(` ${does}`, 'dim'));
    used += more;
  }
  return { spans };
}

function helpLines(width: number): Line[] {
  const about = 'Charts show the last minute up to now, each with a scale of its own.';
  const key = Math.max(...HELP.map(([keys]) => widthOf(keys)));
  return [
    line([span('Keys', 'title')], width),
    ...HELP.map(([keys, does]) => line([span(`  ${padded(keys, key)}  `, 'strong'), span(does)], width)),
    EMPTY,
    line([span(about, 'dim')], width),
    line([span('docs/observe.md says what each counter means, and what to do about drops.', 'dim')], width),
    EMPTY,
    line([span('any key: back', 'dim')], width),
  ];
}

interface Part {
  readonly section: Section;
  readonly shown: Shown;
  readonly hasFocus: boolean;
  readonly selected: number;
  /** How many lines it wants: its title, the heads of its columns, its rows. */
  readonly wanted: number;
}

/** Fewer lines than these tell nothing: the title, the heads of the columns, and one row. */
const LEAST = 3;
/** With so many lines for the sections, a screen is not small. */
const ROOMY = 30;
/** The part of the lines that are left for the section with the focus. */
const FOR_FOCUS = 0.6;

function bodyLines(picture: Picture, width: number, room: number): Line[] {
  const { view } = picture;
  const parts = sectionsFor(picture).map((section): Part => {
    const { name, sortable } = section;
    const shown = section.layOut(view.sorts[name], width - 1);
    const facts = { name, sortable, keys: shown.rows.map(({ key }) => key) };
    return {
      ...{ section, shown, hasFocus: name === view.focus, selected: selectedIndex(view, facts) },
      wanted: 1 + (shown.rows.length === 0 ? 0 : shown.rows.length + 1),
    };
  });
  // Empty lines between the sections, unless rows would have to be left out for them on a small screen.
  const gaps = parts.length - 1;
  const hasGaps = room >= ROOMY || parts.reduce((sum, { wanted }) => sum + wanted, gaps) <= room;
  const heights = shareOut(parts, hasGaps ? room - gaps : room);
  const lines: Line[] = [];
  for (const [i, part] of parts.entries()) {
    if (heights[i] === 0) continue;
    if (lines.length > 0 && hasGaps) lines.push(EMPTY);
    lines.push(...partLines(part, view, heights[i], width));
  }
  return lines;
}

/**
 * Shares the lines of the screen out: first each section gets its least, that with the focus before the others; then the
 * one with the focus gets most of what it wants; then all get what is left in turn.
 */
function shareOut(parts: readonly Part[], room: number): number[] {
  const heights = parts.map(() => 0);
  const order = [...parts.keys()].sort((a, b) => Number(parts[b].hasFocus) - Number(parts[a].hasFocus));
  let left = room;
  const give = (i: number, lines: number): void => {
    const more = Math.max(0, Math.min(lines, left, parts[i].wanted - heights[i]));
    heights[i] += more;
    left -= more;
  };
  for (const i of order) if (Math.min(parts[i].wanted, LEAST) <= left) give(i, LEAST);
  if (order.length > 0) give(order[0], Math.ceil(left * FOR_FOCUS));
  const shown = order.filter((i) => heights[i] > 0);
  // One line each in turn, so that no long section leaves the others without.
  for (let before = -1; left > 0 && before !== left; ) {
    before = left;
    for (const i of shown) give(i, 1);
  }
  return heights;
}

function partLines({ section, shown, hasFocus, selected }: Part, view: View, height: number, width: number): Line[] {
  const { title, note, empty } = section;
  const count = shown.rows.length;
  const visible = Math.max(0, height - 2);
  const first = hasFocus ? Math.max(0, Math.min(selected - visible + 1, count - visible)) : 0;
  const isCut = count > visible;
  const range = isCut
    ? `rows ${first + 1}-${first + visible}${note.includes(String(count)) ? '' : ` of ${count}`}`
    : '';
  const choice =
    view.choice !== null && ['drops', 'flows', 'connections'].includes(section.name) ? `of ${view.choice.key}` : '';
  const notes = count === 0 ? choice : [choice, note, range].filter((text) => text !== '').join(', ');
  const head = line(
    [
      span(hasFocus ? '▌' : ' ', 'accent'),
      span(title, 'title'),
      span(notes === '' ? '' : `  ${notes}`, 'dim'),
      ...(count === 0 ? [span(`  ${empty}`, 'dim')] : []),
    ],
    width,
  );
  if (count === 0) return [head];
  const rows = shown.rows.slice(first, first + visible).map(({ key, line: { spans } }, i) => {
    const isChosen = view.choice?.section === section.name && view.choice.key === key;
    const mark = span(isChosen ? '●' : ' ', 'accent');
    return { spans: [mark, ...spans], isSelected: hasFocus && first + i === selected };
  });
  return [head, { spans: [span(' '), ...shown.head.spans] }, ...rows];
}
