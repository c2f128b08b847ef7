/** Draws the figures of a report as SVG plots. echarts does this without a browser. */
import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { COST_BY_CORES, type Report, type Row } from './report.js';

use([BarChart, LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

export interface Plot {
  /** Without `.svg`. */
  readonly name: string;
  readonly title: string;
  readonly svg: string;
}

interface Series {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
}

interface Axes {
  readonly x: string;
  readonly y: string;
  readonly isLogX?: boolean;
  readonly isLogY?: boolean;
}

const SIZE = { width: 760, height: 420 };
const OURS = 'tspmd';

/**
 * Draws the plots of a report: lines over the burst for rows with bursts, a distribution for rows with a curve, lines over
 * the cores for rows with a cost by cores, and bars for all other rows.
 */
export function plotsOf({ benchmark, rows }: Report): Plot[] {
  const distributed = rows.filter(hasCurve);
  const byBurst = rows.filter(({ name }) => burstOf(name) !== null);
  const byCores = rows.filter(({ more }) => more?.[COST_BY_CORES] !== undefined);
  const others = rows.filter((row) => !hasCurve(row) && !byCores.includes(row) && burstOf(row.name) === null);
  const groups = groupBy(byBurst, ({ name }) => burstOf(name)!.group);
  const lines = [...groups].map(([group, members]) => burstPlot(`${benchmark}-${group}`, group, members));
  const units = groupBy(others, ({ ours }) => ours.unit);
  const bars = [...units].map(([unit, members], i) =>
    barPlot(`${benchmark}${i > 0 ? `-${i + 1}` : ''}`, benchmark, unit, members),
  );
  const curves = distributed.length > 0 ? [curvePlot(benchmark, distributed)] : [];
  return [...lines, ...curves, ...(byCores.length > 0 ? [coresPlot(benchmark, byCores)] : []), ...bars];
}

/** Draws the cost over the number of cores. */
function coresPlot(benchmark: string, rows: readonly Row[]): Plot {
  const series = rows.map(({ name, more }) => {
    const costs = Object.entries(more?.[COST_BY_CORES] as Record<string, number>);
    return { name, points: costs.map(([cores, cost]) => [Number(cores), cost] as const) };
  });
  const axes = { x: 'cores', y: rows[0].ours.unit, isLogX: true };
  return linePlot(`${benchmark}-by-cores`, `${benchmark}: cost by stack cores`, series, axes);
}

/**
 * Reads a row's name: `tx/64/32/split` is group tx-split, series 64 B, burst 32; `spsc-1thread/32` is group
 * spsc-1thread.
 */
function burstOf(name: string): { group: string; series: string; burst: number } | null {
  const [, kind, bytes, burst, ring] = name.match(/^([a-z-]+)\/(\d+)\/(\d+)\/(split|packed)$/) ?? [];
  if (kind !== undefined) return { group: `${kind}-${ring}`, series: ` ${bytes} B`, burst: Number(burst) };
  const [, threads, elements] = name.match(/^(spsc-\w+)\/(\d+)$/) ?? [];
  return threads === undefined ? null : { group: threads, series: '', burst: Number(elements) };
}

function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) groups.set(keyOf(value), [...(groups.get(keyOf(value)) ?? []), value]);
  return groups;
}

function burstPlot(name: string, title: string, rows: readonly Row[]): Plot {
  const series = new Map<string, [number, number][]>();
  for (const row of rows) {
    const { series: suffix, burst } = burstOf(row.name)!;
    for (const [contestant, { median }] of contestantsOf(row)) {
      const points = series.get(contestant + suffix) ?? [];
      series.set(contestant + suffix, points);
      points.push([burst, median / 1e6]);
    }
  }
  const all = [...series].map(([each, points]) => ({ name: each, points: points.sort(([a], [b]) => a - b) }));
  return linePlot(name, title, all, { x: 'burst', y: `M${rows[0].ours.unit}`, isLogX: true });
}

type Curves = Record<string, { curve: [number, number][] }>;

const hasCurve = ({ more }: Row): boolean => Object.values((more ?? {}) as Partial<Curves>).some((each) => each?.curve);

/** Draws how many round trips took longer. The axes are logarithmic, because only the slowest ones matter. */
function curvePlot(benchmark: string, rows: readonly Row[]): Plot {
  const series = rows.flatMap(({ name, more }) =>
    Object.entries(more as Curves).map(([contestant, { curve }]) => ({
      name: `${contestant} ${name}`,
      points: curve.filter(([percent]) => percent < 100).map(([percent, us]) => [us, 100 - percent] as const),
    })),
  );
  const axes = { x: 'us', y: '% that took longer', isLogX: true, isLogY: true };
  return linePlot(`${benchmark}-distribution`, `${benchmark}: distribution`, series, axes);
}

function linePlot(name: string, title: string, series: readonly Series[], axes: Axes): Plot {
  const axis = (label: string, isLog = false) => ({
    type: isLog ? ('log' as const) : ('value' as const),
    name: label,
    nameLocation: 'middle' as const,
    nameGap: 32,
    ...(isLog ? { logBase: label === 'burst' || label === 'cores' ? 2 : 10 } : {}),
  });
  return draw(name, title, {
    xAxis: axis(axes.x, axes.isLogX),
    yAxis: axis(axes.y, axes.isLogY),
    series: series.map((each) => ({ type: 'line', name: each.name, data: each.points })),
  });
}

function barPlot(name: string, title: string, unit: string, rows: readonly Row[]): Plot {
  const contestants = [...new Set(rows.flatMap((row) => contestantsOf(row).map(([each]) => each)))];
  return draw(name, title, {
    xAxis: { type: 'category', data: rows.map((row) => row.name), axisLabel: { rotate: rows.length > 4 ? 30 : 0 } },
    yAxis: { type: 'value', name: unit },
    series: contestants.map((contestant) => ({
      type: 'bar',
      name: contestant,
      data: rows.map((row) => contestantsOf(row).find(([each]) => each === contestant)?.[1].median ?? null),
    })),
  });
}

const contestantsOf = ({ ours, peers }: Row) => [[OURS, ours] as const, ...Object.entries(peers)];

function draw(name: string, title: string, option: object): Plot {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...SIZE });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#fff',
      title: { text: title, left: 'center' },
      legend: { bottom: 0, type: 'plain' },
      grid: { left: 80, right: 30, top: 60, bottom: 100 },
      ...option,
    });
    return { name, title, svg: chart.renderToSVGString() };
  } finally {
    // Its timer would keep the process alive.
    chart.dispose();
  }
}
