/** The charts of the page: what is in their lines. */
import { bits, percent, pps, short } from '../model/format.js';
import type { History } from '../model/history.js';
import type { Look } from '../model/look.js';
import type { Rates } from '../model/rates.js';
import { Chart, type Line, MAX_LINES } from './chart.js';

/** The columns of the history that are drawn. */
const IN_PACKETS = 'packets in';
const OUT_PACKETS = 'packets out';
const IN_BYTES = 'bytes in';
const OUT_BYTES = 'bytes out';
const DROP = 'drop ';
const OTHER_DROPS = `${DROP}others`;
const BUSY = 'busy ';
const RING = 'ring ';

const labelled = (keys: readonly string[], prefix: string): Line[] =>
  keys.map((key) => ({ key, label: key.slice(prefix.length) }));

/** The values of one moment, by column. */
export function columnsOf(look: Look, rates: Rates): Map<string, number | null> {
  const columns = new Map<string, number | null>([
    [IN_PACKETS, rates.in.packets],
    [OUT_PACKETS, rates.out.packets],
    [IN_BYTES, rates.in.bytes],
    [OUT_BYTES, rates.out.bytes],
  ]);
  for (const [title, { busy }] of rates.threads) columns.set(`${BUSY}${title}`, busy);
  for (const { title, rings } of look.threads)
    for (const { name, count, capacity } of rings) columns.set(`${RING}${title}, ${name}`, count / capacity);
  // The largest since the start have a line of their own, so that lines do not come and go.
  const reasons = look.drops.filter(({ count }) => count > 0).sort((one, other) => other.count - one.count);
  for (const [i, { key, where, reason }] of reasons.entries()) {
    const column = i < MAX_LINES - 1 ? `${DROP}${reason} (${where})` : OTHER_DROPS;
    columns.set(column, (columns.get(column) ?? 0) + (rates.drops.get(key) ?? 0));
  }
  return columns;
}

export class Charts {
  private readonly packets: Chart;
  private readonly bytes: Chart;
  private readonly drops: Chart;
  private readonly busy: Chart;
  private readonly rings: Chart;

  constructor(parent: HTMLElement) {
    this.packets = new Chart(parent, {
      title: 'Packets',
      unit: 'packets per second',
      text: pps,
      axis: short,
      top: 10,
      isFilled: true,
    });
    const ofBits = (value: number): string => short(value * 8);
    this.bytes = new Chart(parent, {
      title: 'Bytes',
      unit: 'bits per second',
      text: bits,
      axis: ofBits,
      top: 1000,
      isFilled: true,
    });
    this.drops = new Chart(parent, {
      title: 'Drops by reason',
      unit: 'packets per second',
      text: pps,
      axis: short,
      top: 10,
    });
    const share = { text: percent, axis: percent, top: 1, isShare: true };
    this.busy = new Chart(parent, { title: 'Core load', unit: 'share of the time', ...share });
    this.rings = new Chart(parent, { title: 'Ring occupancy', unit: 'share of the ring', ...share });
  }

  update(history: History, noRings: string | null): void {
    const ways = (inKey: string, outKey: string): Line[] => [
      { key: inKey, label: 'in' },
      { key: outKey, label: 'out' },
    ];
    this.packets.update(history, ways(IN_PACKETS, OUT_PACKETS), '');
    this.bytes.update(history, ways(IN_BYTES, OUT_BYTES), '');
    const show = (chart: Chart, prefix: string, none: string): void =>
      chart.update(history, labelled(history.keys(prefix).slice(0, MAX_LINES), prefix), none);
    show(this.drops, DROP, 'No packet was dropped since the start.');
    show(this.busy, BUSY, 'No thread measures how busy it is.');
    show(this.rings, RING, noRings ?? 'There are no rings.');
  }

  redraw(): void {
    for (const chart of [this.packets, this.bytes, this.drops, this.busy, this.rings]) chart.redraw();
  }
}
