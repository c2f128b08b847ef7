/** Figures as text. */

/** The median and the maximum. */
export function spread(values: readonly number[]): { median: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1] ?? 0, max: sorted.at(-1) ?? 0 };
}

export const thousands = (count: number): string => Math.round(count).toLocaleString('en-US');

/** A number with its noun, which gets an s unless the number is 1. */
export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
