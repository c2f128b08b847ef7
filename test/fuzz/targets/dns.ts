/**
 * Messages of DNS servers, by UDP and TCP, through the resolver. Each case runs twice, with other bytes around the
 * messages: a result that differs has read what the length does not cover.
 */
import { isIPv4 } from 'node:net';
import { type Resolution, Resolver } from '../../../src/node/dns/resolver.js';
import { netError } from '../../../src/tcpip/errors.js';
import type { Connection, UdpHandlers, UdpSocket } from '../../../src/tcpip/index.js';
import { FakeWire } from '../../support/apps/fake-wire.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const MAX_STEPS = 30;
const SERVERS = ['10.0.0.2:53', '10.0.0.3:53'];
/** Each server once, for the name and 8 aliases, with and without EDNS, and by TCP. */
const MOST_QUERIES = SERVERS.length * 9 * 3;
const NAMES = [
  [0xc0, 12],
  [1, 97, 4, 116, 101, 115, 116, 0],
  [1, 98, 4, 116, 101, 115, 116, 0],
  [1, 98, 0xc0, 14],
  [0],
  [0xc0, 0],
  [0xc0, 255],
  [63],
  [1, 32, 0],
];
const TYPES = [1, 1, 1, 5, 5, 6, 41, 2, 12, 16, 28, 33, 43, 46, 47, 48, 50, 65, 13, 255];
const TTLS = [
  [0, 0, 0, 60],
  [0, 0, 0, 0],
  [0x7f, 255, 255, 255],
  [255, 255, 255, 255],
];

interface Message {
  readonly kind: 'message';
  readonly bytes: number[];
  /** Whether it has the id of the query. */
  readonly isOurs: boolean;
  /** In how long pieces it comes by TCP. */
  readonly piece: number;
}

type Step = Message | { readonly kind: 'time' | 'error' };

/** What happens in a run: the same steps for both. */
function steps(input: Input): Step[] {
  const all: Step[] = [];
  while (input.left > 0 && all.length < MAX_STEPS) {
    const choice = input.u8();
    if (choice < 16) all.push({ kind: choice < 8 ? 'time' : 'error' });
    else all.push({ kind: 'message', isOurs: choice < 250, piece: 1 + (choice & 63), bytes: message(input) });
  }
  return all;
}

/** Makes a message. Its first two bytes become the id. */
function message(input: Input): number[] {
  const shape = input.u8();
  const flags = (shape & 1) === 0 ? [0x81, 0x80] : [input.u8(), input.u8()];
  const question = (shape & 2) === 0 ? NAMES[1]! : name(input);
  const counts = [1, 0, 0, 0];
  const body = [...question, 0, (shape & 4) === 0 ? 1 : input.u8(), 0, 1];
  for (let section = 1; section < 4; section++) {
    counts[section] = input.u8() & 3;
    for (let i = 0; i < counts[section]!; i++) body.push(...record(input));
  }
  if ((shape & 8) !== 0) counts[input.below(4)] = input.u8();
  const bytes = [0, 0, ...flags, ...counts.flatMap((count) => [0, count]), ...body];
  for (let changes = (shape >>> 4) & 3; changes > 0; changes--) bytes[2 + input.below(200)] = input.u8();
  const whole = Array.from(bytes, (byte) => byte ?? 0);
  return (shape & 0x80) === 0 ? whole : whole.slice(0, whole.length - input.below(40));
}

const name = (input: Input): number[] => input.pick(NAMES);

function record(input: Input): number[] {
  const type = input.pick(TYPES);
  const ttl = input.pick(TTLS);
  const data = dataOf(type, input);
  const length = (input.u8() & 15) === 15 ? input.u16() & 0x1ff : data.length;
  return [...name(input), 0, type, 0, 1, ...ttl, length >>> 8, length & 255, ...data];
}

function dataOf(type: number, input: Input): number[] {
  if (type === 1) return [192, 0, 2, input.u8()];
  if (type === 2 || type === 5 || type === 12) return name(input);
  if (type === 6) return [...name(input), ...name(input), ...new Array<number>(19).fill(0), input.u8()];
  return [...input.take(input.u8() & 31)];
}

/** UDP whose sockets are in the hands of the target. */
class FakeUdp {
  readonly open = new Map<UdpSocket, { readonly handlers: UdpHandlers; id: number }>();

  bind(_: unknown, handlers: UdpHandlers): UdpSocket {
    const entry = { handlers, id: 0 };
    const socket = {
      context: null,
      send: (bytes: Uint8Array) => {
        check(this.open.has(socket), 'a query from a socket that is closed');
        entry.id = (bytes[0]! << 8) | bytes[1]!;
        return true;
      },
      close: () => this.open.delete(socket),
    } as unknown as UdpSocket;
    this.open.set(socket, entry);
    return socket;
  }
}

class FakeTime {
  private readonly timers: { readonly at: number; readonly call: () => void }[] = [];
  private time = 0;

  readonly now = (): number => this.time;

  readonly after = (ms: number, call: () => void): (() => void) => {
    const timer = { at: this.time + ms, call };
    this.timers.push(timer);
    return () => {
      const index = this.timers.indexOf(timer);
      if (index >= 0) this.timers.splice(index, 1);
    };
  };

  /** Fires the next timer. Returns whether there was one. */
  advance(): boolean {
    const [timer] = this.timers.sort((a, b) => a.at - b.at).splice(0, 1);
    if (timer === undefined) return false;
    this.time = timer.at;
    timer.call();
    return true;
  }
}

/** Runs the steps with `poison` around each message. Returns what came of it. */
function play(all: readonly Step[], poison: number): { result: Resolution; report: Record<string, number> } {
  const udp = new FakeUdp();
  const time = new FakeTime();
  let piece = 1;
  const wire = new FakeWire({ piece: () => piece });
  const stream: { server: Connection | null; id: number } = { server: null, id: 0 };
  wire.tcp.listen(
    { port: 53 },
    {
      data(c, bytes, offset) {
        stream.server = c;
        stream.id = (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
      },
      end: (c) => c.end(),
      close: () => {
        stream.server = null;
      },
    },
  );
  /** Overwrites the first two bytes of a message. */
  const withId = ({ bytes, isOurs }: Message, id: number): Uint8Array => {
    const sent = isOurs ? id : id ^ 1;
    return Uint8Array.from(bytes, (byte, i) => (i === 0 ? sent >>> 8 : i === 1 ? sent & 255 : byte));
  };
  let word = 7;
  const random = (): number => (word = Math.imul(word, 0x9e3779b1) + 1);
  const resolver = new Resolver({
    ...{ udp, tcp: wire.tcp, servers: SERVERS, tries: 1, timers: time, random },
  });
  const results: Resolution[] = [];
  resolver.lookup('a.test', (resolution) => results.push(resolution));
  for (const step of all) {
    if (results.length > 0) break;
    const [open] = udp.open;
    if (step.kind !== 'message') {
      if (step.kind === 'error' && open !== undefined) {
        open[1].handlers.error!(open[0], netError('ECONNREFUSED', 'nobody listens'));
      } else {
        time.advance();
      }
    } else if (stream.server !== null) {
      piece = step.piece;
      const bytes = withId(step, stream.id);
      stream.server.write(Uint8Array.of(bytes.length >>> 8, bytes.length & 255, ...bytes));
    } else if (open !== undefined) {
      const bytes = withId(step, open[1].id);
      const memory = new Uint8Array(bytes.length + 64).fill(poison);
      memory.set(bytes, 32);
      open[1].handlers.message!(open[0], memory, 32, bytes.length, 0x0a000002, 53);
      memory.fill(poison);
    }
    wire.run();
  }
  while (results.length === 0) check(time.advance(), 'the lookup has no answer, and no timer runs');
  wire.run();
  check(!time.advance(), 'a timer is left');
  check(results.length === 1, `${results.length} answers to one lookup`);
  check(udp.open.size === 0, 'a socket is left');
  const report = resolver.report();
  check(report.dns_waiting === 0, 'a lookup still waits');
  check(report.dns_queries! <= MOST_QUERIES, `${report.dns_queries} queries`);
  return { result: results[0]!, report };
}

export const dns: FuzzTarget = {
  name: 'dns',
  summary: 'messages of DNS servers through the resolver: one sound answer, nothing left behind, no over-read',
  maxBytes: 400,
  prepare: (feedback) => ({
    run(input: Input): void {
      const all = steps(input);
      const { result, report } = play(all, 0);
      if (result.kind === 'found') {
        const { addresses } = result;
        check(addresses.length > 0 && addresses.length <= 256, `${addresses.length} addresses`);
        check(addresses.every(isIPv4), `addresses ${addresses.join()}`);
      }
      const { ttl = 0 } = result as { ttl?: number };
      check(Number.isInteger(ttl) && ttl >= 0 && ttl <= 3600, `a time to live of ${ttl}`);
      const again = play(all, 0xff);
      check(JSON.stringify({ result, report }) === JSON.stringify(again), 'bytes around a message decide');
      for (const [i, value] of Object.values(report).entries()) feedback.mark(i * 4 + Math.min(value, 3));
      feedback.mark(200 + result.kind.length);
    },
  }),
};
