/**
 * What those who look into a running port see of the connections of one core: how many there are in each state, the round
 * trip times, and the connections that come first in some order.
 *
 * The counts are kept where a state changes and a sample is taken. The list goes through all rows, in parts of some 0.5 ms:
 * between two of them the event loop has a turn, and packets come and go. So the list is not one moment's; each connection
 * in it is.
 */
import { setImmediate } from 'node:timers';
import {
  type ConnectionList,
  type ConnectionOrder,
  type ConnectionQuery,
  type ListedConnection,
  mergeLists,
  type TcpFigures,
  type TcpView,
} from '../../link/published.js';
import { formatIpv4 } from '../../wire/address.js';
import type { TcpParts } from './assemble.js';
import { bytesAcknowledged, bytesUnsent, connectionInfo } from './info.js';
import { Largest } from './largest.js';
import { RTT_BUCKETS, RTT_SUM } from './recovery/rtt.js';
import {
  BYTES_READ,
  PORTS,
  REMOTE,
  RETRANSMITTED,
  ROW_SHIFT,
  ROW_WORDS,
  SRTT,
  STATE,
  STATE_CLOSED,
} from './state/rows.js';
import { STATE_NAMES } from './state/state-names.js';
import { TW_PORTS, TW_RCV_WND, TW_REMOTE } from './state/time-wait.js';

/** How many rows are looked at, and how many connections are listed, between two turns of the event loop. */
const ROWS_PER_TURN = 8192;
const LISTED_PER_TURN = 256;

const US_PER_SECOND = 1e6;
const TIME_WAIT = 'TIME-WAIT';

/** What makes a connection come first: the order of mergeLists, from the words of a row. */
type Rank = (i32: Int32Array, f64: Float64Array, r: number) => number;

/** By state: the number of states whose names come later. */
const STATE_RANKS = STATE_NAMES.map((name) => STATE_NAMES.filter((other) => other > name).length);

const RANKS: Readonly<Record<ConnectionOrder, Rank>> = {
  bytes: (i32, f64, r) => f64[(r >> 1) + BYTES_READ] + bytesAcknowledged(i32, f64, r),
  rtt: (_, f64, r) => f64[(r >> 1) + SRTT],
  retransmitted: (i32, _, r) => i32[r + RETRANSMITTED],
  unsent: (i32, _, r) => bytesUnsent(i32, r),
  state: (i32, _, r) => STATE_RANKS[i32[r + STATE]],
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class ConnectionView implements TcpView {
  /** @param core number of the core */
  constructor(
    private readonly parts: TcpParts,
    private readonly core: number,
  ) {}

  figures(): TcpFigures {
    const { table, timeWait, recovery } = this.parts;
    const states: Record<string, number> = {};
    for (const [state, name] of STATE_NAMES.entries()) if (state !== STATE_CLOSED) states[name] = table.states[state];
    states[TIME_WAIT] += timeWait.size;
    const counts = Array.from(recovery.rtts.subarray(0, RTT_BUCKETS));
    const count = counts.reduce((sum, some) => sum + some, 0);
    return { states, rtt: { counts, sum: recovery.rtts[RTT_SUM] / US_PER_SECOND, count } };
  }

  async connections(query: ConnectionQuery): Promise<ConnectionList> {
    const { table, timeWait } = this.parts;
    const rows = await this.largestRows(query);
    const connections: ListedConnection[] = [];
    for (const [i, r] of rows.entries()) {
      if (i % LISTED_PER_TURN === LISTED_PER_TURN - 1) await turn();
      if (table.i32[r + STATE] !== STATE_CLOSED) connections.push(this.listed(r));
    }
    // They come last in every order.
    const waiting = timeWait.newest(query.limit - connections.length).map((entry) => this.waiting(entry));
    const total = table.size + timeWait.size;
    return mergeLists([{ total, connections: [...connections, ...waiting] }], query);
  }

  private async largestRows({ limit, sort }: ConnectionQuery): Promise<number[]> {
    const { table } = this.parts;
    const largest = new Largest(Math.min(limit, table.connections.length));
    for (let row = 0; row < table.connections.length; row += ROWS_PER_TURN) {
      if (row > 0) await turn();
      this.offerRows(largest, RANKS[sort], row, Math.min(row + ROWS_PER_TURN, table.connections.length));
    }
    return largest.all;
  }

  /** @param from number of the first row @param to of the one after the last */
  private offerRows(largest: Largest, rank: Rank, from: number, to: number): void {
    const { i32, f64 } = this.parts.table.rows;
    for (let r = from << ROW_SHIFT; r < to << ROW_SHIFT; r += ROW_WORDS)
      if (i32[r + STATE] !== STATE_CLOSED) largest.offer(rank(i32, f64, r), r);
  }

  private listed(r: number): ListedConnection {
    const { calls, table } = this.parts;
    const info = connectionInfo(calls, r);
    const { slowStartThreshold } = info;
    // Without a spread, which takes ten times as long: there may be a thousand.
    return {
      core: this.core,
      local: this.local(table.i32[r + PORTS]),
      remote: remoteOf(table.i32[r + REMOTE], table.i32[r + PORTS]),
      state: info.state,
      rtt: info.rtt,
      rttVariance: info.rttVariance,
      minRtt: info.minRtt,
      congestionWindow: info.congestionWindow,
      slowStartThreshold: slowStartThreshold === Number.POSITIVE_INFINITY ? null : slowStartThreshold,
      sendWindow: info.sendWindow,
      receiveWindow: info.receiveWindow,
      mss: info.mss,
      inFlight: info.inFlight,
      unsent: info.unsent,
      retransmitted: info.retransmitted,
      bytesIn: info.bytesReceived,
      bytesOut: info.bytesAcknowledged,
      congestion: info.congestion,
    };
  }

  /** @param entry offset of a connection in TIME-WAIT */
  private waiting(entry: number): ListedConnection {
    const { words } = this.parts.timeWait;
    return {
      core: this.core,
      local: this.local(words[entry + TW_PORTS]),
      remote: remoteOf(words[entry + TW_REMOTE], words[entry + TW_PORTS]),
      state: TIME_WAIT,
      rtt: 0,
      rttVariance: 0,
      minRtt: 0,
      congestionWindow: 0,
      slowStartThreshold: null,
      sendWindow: 0,
      receiveWindow: words[entry + TW_RCV_WND],
      mss: 0,
      inFlight: 0,
      unsent: 0,
      retransmitted: 0,
      bytesIn: 0,
      bytesOut: 0,
      congestion: '',
    };
  }

  private local(ports: number): string {
    return `${formatIpv4(this.parts.calls.local.address)}:${ports >>> 16}`;
  }
}

const remoteOf = (address: number, ports: number): string => `${formatIpv4(address)}:${ports & 0xffff}`;
