/** How long requests took: a histogram with three exact digits, from node:perf_hooks. */
import { createHistogram } from 'node:perf_hooks';

export interface LatencyUs {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export class Latencies {
  private readonly histogram = createHistogram({ figures: 3 });

  /** @param ms at least 0 */
  record(ms: number): void {
    this.histogram.record(Math.max(1, Math.round(ms * 1e6)));
  }

  /** In microseconds, with one decimal; all 0 when nothing was recorded. */
  summary(): LatencyUs {
    const { histogram } = this;
    const us = (nanoseconds: number): number => (histogram.count === 0 ? 0 : Math.round(nanoseconds / 100) / 10);
    return {
      p50: us(histogram.percentile(50)),
      p90: us(histogram.percentile(90)),
      p99: us(histogram.percentile(99)),
      p999: us(histogram.percentile(99.9)),
      max: us(histogram.max),
    };
  }
}
