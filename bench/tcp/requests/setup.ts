/** What the processes of the rows with requests have in common: their setup, and what they answer. */
import type { LoadSetup } from '../../common/sides.js';

/** Where the servers listen: the echo port (RFC 862). */
export const ECHO_PORT = 7;
/** Bytes of a request, and of its response. */
export const REQUEST_BYTES = 64;

/** The setup of `requests/load.ts`. */
export interface RequestSetup extends LoadSetup {
  /** Connections that stay open; with `crr` the number under way at a time. */
  readonly connections: number;
  /**
   * `rr`: each connection has one request under way. `crr`: the same with a connection for each request. `paced`: as `rr`,
   * and requests on a schedule.
   */
  readonly kind: 'rr' | 'crr' | 'paced';
}

/** The percentiles of a {@link PacedRun}. */
export const PERCENTS = [50, 99, 99.9] as const;

/** The answer to `paced RATE MILLISECONDS`. */
export interface PacedRun {
  /** Responses per second. */
  readonly rate: number;
  /** Times from the moment when a request was due to its response, in µs, at the {@link PERCENTS}. */
  readonly percentiles: readonly number[];
  /** Requests that were due and not sent, because too many waited for their response. */
  readonly unsent: number;
  /** Connections that have ended. Then the schedule was given up. */
  readonly errors: number;
}
