/** The counters of a port as text: SIGUSR1, `tspmd stats`. */
import { meaningOf, type PortCounters } from '../../counters.js';

/** Returns one line per counter that is not 0, with its meaning if it is known. */
export function counterLines(counters: PortCounters): string[] {
  // Times are counted as fractions.
  const rows = Object.entries(counters)
    .map(([key, value]) => [key, Math.round(value)] as const)
    .filter(([, value]) => value !== 0);
  const name = Math.max(0, ...rows.map(([key]) => key.length));
  const width = Math.max(0, ...rows.map(([, value]) => String(value).length));
  return rows.map(([key, value]) =>
    `${key.padEnd(name)}  ${String(value).padStart(width)}  ${meaningOf(key) ?? ''}`.trimEnd(),
  );
}
