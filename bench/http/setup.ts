/** What the programs of `bench -- http` have in common. */
import type { LoadSetup } from '../common/sides.js';

/** Connections of the load, each with one request under way. */
export const CONNECTIONS = 64;

export const HTTPS_PORT = 443;

/** The setup of `tls-load.ts`. That of `load.ts` is a {@link LoadSetup}. */
export interface TlsLoadSetup extends LoadSetup {
  /** Path of the server's certificate, which is its own authority. */
  readonly certificate: string;
}

/** The answer of a load to `run MILLISECONDS PID`, with the PID of the server; that of the ceiling to `run MILLISECONDS`. */
export interface Run {
  readonly requests: number;
  readonly seconds: number;
  /** CPU time of the server meanwhile. */
  readonly cpuSeconds: number;
  /** 99th percentile of the time from a request to its whole response, in µs. */
  readonly p99Us: number;
  /** Share of the time in which the load found something to do when it polled. */
  readonly busy: number;
}

/** The setup of `ceiling.ts`. */
export interface CeilingSetup {
  readonly cpu: number;
  /** The field `Host` of the requests. */
  readonly host: string;
}
