/** The row of idle connections, the setup of the load, and what the load and the servers answer. */
import type { LoadSetup } from '../../common/sides.js';

export const IDLE_ROW = 'connections/100000';
export const CONNECTIONS = 100_000;
/** With `--quick`. */
export const QUICK_CONNECTIONS = 10_000;

/** The server echoes at these ports. The load has some 28,000 source ports for each of them. */
export const ECHO_PORTS: readonly number[] = [7001, 7002, 7003, 7004, 7005];
/** Bytes of a request and of its answer. */
export const REQUEST_BYTES = 64;

/** The setup of `idle/load.ts`. */
export interface IdleSetup extends LoadSetup {
  /** Most connections. */
  readonly connections: number;
}

/** What the load answers to `open COUNT`: idle connections that it has opened. */
export interface Opened {
  readonly opened: number;
  readonly seconds: number;
  /** Why they are fewer than wanted; empty when they are not. */
  readonly why: string;
}

/** What the load answers to `rate MILLISECONDS`: requests on one connection, one at a time. */
export interface Rate {
  readonly requests: number;
  readonly seconds: number;
}
