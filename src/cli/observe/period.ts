/** What a process did between two looks at its counters, as lines: `tspmd stats --watch`. */
import type { SwitchStats } from '../../../bess/stats.js';
import type { ProcessStats } from '../../../observe/control/process-info.js';
import { bits, packets, RateLines } from '../output/rates.js';
import type { PortSnapshot } from './port-snapshot.js';

export interface Period {
  /** Returns the lines for the time since the last call, or since the first look. */
  next(now: ProcessStats): string[];
}

/** @param first the first look at the counters */
export function periodOf(first: ProcessStats): Period {
  const { port } = first;
  if (port === undefined) return new SwitchPeriod(first);
  const lines = new RateLines(port as PortSnapshot);
  let at = first.process.uptime;
  return {
    next({ process, port: sample }) {
      const seconds = process.uptime - at;
      at = process.uptime;
      return lines.next(sample as PortSnapshot, seconds);
    },
  };
}

type PortCounts = SwitchStats['ports'][string];

class SwitchPeriod implements Period {
  private last: SwitchStats;

  constructor(first: ProcessStats) {
    this.last = first.switch as SwitchStats;
  }

  next(now: ProcessStats): string[] {
    const { last } = this;
    const stats = now.switch as SwitchStats;
    this.last = stats;
    const seconds = stats.uptime - last.uptime;
    const dropped = stats.summary.dropped.total - last.summary.dropped.total;
    const forwarded = (stats.summary.forwarded - last.summary.forwarded) / seconds;
    const ports = Object.entries(stats.ports).map(
      ([name, port]) => `  ${name}: ${lineOf(port, last.ports[name], seconds)}`,
    );
    return [`forwarded ${packets(forwarded)}; dropped ${dropped}`, ...ports];
  }
}

function lineOf(now: PortCounts, before: PortCounts | undefined, seconds: number): string {
  const way = (name: 'inc' | 'out'): string => {
    const { packets: count, bytes, dropped } = now[name];
    const old = before?.[name] ?? { packets: 0, bytes: 0, dropped: 0 };
    const drops = dropped - old.dropped;
    const rate = `${packets((count - old.packets) / seconds)}, ${bits((bytes - old.bytes) / seconds)}`;
    return drops === 0 ? rate : `${rate}, dropped ${drops}`;
  };
  return `in ${way('inc')}; out ${way('out')}${now.up ? '' : '; down'}`;
}
