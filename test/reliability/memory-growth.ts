/** How memory grows: the rise of a line with the least squares through samples. */

/** The memory of endpoints and switch at rest. */
export interface Sample {
  readonly ms: number;
  /** In use after a full collection, of the stacks of both endpoints that stay. */
  readonly heapKb: number;
  /** In memory, of the endpoints that stay, and of the switch; not what they share. */
  readonly endpointsKb: number;
  readonly switchKb: number;
}

/** Growth that is not taken for a leak: V8 compiles code, and gives pages back late. */
const SLACK_KB: Readonly<Record<Exclude<keyof Sample, 'ms'>, number>> = {
  heapKb: 1024,
  endpointsKb: 48 * 1024,
  switchKb: 24 * 1024,
};
const FIELDS = Object.keys(SLACK_KB) as (keyof typeof SLACK_KB)[];
/** The first part of the samples, in which code is compiled, is left out. */
const WARM_UP = 1 / 4;
const FEWEST = 3;

/** The rise of the line with the least squares from the first to the last sample after the warm-up. */
export function rise(samples: readonly Sample[], field: keyof typeof SLACK_KB): number {
  const warm = samples.slice(Math.floor(samples.length * WARM_UP));
  if (warm.length < FEWEST) return 0;
  const mean = (of: (sample: Sample) => number): number => warm.reduce((sum, one) => sum + of(one), 0) / warm.length;
  const [x, y] = [mean(({ ms }) => ms), mean((sample) => sample[field])];
  const covariance = mean((sample) => (sample.ms - x) * (sample[field] - y));
  const variance = mean(({ ms }) => (ms - x) ** 2);
  return (covariance / variance) * (warm.at(-1)!.ms - warm[0]!.ms);
}

/** The growth in words. */
export function growthOf(samples: readonly Sample[]): string {
  const signed = (kb: number): string => `${kb < 0 ? '' : '+'}${Math.round(kb)} KiB`;
  const [heap, endpoints, bess] = FIELDS.map((field) => signed(rise(samples, field)));
  return `heaps ${heap}, endpoints ${endpoints}, switch ${bess}`;
}

/** What has grown by more than the slack, one line each. */
export function tooMuch(samples: readonly Sample[]): string[] {
  return FIELDS.filter((field) => rise(samples, field) > SLACK_KB[field]).map(
    (field) => `memory grows: ${field} by ${Math.round(rise(samples, field))} in ${samples.length} samples`,
  );
}
