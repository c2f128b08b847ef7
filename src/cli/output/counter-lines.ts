/** The counters of a port as text: SIGUSR1, `tspmd stats`. */
import { meaningOf, type PortCounters } from '../../counters.js';
import type { StackTotals } from '../../port.js';

/**
 * Returns one line per counter that is not 0, with its meaning if it is known.
 * @param meaning of a counter by its name. Default: that of the layer's counters
 */
export function counterLines(
  counters: PortCounters | StackTotals,
  meaning: (name: string) => string | undefined = meaningOf,
): string[] {
  // Times are counted as fractions.
  const rows = Object.entries(counters)
    .map(([key, value]) => [key, Math.round(value)] as const)
    .filter(([, value]) => value !== 0);
  const name = Math.max(0, ...rows.map(([key]) => key.length));
  const width = Math.max(0, ...rows.map(([, value]) => String(value).length));
  return rows.map(([key, value]) =>
    `${key.padEnd(name)}  ${String(value).padStart(width)}  ${meaning(key) ?? ''}`.trimEnd(),
  );
}
