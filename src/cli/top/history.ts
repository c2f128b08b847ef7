/** What a process did between two readings of its counters, and in the last minute. */
import type { GateReading, PortReading, Reading, ThreadReading, Way } from './reading.js';

/** The values of the last minute, the oldest first; NaN where nothing is known. It never changes: {@link grown} makes another. */
export interface Series {
  readonly values: readonly number[];
  /** How many values were there before the first one. */
  readonly begun: number;
}

const EMPTY: Series = { values: [], begun: 0 };

function grown({ values, begun }: Series, value: number, most: number): Series {
  const excess = Math.max(0, values.length + 1 - most);
  return { values: [...values.slice(excess), value], begun: begun + excess };
}

/** Packets and bytes per second. */
export interface WayRate extends Way {
  /** Packets per second in the last minute. */
  readonly course: Series;
}

export interface PortRate {
  readonly port: PortReading;
  readonly in: WayRate;
  readonly out: WayRate;
  readonly dropped: number;
}

export interface ThreadRate {
  readonly thread: ThreadReading;
  /** The part of the time in which the thread had something to do; null when it does not measure that. */
  readonly busy: number | null;
  readonly course: Series;
  readonly rx: number;
  readonly tx: number;
  readonly dropped: number;
}

export interface GateRate extends WayRate {
  readonly gate: GateReading;
}

export interface Rates {
  readonly reading: Reading;
  readonly before: Reading | null;
  /** Time between the two readings, in seconds; 0 for the first reading, which has no rates. */
  readonly seconds: number;
  readonly ports: readonly PortRate[];
  readonly threads: readonly ThreadRate[];
  readonly gates: readonly GateRate[];
}

export type Counts = Readonly<Record<string, number>>;

/** How many values a minute has. */
const slotsOf = (interval: number): number => Math.max(2, Math.min(240, Math.round(60 / interval)));

/** Returns the growth of a counter per second. One that fell has begun again. */
export const perSecond = (now: number, then: number | undefined, seconds: number): number =>
  seconds === 0 || then === undefined ? 0 : Math.max(0, now - then) / seconds;

const sum = (counts: Counts): number => Object.values(counts).reduce((all, count) => all + count, 0);

/** A name for a gate that stays when others appear. */
export const keyOfGate = ({ module, gate }: GateReading): string => `${module}:${gate?.number ?? 'none'}`;

export class History {
  /** How many values a minute has. */
  readonly slots: number;
  private last: Reading | null = null;
  private series = new Map<string, Series>();

  /** @param interval between two readings, in seconds */
  constructor(interval: number) {
    this.slots = slotsOf(interval);
  }

  /** Takes the next reading. */
  next(reading: Reading): Rates {
    const before = this.last;
    this.last = reading;
    const seconds = before === null ? 0 : Math.max(0, reading.at - before.at);
    const kept = new Map<string, Series>();
    const course = (key: string, value: number): Series => {
      const before = this.series.get(key) ?? EMPTY;
      const series = seconds > 0 ? grown(before, value, this.slots) : before;
      kept.set(key, series);
      return series;
    };
    const way = (key: string, now: Way, then: Way | undefined): WayRate => {
      const packets = perSecond(now.packets, then?.packets, seconds);
      return { packets, bytes: perSecond(now.bytes, then?.bytes, seconds), course: course(key, packets) };
    };
    const rates = {
      ...{ reading, before, seconds },
      ports: reading.ports.map((port) => {
        const then = before?.ports.find(({ name }) => name === port.name);
        const dropped = perSecond(port.dropped, then?.dropped, seconds);
        return {
          port,
          in: way(`in ${port.name}`, port.in, then?.in),
          out: way(`out ${port.name}`, port.out, then?.out),
          dropped,
        };
      }),
      threads: reading.threads.map((thread) => {
        const then = before?.threads.find(({ title }) => title === thread.title);
        const busy = then === undefined ? null : busyShare(thread, then, seconds);
        return {
          ...{ thread, busy, course: course(`busy ${thread.title}`, busy ?? Number.NaN) },
          ...{ rx: perSecond(thread.rx, then?.rx, seconds), tx: perSecond(thread.tx, then?.tx, seconds) },
          dropped: perSecond(sum(thread.drops), then && sum(then.drops), seconds),
        };
      }),
      gates: reading.gates.map((gate) => {
        const key = keyOfGate(gate);
        return {
          gate,
          ...way(
            `gate ${key}`,
            gate,
            before?.gates.find((other) => keyOfGate(other) === key),
          ),
        };
      }),
    };
    this.series = kept;
    return rates;
  }
}

/** A sleep is counted when it ends, so the idle time of one period may be that of several. */
function busyShare(now: ThreadReading, then: ThreadReading, seconds: number): number | null {
  if (now.busyMs + now.idleMs === 0) return null;
  const busy = Math.max(0, now.busyMs - then.busyMs);
  const rest = Math.max(0, 1000 * seconds - busy);
  const idle = now.isAsleep ? rest : Math.min(Math.max(0, now.idleMs - then.idleMs), rest);
  return busy + idle === 0 ? null : Math.min(1, busy / (busy + idle));
}
