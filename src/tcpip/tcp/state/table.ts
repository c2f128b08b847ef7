/**
 * The connections of one core: their rows, the objects that applications hold, their buffers, and the list of rows that
 * need attention at the end of the burst.
 *
 * A row that is closed stays out of the free list until {@link Table.reclaim}, so that code which calls a handler may
 * look at the row afterwards and see that it is closed. Free rows are used again in the order in which they were freed.
 */
import type { Clock } from '../../clock.js';
import { createTcpCounters, type TcpCounters } from '../counters.js';
import type { Connection, TcpHandlers } from './api.js';
import type { FlowTable } from './flow-table.js';
import type { Region, RegionPool } from './regions.js';
import {
  FLAG_LISTED,
  FLAGS,
  NEXT_ROW,
  PORTS,
  REMOTE,
  ROW_SHIFT,
  ROW_WORDS,
  Rows,
  STATE,
  STATE_CLOSED,
  STATES,
} from './rows.js';
import type { TimerWheel } from './timer-wheel.js';

/** No row. */
export const NO_ROW = -1;

/** Timers of a row: `timerId(r, kind)`. */
export const TIMER_RETRANSMIT = 0;
export const TIMER_DELAYED_ACK = 1;
export const TIMER_KEEP_ALIVE = 2;
/** log2 of the timers per row. */
const TIMER_SHIFT = 2;
const TIMERS = 3;

/** The timer `kind` of the row at `r`. */
export function timerId(r: number, kind: number): number {
  return ((r >> ROW_SHIFT) << TIMER_SHIFT) | kind;
}

/** The row that a timer belongs to. */
export function rowOfTimer(id: number): number {
  return (id >> TIMER_SHIFT) << ROW_SHIFT;
}

/** The kind of a timer. */
export function kindOfTimer(id: number): number {
  return id & ((1 << TIMER_SHIFT) - 1);
}

/** How many timers `rows` rows need. */
export function timersFor(rows: number): number {
  return rows << TIMER_SHIFT;
}

/** What a listener keeps of its half-open connections. */
export interface Backlog {
  halfOpen: number;
}

export interface TableParts {
  readonly maxConnections: number;
  readonly flows: FlowTable;
  readonly wheel: TimerWheel;
  readonly regions: RegionPool;
  readonly clock: Clock;
  /** Makes the object that an application holds for the row at `r`. */
  readonly makeConnection: (r: number) => Connection;
}

const NO_HANDLERS: TcpHandlers = {};

export class Table {
  readonly rows: Rows;
  readonly i32: Int32Array;
  readonly flows: FlowTable;
  readonly wheel: TimerWheel;
  readonly regions: RegionPool;
  readonly clock: Clock;
  readonly counters: TcpCounters = createTcpCounters();
  /** The places of {@link counters}. */
  readonly count: Float64Array = this.counters.values;

  // By row number. They grow as rows are used for the first time.
  readonly connections: Connection[] = [];
  readonly handlers: TcpHandlers[] = [];
  /** Bytes that were written and not acknowledged. */
  readonly sendRegions: (Region | null)[] = [];
  /** Bytes that were received and not taken: out of order, or while the application has paused. */
  readonly receiveRegions: (Region | null)[] = [];
  /** The intervals of out-of-order bytes. */
  readonly intervalRegions: (Region | null)[] = [];
  /** The listener whose backlog a half-open connection counts in. */
  readonly backlogs: (Backlog | null)[] = [];

  /** Whether a write was refused for want of memory, and the connection has no bytes whose ACK would look at it again. */
  isStarved = false;
  /** Connections in the table, half-open ones included. */
  size = 0;
  /** How many of them are in each state, by the STATE_ numbers; that of STATE_CLOSED means nothing. */
  readonly states = new Int32Array(STATES);
  private readonly makeConnection: (r: number) => Connection;
  private firstFree = NO_ROW;
  private lastFree = NO_ROW;
  private closed = NO_ROW;
  /** How many rows are listed. */
  listed = 0;
  private firstListed = NO_ROW;
  private lastListed = NO_ROW;

  constructor(parts: TableParts) {
    this.rows = new Rows(parts.maxConnections);
    this.i32 = this.rows.i32;
    this.flows = parts.flows;
    this.wheel = parts.wheel;
    this.regions = parts.regions;
    this.clock = parts.clock;
    this.makeConnection = parts.makeConnection;
  }

  /**
   * Takes a row, all of whose words are 0, and enters it in the flow table.
   * @returns its offset; {@link NO_ROW} when the table is full
   */
  open(remote: number, ports: number, handlers: TcpHandlers): number {
    const { i32 } = this;
    let r = this.firstFree;
    if (r !== NO_ROW) {
      this.firstFree = i32[r + NEXT_ROW];
      if (this.firstFree === NO_ROW) this.lastFree = NO_ROW;
    } else {
      r = this.connections.length << ROW_SHIFT;
      if (r === i32.length) return NO_ROW;
      this.connections.push(this.makeConnection(r));
      this.handlers.push(handlers);
      this.sendRegions.push(null);
      this.receiveRegions.push(null);
      this.intervalRegions.push(null);
      this.backlogs.push(null);
    }
    i32.fill(0, r, r + ROW_WORDS);
    i32[r + NEXT_ROW] = NO_ROW;
    i32[r + REMOTE] = remote;
    i32[r + PORTS] = ports;
    this.handlers[r >> ROW_SHIFT] = handlers;
    this.flows.insert(remote, ports, r >> ROW_SHIFT);
    this.size++;
    return r;
  }

  /** Moves a row from its state to another one. Nothing else writes {@link STATE}. */
  setState(r: number, state: number): void {
    const { i32, states } = this;
    states[i32[r + STATE]]--;
    states[state]++;
    i32[r + STATE] = state;
  }

  /**
   * Ends the use of a row: clears its timers, gives back its buffers and takes it out of the flow table, if the flow
   * still is its own. The row is used again after {@link reclaim}, and its receive region: a `data` handler may look at
   * the bytes there after it has ended the connection.
   */
  close(r: number): void {
    const { i32, wheel, regions, flows } = this;
    const row = r >> ROW_SHIFT;
    this.setState(r, STATE_CLOSED);
    for (let kind = 0; kind < TIMERS; kind++) wheel.clear(timerId(r, kind));
    flows.removeValue(i32[r + REMOTE], i32[r + PORTS], row);
    this.releaseSend(r);
    const backlog = this.backlogs[row];
    if (backlog !== null) backlog.halfOpen--;
    this.backlogs[row] = null;
    const intervals = this.intervalRegions[row];
    if (intervals !== null) regions.release(intervals);
    this.intervalRegions[row] = null;
    this.handlers[row] = NO_HANDLERS;
    this.size--;
    // A listed row is in a list already: `reclaim` gets it from there.
    if ((i32[r + FLAGS] & FLAG_LISTED) !== 0) return;
    i32[r + NEXT_ROW] = this.closed;
    this.closed = r;
  }

  /** Gives back the send region, which holds nothing any more. */
  releaseSend(r: number): void {
    const row = r >> ROW_SHIFT;
    const region = this.sendRegions[row];
    if (region === null) return;
    this.regions.release(region);
    this.sendRegions[row] = null;
  }

  /** Gives back the receive region, which holds nothing any more. */
  releaseReceived(r: number): void {
    const row = r >> ROW_SHIFT;
    const region = this.receiveRegions[row];
    if (region === null) return;
    this.regions.release(region);
    this.receiveRegions[row] = null;
  }

  /** The connection is not half-open any more. */
  leaveBacklog(r: number): void {
    const row = r >> ROW_SHIFT;
    const backlog = this.backlogs[row];
    if (backlog === null) return;
    backlog.halfOpen--;
    this.backlogs[row] = null;
  }

  /** Enters a row in the list of rows to look at, at the end of the burst. */
  list(r: number): void {
    const { i32 } = this;
    if ((i32[r + FLAGS] & FLAG_LISTED) !== 0) return;
    i32[r + FLAGS] |= FLAG_LISTED;
    this.listed++;
    i32[r + NEXT_ROW] = NO_ROW;
    if (this.lastListed === NO_ROW) this.firstListed = r;
    else i32[this.lastListed + NEXT_ROW] = r;
    this.lastListed = r;
  }

  /** Takes the first row off the list, which is not empty. Returns {@link NO_ROW} when it was closed meanwhile. */
  unlist(): number {
    const { i32 } = this;
    const r = this.firstListed;
    this.firstListed = i32[r + NEXT_ROW];
    if (this.firstListed === NO_ROW) this.lastListed = NO_ROW;
    this.listed--;
    i32[r + FLAGS] &= ~FLAG_LISTED;
    i32[r + NEXT_ROW] = NO_ROW;
    if (i32[r + STATE] !== STATE_CLOSED) return r;
    i32[r + NEXT_ROW] = this.closed;
    this.closed = r;
    return NO_ROW;
  }

  /** Makes closed rows free. To be called when no code looks at one any more. */
  reclaim(): void {
    const { i32 } = this;
    while (this.closed !== NO_ROW) {
      const r = this.closed;
      this.closed = i32[r + NEXT_ROW];
      i32[r + NEXT_ROW] = NO_ROW;
      this.releaseReceived(r);
      this.connections[r >> ROW_SHIFT].context = undefined;
      if (this.lastFree === NO_ROW) this.firstFree = r;
      else i32[this.lastFree + NEXT_ROW] = r;
      this.lastFree = r;
    }
  }
}
