/**
 * How long round trips took: a histogram with steps of less than one percent. It is a few pages of memory. An array of
 * all times is thousands, and in guests of some hypervisors each page that was not touched for a while costs a tenth of
 * a millisecond.
 */

/** Steps per microsecond. Fewer than {@link EXACT} steps have a bucket each. */
const PER_US = 64;
/** The logarithm of the number of steps per power of two. */
const STEP_BITS = 7;
const EXACT = 2 << STEP_BITS;
/** Longer times, of half a minute and more, count as the longest one. */
const LONGEST = 0x7fffffff;
const BUCKETS = (32 - STEP_BITS) << STEP_BITS;

export class Times {
  /** How many were recorded. */
  count = 0;
  private longest = 0;
  private readonly counts = new Uint32Array(BUCKETS);

  record(ms: number): void {
    const steps = Math.min(Math.max(ms * 1000 * PER_US, 0), LONGEST) | 0;
    if (steps > this.longest) this.longest = steps;
    const shift = Math.max(31 - STEP_BITS - Math.clz32(steps), 0);
    this.counts[(shift << STEP_BITS) + (steps >>> shift)]++;
    this.count++;
  }

  /** Forgets all of them. */
  clear(): void {
    this.count = 0;
    this.longest = 0;
    this.counts.fill(0);
  }

  /** The time in µs that `percent` of all do not exceed; 0 when none was recorded. */
  percentile(percent: number): number {
    const rank = Math.ceil((this.count * percent) / 100);
    let seen = 0;
    for (let i = 0; i < BUCKETS; i++) {
      seen += this.counts[i];
      if (seen >= rank && seen > 0) return Math.min(middleOf(i), this.longest) / PER_US;
    }
    return 0;
  }
}

/** The middle of the times in a bucket, in steps. */
function middleOf(bucket: number): number {
  if (bucket < EXACT) return bucket;
  const shift = (bucket >>> STEP_BITS) - 1;
  return (bucket - (shift << STEP_BITS) + 0.5) * 2 ** shift;
}
