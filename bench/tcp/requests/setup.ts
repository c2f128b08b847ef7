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
  /** `rr`: each connection has one request under way. `crr`: the same with a connection for each request. */
  readonly kind: 'rr' | 'crr';
}

/** The answer to `run MILLISECONDS`. */
export interface Run {
  readonly requests: number;
  readonly seconds: number;
  /** Share of the time in which the load found something to do when it polled. */
  readonly busy: number;
  /** What went wrong, in the whole life of the load: connections that ended, segments sent again. */
  readonly errors: number;
  readonly retransmitted: number;
}

/** The answer of our server to `busy`: totals in ms. */
export interface BusyTime {
  readonly busyMs: number;
  readonly idleMs: number;
}
