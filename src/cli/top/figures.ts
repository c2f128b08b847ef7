/** Numbers as short texts of a steady width, and small charts. */

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** A number with three digits and a prefix: `0`, `847`, `1.24k`, `98.1M`, `9.60G`. A small fraction is shown as one. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size < 9.95 && !Number.isInteger(value)) return value.toFixed(1);
  let [scaled, prefix] = [value, 0];
  while (Math.abs(scaled) >= 999.5 && prefix < PREFIXES.length - 1) {
    scaled /= 1000;
    prefix++;
  }
  const digits = prefix === 0 || Math.abs(scaled) >= 99.95 ? 0 : Math.abs(scaled) >= 9.995 ? 1 : 2;
  return `${scaled.toFixed(digits)}${PREFIXES[prefix]}`;
}

/** Bytes per second as bits per second. */
export const bits = (bytes: number): string => short(bytes * 8);

/** A share as a percentage; `-` when it is not known. */
export const percent = (share: number | null): string => (share === null ? '-' : `${Math.round(100 * share)}%`);

/** Milliseconds: `0.042`, `1.25`, `38.4`, `250`. */
export function milliseconds(value: number): string {
  return value.toFixed(value < 0.9995 ? 3 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

const LEVELS = '▁▂▃▄▅▆▇█';

/**
 * The course of the last minute as `width` characters, the present at the right.
 * @param values the oldest first; NaN where nothing is known
 * @param slots how many values a minute has
 * @param begun how many values there were before the first one, so that groups of values stay together as they move
 * @param most the value of a full block; without it, the largest of these values
 */
export function sparkline(values: readonly number[], slots: number, begun: number, width: number, most = 0): string {
  const group = Math.max(1, Math.ceil(slots / width));
  const last = Math.floor((begun + values.length - 1) / group);
  const columns = Array.from({ length: width }, () => Number.NaN);
  for (const [i, value] of values.entries()) {
    const column = width - 1 - last + Math.floor((begun + i) / group);
    // Each column shows the largest of its values: a short peak stays visible.
    if (column >= 0 && !Number.isNaN(value))
      columns[column] = Math.max(value, Number.isNaN(columns[column]) ? 0 : columns[column]);
  }
  const top = most > 0 ? most : Math.max(...columns.filter((value) => !Number.isNaN(value)), 0);
  return columns.map((value) => (Number.isNaN(value) ? ' ' : levelOf(value, top))).join('');
}

function levelOf(value: number, top: number): string {
  if (top === 0 || value <= 0) return LEVELS[0];
  return LEVELS[Math.min(LEVELS.length - 1, Math.floor((value / top) * (LEVELS.length - 0.001)))];
}

const EIGHTHS = ' ▏▎▍▌▋▊▉█';

/** A share as a bar of `width` characters. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  const [whole, rest] = [Math.floor(eighths / 8), eighths % 8];
  return `${'█'.repeat(whole)}${rest === 0 ? '' : EIGHTHS[rest]}`.padEnd(width);
}
