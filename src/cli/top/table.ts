/** Tables that fit their columns into the width that there is, and sort their rows. */
import { cut, EMPTY, type Line, padded, type Span, span, type Tone, widthOf } from './text.js';

export interface Cell {
  readonly text: string;
  readonly tone?: Tone;
}

/** A column of a table whose rows show a T. */
export interface Column<T> {
  /** By this name rows are sorted. */
  readonly name: string;
  readonly head: string;
  readonly width: number;
  readonly align?: 'right';
  /** When there is no room, columns with small numbers go first; without a number it stays. */
  readonly keep?: number;
  /** It may get wider: up to its longest text, or to so many cells. */
  readonly grows?: true | number;
  readonly cell: (row: T, width: number) => Cell;
  /** What rows are sorted by: numbers downwards, texts upwards. Without it, the column cannot be chosen. */
  readonly by?: (row: T) => number | string;
}

export interface Table<T> {
  readonly title: string;
  /** What follows the title, such as how many rows there are. */
  readonly note?: string;
  /** What is shown when there are no rows. */
  readonly empty: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
}

export interface Sort {
  readonly column: string;
  readonly isReversed: boolean;
}

const GAP = 2;
/** A column with names is never narrower. */
const MIN_NAME = 4;

/** Returns the rows in an order; equal ones stay as they are. */
export function sorted<T>({ rows, columns }: Table<T>, sort: Sort | undefined): readonly T[] {
  const by = columns.find(({ name }) => name === sort?.column)?.by;
  if (by === undefined) return rows;
  const sign = sort?.isReversed ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [a, b] = [by(one), by(other)];
    const order = typeof a === 'number' && typeof b === 'number' ? b - a : String(a).localeCompare(String(b), 'en');
    return sign * order;
  });
}

/** Chooses the columns that have room, and their widths. */
function widthsOf<T>({ columns, rows }: Table<T>, width: number): Map<Column<T>, number> {
  const left = [...columns];
  const needed = (): number => left.reduce((sum, column) => sum + column.width + GAP, -GAP);
  const droppable = columns.filter(({ keep }) => keep !== undefined).sort((a, b) => a.keep! - b.keep!);
  for (const column of droppable) {
    if (needed() <= width) break;
    left.splice(left.indexOf(column), 1);
  }
  const widths = new Map(left.map((column) => [column, column.width]));
  let spare = width - needed();
  const grow = (column: Column<T>, most: number): void => {
    const more = Math.max(0, Math.min(spare, most - column.width));
    widths.set(column, column.width + more);
    spare -= more;
  };
  // Names first, because a part of a name may tell nothing.
  for (const column of left) if (column.grows === true) grow(column, longestOf(column, rows));
  const charts = left.filter(({ grows }) => typeof grows === 'number');
  const each = charts.length === 0 ? 0 : Math.floor(spare / charts.length);
  for (const column of charts) grow(column, Math.min(Number(column.grows), column.width + each));
  for (const column of left) {
    const less = column.grows === true ? Math.max(0, Math.min(-spare, column.width - MIN_NAME)) : 0;
    widths.set(column, widths.get(column)! - less);
    spare += less;
  }
  return widths;
}

const longestOf = <T>(column: Column<T>, rows: readonly T[]): number =>
  rows.reduce((most, row) => Math.max(most, widthOf(column.cell(row, 0).text)), widthOf(column.head));

export interface Shown {
  readonly head: Line;
  readonly rows: readonly { readonly key: string; readonly line: Line }[];
}

/** Lays a table out: the line with the heads of its columns, and its rows in the order that is asked for. */
export function layOut<T>(table: Table<T>, sort: Sort | undefined, width: number): Shown {
  const widths = widthsOf(table, width);
  const rowLine = (cellOf: (column: Column<T>, width: number) => Cell): Line => {
    const spans: Span[] = [];
    for (const [column, room] of widths) {
      if (spans.length > 0) spans.push(span(' '.repeat(GAP)));
      const { text, tone = 'plain' } = cellOf(column, room);
      spans.push(span(padded(text, room, column.align), tone));
    }
    return { spans };
  };
  const arrow = sort?.isReversed ? '▴' : '▾';
  const headOf = ({ name, head, by }: Column<T>, room: number): Cell =>
    by !== undefined && name === sort?.column
      ? { text: `${cut(head, room - 1)}${arrow}`, tone: 'accent' }
      : { text: head, tone: 'dim' };
  return {
    head: table.rows.length === 0 ? EMPTY : rowLine(headOf),
    rows: sorted(table, sort).map((row) => ({
      key: table.keyOf(row),
      line: rowLine((column, room) => column.cell(row, room)),
    })),
  };
}
