/** `--stats-period`: prints the rates of a port, and those of its threads when it has several. */
import type { PortCounters } from '../../counters.js';
import type { CoreStatus, Port, PortStatus, ThreadStatus, WorkerStatus } from '../../port.js';

type SomeCounters = Partial<PortCounters>;

/** Names of counters of packets that were lost. */
const IS_DROP = /(^|_)(drop(ped)?|lost)(_|$)/;

/** Returns `none`, or the drops with their reasons: `12 (rx_drop_not_ip 10, tx_drop_unresolved 2)`. */
export function dropsOf(now: SomeCounters, before: SomeCounters = {}): string {
  const reasons: string[] = [];
  let total = 0;
  for (const [name, value] of Object.entries(now)) {
    const count = value - (before[name as keyof PortCounters] ?? 0);
    if (count === 0 || !IS_DROP.test(name)) continue;
    total += count;
    reasons.push(`${name} ${count}`);
  }
  return total === 0 ? 'none' : `${total} (${reasons.join(', ')})`;
}

/** The counters of a port or a thread, now and one period ago. */
class Rates {
  private last: SomeCounters = {};
  private now: SomeCounters = {};
  private seconds = 1;

  constructor(first: PortCounters) {
    this.now = first;
  }

  /** Takes the current counters, `seconds` after the last update. */
  update(now: PortCounters, seconds: number): void {
    this.last = this.now;
    this.now = now;
    this.seconds = seconds;
  }

  /** Returns how much a counter has grown in the last period. */
  growth(name: keyof PortCounters): number {
    return (this.now[name] ?? 0) - (this.last[name] ?? 0);
  }

  perSecond(name: keyof PortCounters): number {
    return this.growth(name) / this.seconds;
  }

  /** How many buffers the stack owns now. */
  get held(): number {
    return this.now.held_by_stack ?? 0;
  }

  get drops(): string {
    return dropsOf(this.now, this.last);
  }

  /**
   * Returns the share of the period in which a thread slept or polled without finding a packet. It is empty when the
   * thread does not measure this (a stack that drives itself), or is stuck.
   */
  idle(isAsleep: boolean): string {
    const { loop_idle_ms: ever = 0, loop_busy_ms: everBusy = 0 } = this.now;
    const busy = this.growth('loop_busy_ms');
    const rest = Math.max(0, 1000 * this.seconds - busy);
    // A sleep is counted when it ends. A thread that still sleeps is idle, and a sleep may have begun before this
    // period.
    const idle = isAsleep ? rest : Math.min(this.growth('loop_idle_ms'), rest);
    return ever + everBusy === 0 || idle + busy === 0 ? '' : `; idle ${Math.round((100 * idle) / (idle + busy))} %`;
  }
}

/** The counters of a port and of its threads at one moment. */
export interface PortSample extends PortStatus {
  readonly counters: PortCounters;
}

/** Takes a sample of a port of this process. */
export const sampleOf = (port: Port): PortSample => ({ counters: port.counters(), ...port.status() });

const threadsOf = ({ cores, workers }: PortStatus): readonly ThreadStatus[] => [...cores, ...workers];

/** How full the rings of a core are: `, rx_queue 7/512, tx_queue 0/1024`; empty when it has none. */
export function ringsText(rings: CoreStatus['rings']): string {
  return Object.entries(rings ?? {})
    .map(([name, { count, capacity }]) => `, ${name} ${count}/${capacity}`)
    .join('');
}

/** What a port and its threads did between two samples, as lines. */
export class RateLines {
  private readonly all: Rates;
  private readonly threads = new Map<string, Rates>();

  constructor(first: PortSample) {
    this.all = new Rates(first.counters);
    for (const { title, counters } of threadsOf(first)) this.threads.set(title, new Rates(counters));
  }

  /** Returns a line for the port, and one per thread when it has several, for the `seconds` since the last sample. */
  next(sample: PortSample, seconds: number): string[] {
    const { all } = this;
    all.update(sample.counters, seconds);
    const line = (way: 'rx' | 'tx'): string =>
      `${way} ${packets(all.perSecond(`${way}_packets`))}, ${bits(all.perSecond(`${way}_bytes`))}`;
    const threads = threadsOf(sample);
    for (const { title, counters } of threads) this.threads.get(title)?.update(counters, seconds);
    const [only] = threads.length === 1 ? threads : [];
    const idle = only === undefined ? '' : (this.threads.get(only.title)?.idle(only.isAsleep) ?? '');
    const lines = [`${line('rx')}; ${line('tx')}; dropped ${all.drops}; stack holds ${all.held}${idle}`];
    if (only !== undefined) return lines;
    const { cores, workers } = sample;
    return [...lines, ...cores.map((core) => this.coreLine(core)), ...workers.map((worker) => this.workerLine(worker))];
  }

  private coreLine({ title, isAlive, isAsleep, rings }: CoreStatus): string {
    const rates = this.threads.get(title);
    if (rates === undefined || !isAlive) return `  ${title}: ended`;
    const moved = `rx ${packets(rates.perSecond('rx_delivered'))}, tx ${packets(rates.perSecond('tx_queued'))}`;
    const state = `dropped ${rates.drops}; stack holds ${rates.held}${ringsText(rings)}`;
    return `  ${title}: ${moved}; ${state}${rates.idle(isAsleep)}`;
  }

  private workerLine({ title, role, isAlive, isAsleep }: WorkerStatus): string {
    const rates = this.threads.get(title);
    if (rates === undefined || !isAlive) return `  ${title}: ended`;
    const rx = role === 'Tx' ? [] : [`rx ${packets(rates.perSecond('rx_frames'))}`];
    const tx = role === 'Rx' ? [] : [`tx ${packets(rates.perSecond('tx_handed'))}`];
    return `  ${title}: ${[...rx, ...tx].join(', ')}; dropped ${rates.drops}${rates.idle(isAsleep)}`;
  }
}

/** Prints the lines of {@link RateLines} every `seconds`, until it is stopped. */
export class RatePrinter {
  private lastAt = performance.now();
  private readonly lines: RateLines;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly port: Port,
    seconds: number,
    private readonly print: (line: string) => void,
  ) {
    this.lines = new RateLines(sampleOf(port));
    this.timer = setInterval(() => this.tick(), seconds * 1000);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tick(): void {
    const at = performance.now();
    const seconds = (at - this.lastAt) / 1000;
    this.lastAt = at;
    for (const line of this.lines.next(sampleOf(this.port), seconds)) this.print(line);
  }
}

function scaled(value: number, unit: string): string {
  const [factor, prefix] = value >= 1e9 ? [1e9, 'G'] : value >= 1e6 ? [1e6, 'M'] : value >= 1e3 ? [1e3, 'k'] : [1, ''];
  return `${(value / factor).toFixed(factor === 1 ? 0 : 2)} ${prefix}${unit}`;
}

/** Packets per second, as `1.20 Mpps`. */
export const packets = (perSecond: number): string => scaled(perSecond, 'pps');
/** Bytes per second as bits: `9.60 Gbit/s`. */
export const bits = (bytesPerSecond: number): string => scaled(bytesPerSecond * 8, 'bit/s');
