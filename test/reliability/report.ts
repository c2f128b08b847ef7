/** How figures are told. */

/** The middle, and the worst. */
export function spread(values: readonly number[]): { median: number; max: number } {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: sorted[sorted.length >> 1] ?? 0, max: sorted.at(-1) ?? 0 };
}

export const thousands = (count: number): string => Math.round(count).toLocaleString('en-US');

/** As many as there are, or none. */
export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
