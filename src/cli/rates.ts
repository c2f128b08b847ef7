/** `--stats-period`: what a port did since the last line, as rates. */
import type { DeviceCounters } from '../../drivers/net-device.js';
import type { Port } from '../port.js';

/** A counter of something that did not get through. */
const IS_DROP = /(^|_)(drop(ped)?|lost)(_|$)/;

/** `none`, or every drop that happened with its reason: `12 (rx_drop_not_ip 10, tx_drop_unresolved 2)`. */
export function dropsOf(now: DeviceCounters, before: DeviceCounters = {}): string {
  const reasons: string[] = [];
  let total = 0;
  for (const [name, value] of Object.entries(now)) {
    const count = value - (before[name] ?? 0);
    if (count === 0 || !IS_DROP.test(name)) continue;
    total += count;
    reasons.push(`${name} ${count}`);
  }
  return total === 0 ? 'none' : `${total} (${reasons.join(', ')})`;
}

/** Prints a line every `seconds`, until stopped. */
export class RatePrinter {
  private last: DeviceCounters;
  private lastAt = performance.now();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly port: Port,
    seconds: number,
    private readonly print: (line: string) => void,
  ) {
    this.last = port.counters();
    this.timer = setInterval(() => this.tick(), seconds * 1000);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tick(): void {
    const now = this.port.counters();
    const at = performance.now();
    const seconds = (at - this.lastAt) / 1000;
    const rate = (name: string): number => ((now[name] ?? 0) - (this.last[name] ?? 0)) / seconds;
    const line = (direction: string): string =>
      `${direction} ${packets(rate(`${direction}_packets`))}, ${bits(rate(`${direction}_bytes`))}`;
    this.print(`${line('rx')}; ${line('tx')}; dropped ${dropsOf(now, this.last)}`);
    this.last = now;
    this.lastAt = at;
  }
}

function scaled(value: number, unit: string): string {
  const [factor, prefix] = value >= 1e9 ? [1e9, 'G'] : value >= 1e6 ? [1e6, 'M'] : value >= 1e3 ? [1e3, 'k'] : [1, ''];
  return `${(value / factor).toFixed(factor === 1 ? 0 : 2)} ${prefix}${unit}`;
}

const packets = (perSecond: number): string => scaled(perSecond, 'pps');
const bits = (bytesPerSecond: number): string => scaled(bytesPerSecond * 8, 'bit/s');
