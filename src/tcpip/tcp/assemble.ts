/** Puts the parts of TCP together. */

import type { MemoryViews } from '../../../drivers/memory/index.js';
import { readI32 } from '../../wire/bytes.js';
import type { Clock } from '../clock.js';
import { FastRandom } from '../ip/random.js';
import type { OwnAddress } from '../own-address.js';
import { Calls, type Flusher } from './calls.js';
import { TcpConnection } from './connection.js';
import { AckArrival } from './input/ack-arrival.js';
import { Arrival } from './input/arrival.js';
import { Challenges } from './input/challenges.js';
import { DataArrival } from './input/data-arrival.js';
import { IcmpArrival } from './input/icmp-arrival.js';
import { Listening } from './input/listening.js';
import { SynSent } from './input/syn-sent.js';
import { Synchronized } from './input/synchronized.js';
import { TimeWaiting } from './input/time-waiting.js';
import { Listeners } from './listeners.js';
import { InitialSequence } from './opening/isn.js';
import { SourcePorts } from './opening/ports.js';
import { SynCookies } from './opening/syn-cookies.js';
import { Acks } from './output/acks.js';
import { Closing } from './output/closing.js';
import { CookieSyn } from './output/cookie-syn.js';
import { GsoOutput } from './output/gso-output.js';
import { Handshake } from './output/handshake.js';
import type { IpOutput } from './output/ip-output.js';
import { Output } from './output/output.js';
import { PathMtuChange } from './output/path-mtu-change.js';
import { Resets } from './output/resets.js';
import { RunOutput } from './output/run-output.js';
import { SendBuffer } from './output/send-buffer.js';
import { Timers } from './output/timers.js';
import { Transmit } from './output/transmit.js';
import { Inbox } from './receive/inbox.js';
import { Intervals } from './receive/intervals.js';
import { ReceiveWindow, scaleFor } from './receive/window.js';
import { Recovery } from './recovery/recovery.js';
import { FlowTable } from './state/flow-table.js';
import { RegionPool } from './state/regions.js';
import { Table, timersFor } from './state/table.js';
import { TimeWait } from './state/time-wait.js';
import { TimerWheel } from './state/timer-wheel.js';

/** What TCP needs around it. */
export interface TcpSurroundings {
  readonly clock: Clock;
  readonly memory: MemoryViews;
  readonly ip: IpOutput;
  /** Our address. */
  readonly local: OwnAddress;
  /** Longest packet of the link, in bytes. */
  readonly mtu: number;
  /** Returns random bytes for keys. */
  readonly random: (bytes: number) => Uint8Array;
  /** Whether an address can be that of a peer: one host. We may be our own peer. */
  isPeer(address: number): boolean;
  /** Whether packets to the address can leave. */
  hasRoute(address: number): boolean;
  /** Whether the packets of the flow from `remote` to us come to this core. */
  isOwnFlow(remote: number, remotePort: number, localPort: number): boolean;
  /** If the core sleeps, it must ask anew how long it may: a timer was set, or a connection has something to do. */
  wake(): void;
  /** Whether a poll follows anyway, which does what calls from outside of a poll have left. */
  isDeferred(): boolean;
}

/** Sizes of a stack's TCP. */
export interface TcpOptionsOfStack {
  readonly maxConnections: number;
  /** Most bytes of send and receive buffers together. */
  readonly memory: number;
  readonly maxSendBuffer: number;
  readonly maxReceiveBuffer: number;
  readonly maxTimeWait: number;
  readonly timeWaitMs: number;
}

export interface TcpParts {
  readonly table: Table;
  readonly recovery: Recovery;
  readonly listeners: Listeners;
  readonly sourcePorts: SourcePorts;
  readonly timeWait: TimeWait;
  readonly sendBuffer: SendBuffer;
  readonly handshake: Handshake;
  readonly transmit: Transmit;
  readonly output: Output;
  readonly acks: Acks;
  readonly closing: Closing;
  readonly timers: Timers;
  readonly calls: Calls;
  readonly arrival: Arrival;
  readonly icmpArrival: IcmpArrival;
}

const KEY_BYTES = 16;
/** Memory per connection that only small regions may use, up to a quarter of all: a send region, and its records. */
const RESERVE_BYTES = 4096;

export function assemble(around: TcpSurroundings, options: TcpOptionsOfStack, flusher: Flusher): TcpParts {
  const { clock, memory, ip, local, mtu, random } = around;
  const { maxConnections } = options;
  const flowKey = new Int32Array(random(8).slice().buffer);
  const flows = new FlowTable(maxConnections + options.maxTimeWait, flowKey);
  const wheel = new TimerWheel(timersFor(maxConnections), clock.ms);
  const reserve = Math.min(options.memory / 4, maxConnections * RESERVE_BYTES);
  const regions = new RegionPool(options.memory, reserve);
  // The objects of connections need their calls, which need the table.
  const made: { calls: Calls | null } = { calls: null };
  const makeConnection = (r: number): TcpConnection => new TcpConnection(made.calls!, r);
  const table = new Table({ maxConnections, flows, wheel, regions, clock, makeConnection });
  const recovery = new Recovery({ rows: table.rows, regions, clock, wheel, counters: table.counters });
  const timeWait = new TimeWait(options.maxTimeWait, options.timeWaitMs, flows);
  const intervals = new Intervals(table);
  const window = new ReceiveWindow(table, options.maxReceiveBuffer);
  const inbox = new Inbox(table, intervals, window, memory);
  const sendBuffer = new SendBuffer(table, memory, options.maxSendBuffer);
  const transmit = new Transmit(table, ip, memory, intervals, window, local);
  const gso = new GsoOutput(table, recovery, transmit, ip);
  const runs = new RunOutput(table, recovery, transmit, ip, memory, local);
  const output = new Output(table, recovery, transmit, gso, runs);
  const acks = new Acks(table, transmit, window);
  const closing = new Closing(table, recovery, transmit, timeWait);
  const sequence = new InitialSequence(random(KEY_BYTES));
  const scale = scaleFor(options.maxReceiveBuffer);
  const handshake = new Handshake(table, recovery, transmit, acks, closing, sequence, ip, mtu, scale);
  const fastRandom = new FastRandom(() => readI32(random(4), 0));
  const resets = new Resets(table, ip, memory, local, fastRandom);
  const pathMtu = new PathMtuChange(table, recovery, handshake, ip, transmit);
  const timers = new Timers(table, recovery, output, acks, closing, handshake, pathMtu);
  const calls = new Calls(table, recovery, sendBuffer, inbox, closing, flusher, local);
  made.calls = calls;
  const challenges = new Challenges(table, acks, fastRandom);
  const ackArrival = new AckArrival(table, recovery, output, sendBuffer, acks, closing, challenges);
  const dataArrival = new DataArrival(table, inbox, intervals, window, acks, closing);
  const synchronized = new Synchronized(table, handshake, acks, closing, challenges, resets, ackArrival, dataArrival);
  const synSent = new SynSent(table, handshake, acks, closing, resets);
  const cookies = new SynCookies(random(KEY_BYTES));
  const cookieSyn = new CookieSyn(table, ip, memory, local, handshake.ownMss);
  const listening = new Listening(table, handshake, resets, cookies, cookieSyn, sequence, synchronized);
  const timeWaiting = new TimeWaiting(table, timeWait, resets, listening);
  const listeners = new Listeners();
  const sourcePorts = new SourcePorts(random(KEY_BYTES));
  const arrival = new Arrival(table, listeners, resets, synchronized, synSent, listening, timeWaiting, memory.u8);
  const icmpArrival = new IcmpArrival(table, ip, closing, pathMtu);
  return {
    ...{ table, recovery, listeners, sourcePorts, timeWait, sendBuffer, handshake, transmit, output, acks, closing },
    ...{ timers, calls, arrival, icmpArrival },
  };
}
