/** The last minutes, as columns of numbers that are drawn. */

/** How many looks are kept: ten minutes. */
const MOST = 600;

export class History {
  /** Time of each look, in seconds. */
  readonly times: number[] = [];
  private readonly columns = new Map<string, (number | null)[]>();

  /** Adds a look. A column that is not named has no value at this time; a time that goes back begins anew. */
  add(at: number, values: ReadonlyMap<string, number | null>): void {
    const last = this.times.at(-1);
    if (last !== undefined && at <= last) this.clear();
    const length = this.times.push(at);
    for (const [key, value] of values) {
      let column = this.columns.get(key);
      if (column === undefined) {
        column = Array<number | null>(length - 1).fill(null);
        this.columns.set(key, column);
      }
      column.push(value);
    }
    for (const column of this.columns.values()) if (column.length < length) column.push(null);
    if (length <= MOST) return;
    this.times.shift();
    for (const [key, column] of this.columns) {
      column.shift();
      if (column.every((value) => value === null)) this.columns.delete(key);
    }
  }

  /** Adds a gap: there was no look for a while. */
  gap(at: number): void {
    this.add(at, new Map());
  }

  column(key: string): readonly (number | null)[] {
    return this.columns.get(key) ?? this.times.map(() => null);
  }

  /** The keys of all columns that begin with this text, in the order in which they came. */
  keys(prefix: string): string[] {
    return [...this.columns.keys()].filter((key) => key.startsWith(prefix));
  }

  clear(): void {
    this.times.length = 0;
    this.columns.clear();
  }
}

export interface Range {
  readonly now: number;
  readonly lowest: number;
  readonly highest: number;
}

/** The last value of a column, and its bounds; null when it has no values. */
export function rangeOf(column: readonly (number | null)[]): Range | null {
  let range: { lowest: number; highest: number } | null = null;
  for (const value of column) {
    if (value === null) continue;
    if (range === null) range = { lowest: value, highest: value };
    else if (value < range.lowest) range.lowest = value;
    else if (value > range.highest) range.highest = value;
  }
  return range === null ? null : { ...range, now: column.at(-1) ?? 0 };
}
