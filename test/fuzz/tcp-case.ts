/**
 * What the targets of TCP share: a TCP of its own per case, applications with habits, and segments that are made from
 * the state of the connection that they are for, so that they come close to what a peer would send.
 */
import type { TcpOptions } from '../../src/tcpip/tcp/settings.js';
import type { Connection, TcpHandlers } from '../../src/tcpip/tcp/state/api.js';
import {
  ISS,
  RCV_ADV,
  RCV_NXT,
  ROW_SHIFT,
  SCALES,
  SND_NXT,
  SND_UNA,
  STATE,
  TS_OFFSET,
  TS_RECENT,
} from '../../src/tcpip/tcp/state/rows.js';
import { writeI32, writeU16 } from '../../src/wire/bytes.js';
import {
  TCP_ACK,
  TCP_FIN,
  TCP_SYN,
  tcpAcknowledgement,
  tcpDestinationPort,
  tcpFlags,
  tcpHeaderLength,
  tcpSequence,
} from '../../src/wire/tcp.js';
import { checkInvariants, partsOf } from '../support/tcpip/invariants.js';
import { BareTcp } from '../support/tcpip/limits/bare-tcp.js';
import { NO_SEGMENT, type SegmentFields } from '../support/tcpip/limits/segment-fields.js';
import type { Input } from './input.js';
import { check } from './target.js';

export const LISTEN_PORT = 80;
const REMOTES = [0x0a000002, 0x0a000003];
const REMOTE_PORTS = [1000, 1001, 1002, 1003];
/** From plenty to a few of the smallest regions. */
const MEMORIES = [2 ** 20, 2 ** 22, 2 ** 16, 5 * 2 ** 10];
const DATA = new Uint8Array(70_000);
/** What a connection may have to wait for until it is given up, and TIME_WAIT. */
const LONGEST_MS = 2000 * 1000;

/** What an application does, as bits. */
const ECHOES = 1;
const WRITES_FIRST = 2;
const ENDS_WITH_PEER = 4;
const PAUSES = 8;
const ABORTS_ON_DATA = 16;
const ENDS_FIRST = 32;

/** A connection as the application sees it. */
class Seen {
  isOpen = false;
  hasEnded = false;
  isPaused = false;
  bytes = 0;
}

export class TcpCase {
  readonly bare: BareTcp;
  readonly habits: number;
  private readonly seen = new Map<Connection, Seen>();
  private readonly fields: SegmentFields = { ...NO_SEGMENT };
  private readonly handlers: TcpHandlers;
  /** What was sent last to each port of each peer, also for connections that have no row: cookies, TIME_WAIT. */
  private readonly lastSent = new Map<number, { next: number; ack: number }>();

  constructor(input: Input) {
    const shape = input.u8();
    this.habits = input.u8();
    this.bare = new BareTcp({
      seed: 1,
      // Clocks that wrap.
      now: (shape & 8) === 0 ? 0 : 0x7fffffff - 5000,
      maxConnections: 4,
      maxTimeWait: 2,
      memory: MEMORIES[((shape & 1) << 1) | (shape >>> 7)]!,
      maxReceiveBuffer: (shape & 2) === 0 ? 2 ** 17 : 6 * 2 ** 20,
      timeWaitMs: (shape & 4) === 0 ? 60_000 : 0,
    });
    const { u8 } = this.bare.memory;
    this.bare.onSegment = (remote, tcp, length) => {
      const flags = tcpFlags(u8, tcp);
      const data = length - tcpHeaderLength(u8, tcp) + (flags & TCP_FIN) + ((flags & TCP_SYN) >>> 1);
      const next = (tcpSequence(u8, tcp) + data) | 0;
      this.lastSent.set(peerOf(remote, tcpDestinationPort(u8, tcp)), { next, ack: tcpAcknowledgement(u8, tcp) });
    };
    this.handlers = this.makeHandlers();
    const backlog = (shape & 16) === 0 ? 8 : 1;
    this.bare.tcp.listen({ port: LISTEN_PORT, backlog, ...options(input.u8()) }, this.handlers);
  }

  /** The applications' connections. */
  connection(which: number): Connection | null {
    if (this.seen.size === 0) return null;
    return [...this.seen.keys()][which % this.seen.size]!;
  }

  connect(input: Input): void {
    const address = input.bool() ? '10.0.0.2' : '10.0.0.3';
    const port = REMOTE_PORTS[input.below(4)]!;
    const choice = input.u8();
    try {
      const connection = this.bare.tcp.connect(
        { address, port, localPort: (choice & 1) === 0 ? LISTEN_PORT : 2000, ...options(input.u8()) },
        this.handlers,
      );
      this.seen.set(connection, new Seen());
      if ((choice & 2) !== 0) connection.write(DATA, 0, 3000);
      if ((choice & 12) === 12) connection.end();
    } catch (error) {
      const { code } = error as { code?: string };
      check(code === 'EADDRINUSE' || code === 'ENOBUFS' || code === 'EADDRNOTAVAIL', String(error));
    }
  }

  /** Makes a segment by decisions of the input, and hands it over. */
  segment(input: Input): void {
    const { bare, fields } = this;
    const { flows, i32 } = partsOf(bare.tcp).table;
    const who = input.u8();
    fields.remote = REMOTES[who & 1]!;
    fields.remotePort = REMOTE_PORTS[(who >> 1) & 3]!;
    fields.localPort = (who & 0x38) === 0x38 ? 2000 : LISTEN_PORT;
    const row = flows.find(fields.remote, (fields.localPort << 16) | fields.remotePort);
    const r = row >= 0 ? row << ROW_SHIFT : -1;
    fields.flags = FLAGS_OFTEN[input.u8() & 15]! ^ ((who & 0xc0) === 0xc0 ? input.u8() : 0);
    const places = input.u8();
    const last = this.lastSent.get(peerOf(fields.remote, fields.remotePort)) ?? NOTHING_SENT;
    const base = r < 0 ? last.ack : i32[r + SEQ_PLACES[places & 3]!]!;
    fields.seq = (base + delta(input, (places >> 2) & 3)) | 0;
    const ackBase = r < 0 ? last.next : i32[r + ACK_PLACES[(places >> 4) & 3]!]!;
    fields.ack = (ackBase + delta(input, places >> 6)) | 0;
    const size = input.u8();
    fields.length = size < 128 ? 0 : size < 192 ? size & 7 : size < 250 ? (size & 63) * 16 : 1448;
    const more = input.u8();
    fields.window = WINDOWS[more & 7]!;
    fields.ecn = (more & 8) === 0 ? 0 : (more >> 4) & 3;
    fields.urgent = more >>> 6 === 3 ? 5 : 0;
    fields.optionBytes = r < 0 ? this.synOptions(input.u8()) : this.options(input, r);
    for (let i = 0; i < fields.length; i++) bare.payload[i] = size + i;
    bare.receive(fields);
  }

  /** The last segment comes again, some times. */
  again(times: number): void {
    for (let i = 0; i < times; i++) this.bare.receive(this.fields);
  }

  /** A peer acknowledges all that comes, for some rounds. */
  acknowledge(input: Input): void {
    const { bare, fields } = this;
    const who = input.u8();
    const { flows, i32 } = partsOf(bare.tcp).table;
    const remote = REMOTES[who & 1]!;
    const remotePort = REMOTE_PORTS[(who >> 1) & 3]!;
    const localPort = (who & 8) === 0 ? LISTEN_PORT : 2000;
    for (let round = 0; round <= who >>> 4; round++) {
      const row = flows.find(remote, (localPort << 16) | remotePort);
      if (row < 0) return;
      const r = row << ROW_SHIFT;
      Object.assign(fields, NO_SEGMENT, { remote, remotePort, localPort, flags: TCP_ACK, window: 0xffff });
      fields.seq = i32[r + RCV_NXT]!;
      fields.ack = i32[r + SND_NXT]!;
      fields.optionBytes = this.timestamps(0, i32[r + TS_RECENT]! + 1, (bare.now + i32[r + TS_OFFSET]! - 1) | 0);
      bare.receive(fields);
      bare.pass(1);
    }
  }

  /** A segment with the options that lie in {@link BareTcp.options}. */
  withOptions(flags: number, remotePort: number, optionBytes: number, length: number): void {
    const { bare, fields } = this;
    const { flows, i32 } = partsOf(bare.tcp).table;
    fields.remote = REMOTES[0]!;
    fields.remotePort = remotePort;
    fields.localPort = LISTEN_PORT;
    const row = flows.find(fields.remote, (LISTEN_PORT << 16) | remotePort);
    fields.seq = row < 0 ? 1000 : i32[(row << ROW_SHIFT) + RCV_NXT]!;
    fields.ack = row < 0 ? 0 : i32[(row << ROW_SHIFT) + SND_NXT]!;
    fields.flags = flags;
    fields.window = 1000;
    fields.ecn = 0;
    fields.urgent = 0;
    fields.optionBytes = optionBytes;
    fields.length = length;
    bare.receive(fields);
  }

  icmp(input: Input): void {
    const { bare } = this;
    const { flows, i32 } = partsOf(bare.tcp).table;
    const who = input.u8();
    const remote = REMOTES[who & 1]!;
    const ports = (((who & 8) === 0 ? LISTEN_PORT : 2000) << 16) | REMOTE_PORTS[(who >> 1) & 3]!;
    const row = flows.find(remote, ports);
    const seq = row < 0 ? 0 : i32[(row << ROW_SHIFT) + SND_UNA]! + delta(input, (who >> 4) & 3);
    const type = [3, 11, 12, 4][input.u8() & 3]!;
    bare.icmpError(type, input.u8() & 15, input.u16(), remote, ports, seq | 0);
  }

  /** Something that an application does by itself. */
  act(input: Input): void {
    const what = input.u8();
    const connection = this.connection(what >> 4);
    if (connection === null) return;
    const seen = this.seen.get(connection)!;
    switch (what & 7) {
      case 0:
        connection.write(DATA, 0, 1 + input.u8());
        break;
      case 1:
        connection.write(DATA, 3, 256 * (1 + input.u8()));
        break;
      case 2:
        connection.end();
        break;
      case 3:
        connection.abort();
        break;
      case 4:
        seen.isPaused = true;
        connection.pause();
        break;
      case 5:
        seen.isPaused = false;
        connection.resume();
        break;
      case 6:
        connection.setNoDelay(input.bool());
        break;
      default:
        connection.setKeepAlive([0, 1, 500, 7200_000][input.u8() & 3]!);
    }
    check(connection.info().state.length > 0, 'no state');
  }

  /** Polls, and checks all that must be true then. */
  settle(): void {
    this.bare.poll();
    checkInvariants(this.bare.tcp);
    check(this.bare.held === 0, `${this.bare.held} buffers are neither sent nor released`);
  }

  /** Everything is reset, or left alone for so long that it must end by itself. Nothing may be left. */
  finish(isStopped: boolean): void {
    const { bare } = this;
    bare.isBlocked = false;
    bare.hasNoBuffer = false;
    const { table, timeWait } = partsOf(bare.tcp);
    if (isStopped) {
      bare.tcp.stop();
    } else {
      for (const connection of [...this.seen.keys()]) connection.abort();
      bare.pass(LONGEST_MS);
    }
    this.settle();
    bare.pass(70_000);
    this.settle();
    const { regions, wheel, flows, size } = table;
    const left = { rows: size, regions: regions.used, timers: wheel.armed, flows: flows.size, waiting: timeWait.size };
    for (const [name, count] of Object.entries(left)) check(count === 0, `${count} ${name} are left${this.states()}`);
    check(this.seen.size === 0, `${this.seen.size} connections were not closed`);
  }

  private states(): string {
    const { i32, connections } = partsOf(this.bare.tcp).table;
    const used = connections.map((_, row) => i32[(row << ROW_SHIFT) + STATE]!).filter((state) => state !== 0);
    return used.map((state) => `, a row in state ${state}`).join('');
  }

  private makeHandlers(): TcpHandlers {
    const { habits, seen } = this;
    const known = (connection: Connection): Seen => {
      const one = seen.get(connection);
      check(one !== undefined, 'called for a connection that is closed or was never opened');
      return one;
    };
    const doAll = (connection: Connection): void => {
      if ((habits & WRITES_FIRST) !== 0) connection.write(DATA, 1, 20_000);
      if ((habits & ENDS_FIRST) !== 0) connection.end();
    };
    return {
      open: (connection) => {
        if (!seen.has(connection)) seen.set(connection, new Seen());
        const one = known(connection);
        check(!one.isOpen, 'opened twice');
        one.isOpen = true;
        doAll(connection);
      },
      data: (connection, bytes, offset, length) => {
        const one = known(connection);
        check(one.isOpen && !one.hasEnded && !one.isPaused, 'data before open, after end or while paused');
        check(length > 0 && offset >= 0 && offset + length <= bytes.length, `${length} bytes at ${offset}`);
        one.bytes += length;
        if ((habits & ECHOES) !== 0) connection.write(bytes, offset, length);
        if ((habits & PAUSES) !== 0 && (length & 1) === 0) {
          one.isPaused = true;
          connection.pause();
        }
        if ((habits & ABORTS_ON_DATA) !== 0 && length > 1000) connection.abort();
      },
      drain: (connection) => {
        check(known(connection).isOpen, 'drain before open');
        if ((habits & ECHOES) !== 0) connection.write(DATA, 0, 5000);
      },
      end: (connection) => {
        const one = known(connection);
        check(one.isOpen && !one.hasEnded && !one.isPaused, 'end before open, twice or while paused');
        one.hasEnded = true;
        if ((habits & ENDS_WITH_PEER) !== 0) connection.end();
      },
      close: (connection) => {
        known(connection);
        check(connection.state === 'CLOSED', `closed in state ${connection.state}`);
        check(connection.write(DATA, 0, 5) === 0, 'a closed connection takes data');
        seen.delete(connection);
      },
    };
  }

  private synOptions(choice: number): number {
    const { options } = this.bare;
    let at = 0;
    if ((choice & 1) !== 0) {
      options.set([2, 4, 0, 0], 0);
      writeU16(options, 2, MSS_VALUES[(choice >> 4) & 3]!);
      at = 4;
    }
    if ((choice & 2) !== 0) {
      options.set([1, 3, 3, (choice >> 6) * 5], at);
      at += 4;
    }
    if ((choice & 4) !== 0) {
      options.set([1, 1, 4, 2], at);
      at += 4;
    }
    if ((choice & 8) !== 0) at = this.timestamps(at, 1, 0);
    return at;
  }

  /** Timestamps and SACK blocks that fit the row, more or less. */
  private options(input: Input, r: number): number {
    const choice = input.u8();
    const { i32 } = partsOf(this.bare.tcp).table;
    if ((choice & 0xc0) === 0xc0) return this.synOptions(choice);
    let at = 0;
    if ((choice & 1) === 0) {
      const value = (i32[r + TS_RECENT]! + ((choice & 2) === 0 ? 1 : delta(input, 1))) | 0;
      const echo = (this.bare.now + i32[r + TS_OFFSET]! - ((choice & 32) === 0 ? 0 : input.u8() * 16)) | 0;
      at = this.timestamps(at, value, echo);
    }
    const blocks = (choice >> 2) & 3;
    if (blocks > 0) {
      const { options } = this.bare;
      options.set([1, 1, 5, 2 + 8 * blocks], at);
      at += 4;
      for (let i = 0; i < blocks; i++) {
        // Segments of our own: mostly whole ones.
        const from = (i32[r + SND_UNA]! + mssSteps(input)) | 0;
        const end = (choice & 16) === 0 ? from + 1448 * (1 + (input.u8() & 3)) : i32[r + SND_UNA]! + mssSteps(input);
        writeI32(options, at, from);
        writeI32(options, at + 4, end | 0);
        at += 8;
      }
    }
    return at;
  }

  private timestamps(at: number, value: number, echo: number): number {
    const { options } = this.bare;
    options.set([1, 1, 8, 10], at);
    writeI32(options, at + 4, value);
    writeI32(options, at + 8, echo);
    return at + 12;
  }
}

// FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
const FLAGS_OFTEN = [0x10, 0x10, 0x18, 0x10, 0x18, 0x11, 0x02, 0x12, 0x04, 0x14, 0x10, 0x02, 0x11, 0x50, 0x90, 0x00];
const SEQ_PLACES = [RCV_NXT, RCV_NXT, RCV_ADV, RCV_NXT];
const ACK_PLACES = [SND_NXT, SND_UNA, SND_NXT, ISS];
const WINDOWS = [1000, 65_535, 0, 1, 20, 3000, 536, 29_200];
const MSS_VALUES = [1460, 536, 1, 0];

const NOTHING_SENT = { next: 0, ack: 1000 };

function peerOf(remote: number, port: number): number {
  return ((remote & 0xff) << 16) | port;
}

function mssSteps(input: Input): number {
  const byte = input.u8();
  return (byte & 0x3f) * 1448 + (byte >>> 6 === 3 ? input.u8() - 128 : 0);
}

function delta(input: Input, kind: number): number {
  switch (kind) {
    case 1:
      return input.u8() - 128;
    case 2:
      return (input.u8() & 63) * 1448;
    case 3:
      return input.u16() - 20_000;
    default:
      return 0;
  }
}

function options(choice: number): TcpOptions {
  return {
    noDelay: (choice & 1) !== 0,
    congestion: (choice & 2) === 0 ? 'cubic' : 'reno',
    ecn: (choice & 4) !== 0,
    keepAlive: (choice & 8) === 0 ? 0 : 1000,
    userTimeout: (choice & 16) === 0 ? 0 : 5000,
    ...((choice & 32) === 0 ? {} : { sendBuffer: (choice & 64) === 0 ? 2000 : 50_000 }),
    ...((choice & 128) === 0 ? {} : { receiveBuffer: (choice & 64) === 0 ? 1024 : 5000 }),
  };
}

/** The state of a connection and what it is used for, as a mark. */
export function marksOf(tcpCase: TcpCase, mark: (state: number) => void): void {
  const { table, timeWait } = partsOf(tcpCase.bare.tcp);
  for (let row = 0; row < table.connections.length; row++) {
    const r = row << ROW_SHIFT;
    mark(
      (table.i32[r + STATE]! << 8) | Math.min(table.size, 3) | (timeWait.size << 2) | (table.i32[r + SCALES]! & 0x70),
    );
  }
  const { values } = table.counters;
  for (let i = 0; i < values.length; i++) if (values[i]! > 0) mark(0x8000 + i * 4 + Math.min(values[i]!, 3));
}
