/** `--stats-period`: prints the rates of a port, and those of its threads when it has several. */
import type { EventSink, LogEvent } from '../../../drivers/log/events.js';
import type { PortCounters } from '../../counters.js';
import type { CoreStatus, Port, PortStatus, ThreadStatus, WorkerStatus } from '../../port.js';

type SomeCounters = Partial<PortCounters>;

/** Names of counters of packets that were lost. */
export const IS_DROP = /(^|_)(drop(ped)?|lost)(_|$)/;

/** Returns how many packets were dropped, by reason, without zeros. */
export function dropCounts(now: SomeCounters, before: SomeCounters = {}): Record<string, number> {
  const drops = Object.entries(now)
    .filter(([name]) => IS_DROP.test(name))
    .map(([name, value]) => [name, value - (before[name as keyof PortCounters] ?? 0)] as const);
  return Object.fromEntries(drops.filter(([, count]) => count !== 0));
}

/** Returns `none`, or the drops with their reasons: `12 (rx_drop_not_ip 10, tx_drop_unresolved 2)`. */
export function dropsText(drops: Readonly<Record<string, number>>): string {
  const total = Object.values(drops).reduce((sum, count) => sum + count, 0);
  const reasons = Object.entries(drops).map(([name, count]) => `${name} ${count}`);
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

  get drops(): Record<string, number> {
    return dropCounts(this.now, this.last);
  }

  /**
   * Returns the share of the period in which a thread slept or polled without finding a packet, in percent. It is null
   * when the thread does not measure this (a stack that drives itself), or is stuck.
   */
  idle(isAsleep: boolean): number | null {
    const { loop_idle_ms: ever = 0, loop_busy_ms: everBusy = 0 } = this.now;
    const busy = this.growth('loop_busy_ms');
    const rest = Math.max(0, 1000 * this.seconds - busy);
    // A sleep is counted when it ends. A thread that still sleeps is idle, and a sleep may have begun before this
    // period.
    const idle = isAsleep ? rest : Math.min(this.growth('loop_idle_ms'), rest);
    return ever + everBusy === 0 || idle + busy === 0 ? null : Math.round((100 * idle) / (idle + busy));
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

const idleText = (idle: number | null): string => (idle === null ? '' : `; idle ${idle} %`);

/** The rates of a port or a thread in one period: a line, and its event. */
export interface RateLine {
  readonly line: string;
  readonly event: LogEvent;
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
    return this.rates(sample, seconds).map(({ line }) => line);
  }

  /** The same with events. Call one of the two per sample. */
  rates(sample: PortSample, seconds: number): RateLine[] {
    const { all } = this;
    all.update(sample.counters, seconds);
    const threads = threadsOf(sample);
    for (const { title, counters } of threads) this.threads.get(title)?.update(counters, seconds);
    const [only] = threads.length === 1 ? threads : [];
    const idle = only === undefined ? null : (this.threads.get(only.title)?.idle(only.isAsleep) ?? null);
    const port = this.portLine(idle);
    if (only !== undefined) return [port];
    const { cores, workers } = sample;
    return [port, ...cores.map((core) => this.coreLine(core)), ...workers.map((worker) => this.workerLine(worker))];
  }

  private portLine(idle: number | null): RateLine {
    const { all } = this;
    const { drops: dropped, held } = all;
    const [rxPackets, txPackets] = [all.perSecond('rx_packets'), all.perSecond('tx_packets')];
    const [rxBytes, txBytes] = [all.perSecond('rx_bytes'), all.perSecond('tx_bytes')];
    const moved = `rx ${packets(rxPackets)}, ${bits(rxBytes)}; tx ${packets(txPackets)}, ${bits(txBytes)}`;
    const line = `${moved}; dropped ${dropsText(dropped)}; stack holds ${held}${idleText(idle)}`;
    const inBits = { rxBits: 8 * rxBytes, txBits: 8 * txBytes };
    return { line, event: { event: 'rates', thread: null, rxPackets, txPackets, ...inBits, dropped, held, idle } };
  }

  private coreLine({ title, isAlive, isAsleep, rings }: CoreStatus): RateLine {
    const rates = this.threads.get(title);
    if (rates === undefined || !isAlive) return endedLine(title);
    const { drops: dropped, held } = rates;
    const idle = rates.idle(isAsleep);
    const [rxPackets, txPackets] = [rates.perSecond('rx_delivered'), rates.perSecond('tx_queued')];
    const state = `dropped ${dropsText(dropped)}; stack holds ${held}${ringsText(rings)}`;
    const line = `  ${title}: rx ${packets(rxPackets)}, tx ${packets(txPackets)}; ${state}${idleText(idle)}`;
    return { line, event: { ...rateOf(title), rxPackets, txPackets, dropped, held, idle, rings } };
  }

  private workerLine({ title, role, isAlive, isAsleep }: WorkerStatus): RateLine {
    const rates = this.threads.get(title);
    if (rates === undefined || !isAlive) return endedLine(title);
    const { drops: dropped } = rates;
    const idle = rates.idle(isAsleep);
    const rxPackets = role === 'Tx' ? undefined : rates.perSecond('rx_frames');
    const txPackets = role === 'Rx' ? undefined : rates.perSecond('tx_handed');
    const rx = rxPackets === undefined ? [] : [`rx ${packets(rxPackets)}`];
    const tx = txPackets === undefined ? [] : [`tx ${packets(txPackets)}`];
    const line = `  ${title}: ${[...rx, ...tx].join(', ')}; dropped ${dropsText(dropped)}${idleText(idle)}`;
    return { line, event: { ...rateOf(title), rxPackets, txPackets, dropped, idle } };
  }
}

const rateOf = (thread: string) => ({ event: 'rates', thread }) as const;
/** A thread that has ended has no figures. */
const endedLine = (title: string): RateLine => ({ line: `  ${title}: ended`, event: rateOf(title) });

/** Prints the lines of {@link RateLines} every `seconds`, until it is stopped. */
export class RatePrinter {
  private lastAt = performance.now();
  private readonly lines: RateLines;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly port: Port,
    seconds: number,
    private readonly tell: EventSink,
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
    for (const { line, event } of this.lines.rates(sampleOf(this.port), seconds)) this.tell(line, event);
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
