/** A chart of the last minutes: lines, a legend with the present values, and a sentence for those who do not see it. */
import uPlot from 'uplot';
import { timeText } from '../model/format.js';
import { type History, rangeOf } from '../model/history.js';
import { colour, draw, make, setText } from './dom.js';

export interface Line {
  /** The key of its column. */
  readonly key: string;
  readonly label: string;
}

export interface ChartOptions {
  readonly title: string;
  /** What the axis shows. */
  readonly unit: string;
  /** A value with its unit. */
  readonly text: (value: number) => string;
  /** A value at the axis. */
  readonly axis: (value: number) => string;
  /** The least height of the axis. */
  readonly top: number;
  /** Whether the axis ends at `top`. */
  readonly isShare?: boolean;
  /** Whether the area below the first line is filled. */
  readonly isFilled?: boolean;
}

/** Lines differ in colour and in pattern. More than these are added up. */
export const MAX_LINES = 8;
const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 2], [8, 3, 2, 3], [], [6, 3], [2, 2], [8, 3, 2, 3]];
const HEIGHT = 170;
const FONT = '11px system-ui, "DejaVu Sans", sans-serif';
/** The axis is at least this long, in seconds, so that a new page is not stretched. */
const LEAST_SECONDS = 60;
const STEPS = [10, 15, 30, 60, 120, 300];

export class Chart {
  private plot: uPlot | null = null;
  private readonly place = make('div', 'plot');
  private readonly legend = make('ul', 'legend');
  private readonly sentence = make('p', 'unseen');
  private readonly none = make('p', 'none');
  private readonly unit = make('span');
  private values: HTMLElement[] = [];
  private shownKeys = '';
  private lines: readonly Line[] = [];
  private history: History | null = null;

  constructor(
    parent: HTMLElement,
    private readonly options: ChartOptions,
  ) {
    this.place.setAttribute('aria-hidden', 'true');
    const caption = make('figcaption', '', options.title, this.unit);
    parent.append(make('figure', '', caption, this.place, this.legend, this.none, this.sentence));
  }

  /** @param none why there are no lines */
  update(history: History, lines: readonly Line[], none: string): void {
    const hasLines = lines.length > 0;
    for (const element of [this.place, this.legend, this.sentence]) element.hidden = !hasLines;
    this.none.hidden = hasLines;
    setText(this.none, hasLines ? '' : none);
    if (!hasLines) return;
    const keys = lines.map(({ key }) => key).join('\n');
    if (keys !== this.shownKeys || this.plot === null) this.rebuild(lines, keys);
    this.lines = lines;
    this.history = history;
    const columns = lines.map(({ key }) => history.column(key));
    const end = history.times.at(-1) ?? 0;
    this.plot?.setData([history.times, ...columns] as uPlot.AlignedData, false);
    const seconds = Math.max(LEAST_SECONDS, end - (history.times[0] ?? end));
    this.plot?.batch(() => {
      this.plot?.setScale('y', this.bounds(columns));
      this.plot?.setScale('x', { min: end - seconds, max: end });
    });
    this.tell();
  }

  /** Draws it anew, in other colours or in another width. */
  redraw(): void {
    this.plot?.setSize({ width: this.place.clientWidth, height: HEIGHT });
    this.plot?.redraw(false, true);
  }

  private bounds(columns: readonly (readonly (number | null)[])[]): { min: number; max: number } {
    const { top, isShare } = this.options;
    if (isShare) return { min: 0, max: top };
    const highest = Math.max(top, ...columns.map((column) => rangeOf(column)?.highest ?? 0));
    return { min: 0, max: highest * 1.08 };
  }

  /** Says the present values, or those under the pointer; and for those who do not see the lines, their bounds. */
  private tell(): void {
    const { lines, history } = this;
    if (history === null) return;
    const { text, title, unit } = this.options;
    const end = history.times.at(-1) ?? 0;
    const index = this.plot?.cursor.idx ?? null;
    const at = index === null ? undefined : history.times[index];
    setText(this.unit, at === undefined ? unit : `${unit}, ${agoText(end - at)}`);
    const parts = lines.map(({ key, label }, i) => {
      const column = history.column(key);
      const range = rangeOf(column);
      const value = at === undefined || index === null ? (range?.now ?? null) : (column[index] ?? null);
      const place = this.values[i];
      if (place !== undefined) setText(place, value === null ? '–' : text(value));
      return range === null
        ? `${label}: no values`
        : `${label}: now ${text(range.now)}, lowest ${text(range.lowest)}, highest ${text(range.highest)}`;
    });
    setText(this.sentence, `${title} in the last ${timeText(end - (history.times[0] ?? end))}. ${parts.join('; ')}.`);
  }

  private rebuild(lines: readonly Line[], keys: string): void {
    this.shownKeys = keys;
    this.plot?.destroy();
    const { axis, top, isShare } = this.options;
    const dim = (): string => colour('--dim');
    const grid = { stroke: () => colour('--grid'), width: 1 };
    const options: uPlot.Options = {
      width: this.place.clientWidth || 300,
      height: HEIGHT,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: false }, y: false, sync: { key: 'time' } },
      hooks: { setCursor: [() => this.tell()] },
      scales: { x: { time: false }, y: { auto: false, range: [0, top] } },
      series: [
        {},
        ...lines.map((_, i): uPlot.Series => {
          const stroke = (): string => colour(`--s${i}`);
          const fill = (): string => `${colour(`--s${i}`)}26`;
          const line = { stroke, width: 1.75, dash: [...(DASHES[i] ?? [])], points: { show: false }, spanGaps: false };
          // The second line is seen upon the first even where they are the same.
          return this.options.isFilled && i === 0 ? { ...line, fill } : line;
        }),
      ],
      axes: [
        {
          ...{ stroke: dim, font: FONT, size: 24, gap: 3, grid: { show: false } },
          ticks: { ...grid, size: 4 },
          splits: (plot) => timeSplits(plot.scales.x?.min ?? 0, plot.scales.x?.max ?? 0, plot.width),
          values: (plot, splits) => splits.map((at) => agoText((plot.scales.x?.max ?? 0) - at)),
        },
        {
          ...{ stroke: dim, font: FONT, size: 46, gap: 4, space: 34, grid, ticks: { show: false } },
          ...(isShare ? { splits: () => [0, top / 2, top] } : {}),
          values: (_, splits) => splits.map((value) => axis(value)),
        },
      ],
    };
    // The range of `y` is set with the data.
    options.scales = { x: { time: false }, y: { auto: false, range: (_, min, max) => [min, max] } };
    this.plot = new uPlot(options, [[0]], this.place);
    this.values = lines.map(() => make('b'));
    this.legend.replaceChildren(
      ...lines.map(({ label }, i) => {
        const sample = draw('svg', { width: 18, height: 8, 'aria-hidden': 'true' });
        const dash = (DASHES[i] ?? []).join(' ');
        sample.append(
          draw('path', { d: 'M0 4H18', stroke: `var(--s${i})`, 'stroke-width': 2, 'stroke-dasharray': dash }),
        );
        return make('li', '', sample, label, this.values[i] ?? '');
      }),
    );
  }
}

/** Round times before now. */
function timeSplits(min: number, max: number, width: number): number[] {
  const most = Math.max(2, Math.floor(width / 80));
  const step = STEPS.find((seconds) => (max - min) / seconds <= most) ?? 600;
  const splits: number[] = [];
  for (let at = max; at >= min; at -= step) splits.unshift(at);
  return splits;
}

function agoText(seconds: number): string {
  const ago = Math.round(seconds);
  return ago === 0 ? 'now' : `−${ago % 60 === 0 ? `${ago / 60} min` : `${ago} s`}`;
}
