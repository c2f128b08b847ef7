/** What the client of `bench -- latency` is told, and what it answers. */

export interface Setup {
  /** Of the vhost-user sockets that it makes, one a contestant. */
  readonly sockets: readonly string[];
  readonly cpu: number;
  /** Most round trips in one window. */
  readonly samples: number;
}

/** Points of a distribution: what share of the round trips, in percent, took at most so many microseconds. */
export const PERCENTS = [50, 99, 99.9, 99.99, 100] as const;
/** The same for a curve. */
export const CURVE = [1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100] as const;

export interface Run {
  readonly sent: number;
  readonly answered: number;
  /** Answers a second. */
  readonly rate: number;
  /** Microseconds at {@link CURVE}. */
  readonly curve: readonly number[];
  /** Garbage collections of the client meanwhile, and the longest in milliseconds. */
  readonly collections: number;
  readonly longestPauseMs: number;
}
