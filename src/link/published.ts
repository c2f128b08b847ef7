/**
 * Where those who look into a running port find the TCP of a core: each TCP/IP stack publishes itself with its core,
 * whichever app has made it. A core and its stack are in one thread, and so is what is published. An app that has a copy of the
 * package of its own is not found.
 */
import { ArgumentError } from '../errors.js';
import type { Core } from './core.js';

/** The round trip times that a stack has measured since its start. */
export interface RttHistogram {
  /** By length: `counts[i]` is the number of samples of more than 2^(i-1) and at most 2^i µs; of `counts[0]`, at most 1. */
  readonly counts: readonly number[];
  /** Sum of all samples, in seconds. */
  readonly sum: number;
  /** How many samples there are. */
  readonly count: number;
}

/** What the TCP of one core does. */
export interface TcpFigures {
  /** How many connections are in each state of RFC 9293, 3.3.2 now: `ESTABLISHED`, …; all states of a connection are there. */
  readonly states: Readonly<Record<string, number>>;
  readonly rtt: RttHistogram;
}

/**
 * What comes first in a list of connections: most `bytes` in both directions, the longest `rtt`, most segments
 * `retransmitted`, most bytes `unsent`; `state`: by its name.
 */
export type ConnectionOrder = 'bytes' | 'rtt' | 'retransmitted' | 'unsent' | 'state';

/** Which connections to list. */
export interface ConnectionQuery {
  /** The most that are listed. */
  readonly limit: number;
  readonly sort: ConnectionOrder;
}

/** One connection in a list. Times are in ms, windows and amounts in bytes. In TIME-WAIT, what is not known any more is 0. */
export interface ListedConnection {
  /** Number of the core that has it. */
  readonly core: number;
  /** Address and port: `10.0.0.1:80`. */
  readonly local: string;
  readonly remote: string;
  readonly state: string;
  /** Smoothed round trip time; 0: not measured yet. */
  readonly rtt: number;
  readonly rttVariance: number;
  /** The least round trip time of the last minutes. */
  readonly minRtt: number;
  readonly congestionWindow: number;
  /** Slow start ends here; null before the first loss. */
  readonly slowStartThreshold: number | null;
  readonly sendWindow: number;
  readonly receiveWindow: number;
  readonly mss: number;
  /** Bytes that were sent and not acknowledged. */
  readonly inFlight: number;
  /** Bytes that wait to be sent. */
  readonly unsent: number;
  /** Segments that were sent again. */
  readonly retransmitted: number;
  readonly bytesIn: number;
  /** Bytes that the peer has acknowledged. */
  readonly bytesOut: number;
  /** `cubic` or `reno`; empty in TIME-WAIT. */
  readonly congestion: string;
}

/** The connections that come first, and how many there are. */
export interface ConnectionList {
  readonly total: number;
  readonly connections: readonly ListedConnection[];
}

/** The TCP of a core, for those who look into it. */
export interface TcpView {
  figures(): TcpFigures;
  /** Looks at some of the connections in each turn of the event loop, so that packets do not wait long. */
  connections(query: ConnectionQuery): Promise<ConnectionList>;
}

const views = new WeakMap<Core, TcpView>();

/** To be called by a TCP/IP stack that takes the packets of the core. */
export function publishTcp(core: Core, view: TcpView): void {
  views.set(core, view);
}

/** Returns the TCP of a core of this thread; undefined when the core has a stack of another kind. */
export function tcpOf(core: Core): TcpView | undefined {
  return views.get(core);
}

const ORDERS: Readonly<Record<ConnectionOrder, (one: ListedConnection, other: ListedConnection) => number>> = {
  bytes: (one, other) => other.bytesIn + other.bytesOut - one.bytesIn - one.bytesOut,
  rtt: (one, other) => other.rtt - one.rtt,
  retransmitted: (one, other) => other.retransmitted - one.retransmitted,
  unsent: (one, other) => other.unsent - one.unsent,
  state: (one, other) => (one.state < other.state ? -1 : one.state > other.state ? 1 : 0),
};

/** @throws ArgumentError when a query is not what it should be */
export function checkedQuery({ limit, sort }: ConnectionQuery): ConnectionQuery {
  if (!(Number.isInteger(limit) && limit >= 1)) {
    throw new ArgumentError(`connections: limit is ${limit}, not a whole number from 1 on`);
  }
  if (!Object.hasOwn(ORDERS, sort)) {
    throw new ArgumentError(`connections: sort is '${sort}', none of ${Object.keys(ORDERS).join(', ')}`);
  }
  return { limit, sort };
}

/** Returns one list of several: what comes first in all of them. */
export function mergeLists(lists: readonly ConnectionList[], { limit, sort }: ConnectionQuery): ConnectionList {
  const total = lists.reduce((sum, list) => sum + list.total, 0);
  const all = lists.flatMap(({ connections }) => connections);
  return { total, connections: all.sort(ORDERS[sort]).slice(0, limit) };
}
