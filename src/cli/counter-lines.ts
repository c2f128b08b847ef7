/** All counters of a port for people: what SIGUSR1 prints. */
import { meaningOf, type PortCounters } from '../counters.js';

/** A line a counter that is not 0, with what it counts where the layer knows. */
export function counterLines(counters: PortCounters): string[] {
  const rows = Object.entries(counters).filter(([, value]) => value !== 0);
  const name = Math.max(0, ...rows.map(([key]) => key.length));
  const width = Math.max(0, ...rows.map(([, value]) => String(value).length));
  return rows.map(([key, value]) =>
    `${key.padEnd(name)}  ${String(value).padStart(width)}  ${meaningOf(key) ?? ''}`.trimEnd(),
  );
}
