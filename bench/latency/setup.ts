/** The setup and the answers of the client of `bench -- latency`. */

export interface Setup {
  /** Paths of the vhost-user sockets that the client makes, one per contestant. */
  readonly sockets: readonly string[];
  readonly cpu: number;
}

/** The percentiles in a report. */
export const PERCENTS = [50, 99, 99.9, 99.99, 100] as const;
/** The percentiles of a curve. */
export const CURVE = [1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100] as const;

export interface Run {
  readonly sent: number;
  readonly answered: number;
  /** Answers per second. */
  readonly rate: number;
  /** Round-trip times in microseconds at the percentiles of {@link CURVE}. */
  readonly curve: readonly number[];
  /** Number of garbage collections in the client. */
  readonly collections: number;
  readonly longestPauseMs: number;
}
