/** A table that can be sorted by each of its columns. Rows keep their elements, so that nobody loses a place or a selection. */
import { make, setText } from './dom.js';

export interface Column<Row> {
  readonly title: string;
  /** What it is sorted by. */
  readonly value: (row: Row) => number | string | null;
  /** What it shows; default: the value. */
  readonly text?: (row: Row) => string;
  /** Fills the cell instead of a text. */
  readonly fill?: (cell: HTMLElement, row: Row) => void;
  /** `number`: to the right, largest first when it is sorted by; `long`: a text that may have several lines. */
  readonly kind?: 'number' | 'long';
  /** Whether the cell shows something bad. */
  readonly isBad?: (row: Row) => boolean;
}

export interface TableOptions<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly key: (row: Row) => string;
  /** Place of the column by which it is sorted at first. */
  readonly sortBy?: number;
  /** Whether a row takes several lines on a narrow screen: a long text then has a line of its own. */
  readonly stacks?: boolean;
  /** What is shown instead of a table without rows. */
  readonly none: string;
}

export class SortableTable<Row> {
  private readonly body = make('tbody');
  private readonly heads: { head: HTMLElement; arrow: HTMLElement }[] = [];
  private readonly caption: HTMLElement;
  private readonly none: HTMLElement;
  private readonly scroll: HTMLElement;
  private readonly shown = new Map<string, { row: HTMLTableRowElement; cells: HTMLElement[] }>();
  private rows: readonly Row[] = [];
  private sortBy: number | null;
  private isDescending: boolean;

  constructor(
    parent: HTMLElement,
    private readonly options: TableOptions<Row>,
  ) {
    const { caption, columns, none, sortBy, stacks = false } = options;
    this.sortBy = sortBy ?? null;
    this.isDescending = columns[sortBy ?? 0]?.kind === 'number';
    const heads = columns.map(({ title, kind }, i) => {
      const arrow = make('span', 'arrow');
      arrow.setAttribute('aria-hidden', 'true');
      const button = make('button', '', ...(kind === 'number' ? [arrow, title] : [title, arrow]));
      button.type = 'button';
      button.addEventListener('click', () => this.sort(i));
      const head = make('th', kind ?? '', button);
      head.scope = 'col';
      head.setAttribute('role', 'columnheader');
      this.heads.push({ head, arrow });
      return head;
    });
    this.caption = make('caption', '', caption);
    const row = make('tr', '', ...heads);
    const top = make('thead', '', row);
    const table = make('table', stacks ? 'stacks' : '', this.caption, top, this.body);
    // A style that makes a row several lines would otherwise take its meaning.
    for (const [element, role] of [[table, 'table'] as const, [row, 'row'] as const])
      element.setAttribute('role', role);
    for (const group of [top, this.body]) group.setAttribute('role', 'rowgroup');
    this.scroll = make('div', 'scroll', table);
    this.scroll.tabIndex = 0;
    this.scroll.setAttribute('role', 'region');
    this.scroll.setAttribute('aria-label', caption);
    this.none = make('p', 'none', none);
    parent.append(this.scroll, this.none);
    this.showOrder();
    this.update([]);
  }

  /** @param none what to show when there are no rows; default: that of the options */
  update(rows: readonly Row[], none = this.options.none): void {
    this.rows = rows;
    this.scroll.hidden = rows.length === 0;
    this.none.hidden = rows.length > 0;
    setText(this.none, none);
    this.show();
  }

  /** Says of what the rows are a part. */
  describe(caption: string): void {
    setText(this.caption, caption);
  }

  private sort(by: number): void {
    const isNumber = this.options.columns[by]?.kind === 'number';
    this.isDescending = this.sortBy === by ? !this.isDescending : isNumber;
    this.sortBy = by;
    this.showOrder();
    this.show();
  }

  private showOrder(): void {
    for (const [i, { head, arrow }] of this.heads.entries()) {
      if (i === this.sortBy) head.setAttribute('aria-sort', this.isDescending ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
      setText(arrow, i !== this.sortBy ? '' : this.isDescending ? '▾' : '▴');
    }
  }

  private show(): void {
    const { key } = this.options;
    const left = new Set(this.shown.keys());
    const inOrder = this.ordered().map((row) => {
      left.delete(key(row));
      return this.rowOf(row);
    });
    for (const gone of left) {
      this.shown.get(gone)?.row.remove();
      this.shown.delete(gone);
    }
    for (const [i, element] of inOrder.entries()) {
      const there = this.body.children[i];
      if (there !== element) this.body.insertBefore(element, there ?? null);
    }
  }

  private ordered(): Row[] {
    const column = this.sortBy === null ? undefined : this.options.columns[this.sortBy];
    if (column === undefined) return [...this.rows];
    const sign = this.isDescending ? -1 : 1;
    return this.rows
      .map((row) => ({ row, value: column.value(row) }))
      .sort((one, other) => sign * compare(one.value, other.value))
      .map(({ row }) => row);
  }

  private rowOf(row: Row): HTMLTableRowElement {
    const { columns, key } = this.options;
    let shown = this.shown.get(key(row));
    if (shown === undefined) {
      const cells = columns.map(({ kind }) => make('td', kind ?? ''));
      shown = { row: make('tr', '', ...cells), cells };
      shown.row.setAttribute('role', 'row');
      for (const cell of cells) cell.setAttribute('role', 'cell');
      this.shown.set(key(row), shown);
    }
    for (const [i, column] of columns.entries()) {
      const cell = shown.cells[i];
      if (cell === undefined) continue;
      if (column.fill !== undefined) column.fill(cell, row);
      else setText(cell, column.text?.(row) ?? String(column.value(row) ?? '–'));
      cell.classList.toggle('is-bad', column.isBad?.(row) ?? false);
    }
    return shown.row;
  }
}

/** Numbers by size, texts as people read them (`vm2` before `vm10`); what has no value is last. */
export function compare(one: number | string | null, other: number | string | null): number {
  if (one === null || other === null) return Number(other !== null) - Number(one !== null);
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  return String(one).localeCompare(String(other), 'en', { numeric: true });
}
