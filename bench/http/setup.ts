/** What the programs of `bench -- http` have in common. */
import type { LoopRun } from '../common/load/closed-loop.js';
import type { LoadSetup } from '../common/sides.js';

/** Connections of the load, each with one request under way. */
export const CONNECTIONS = 64;

export const HTTP_PORT = 80;
export const HTTPS_PORT = 443;

/** The setup of `load.ts`. */
export interface HttpLoadSetup extends LoadSetup {
  /** Length of the body of each response. */
  readonly bodyBytes: number;
}

/** The setup of `tls-load.ts`. */
export interface TlsLoadSetup extends LoadSetup {
  /** Path of the server's certificate, which is its own authority. */
  readonly certificate: string;
}

/** What was done in a window. */
export interface Run {
  readonly requests: number;
  readonly seconds: number;
  /** CPU time of the server meanwhile. */
  readonly cpuSeconds: number;
  /** 99th percentile of the time from a request to its whole response, in µs; 0 where there is no load. */
  readonly p99Us: number;
}

/** The answer of a load to `run MILLISECONDS PID`, with the PID of the server. */
export type LoadRun = LoopRun & Run;

/** The setup of `ceiling.ts`. */
export interface CeilingSetup {
  readonly cpu: number;
  /** The field `Host` of the requests. */
  readonly host: string;
}
