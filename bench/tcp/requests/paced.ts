/**
 * A load that has requests on a schedule, whether the server has answered or not. A connection has one request under way
 * at a time (sockperf ends a connection on which many come together); those that are due meanwhile wait. Times count from the
 * moment when a request was due: a server that stalls has to answer for all requests that were due meanwhile.
 */
import { monotonicMs } from '../../../drivers/libc/index.js';
import type { Connection, TcpHandlers, TcpIp } from '../../../src/tcpip/index.js';
import { SERVER } from '../../common/sides.js';
import { Times } from '../../latency/times.js';
import { requestMessage } from './message.js';
import { ECHO_PORT, type PacedRun, PERCENTS, REQUEST_BYTES } from './setup.js';

/** Requests of one connection that may wait; a power of two. */
const MOST_WAITING = 512;
/** Requests that become due in one poll. */
const MOST_PER_POLL = 64;

/** When the requests of a connection were due that have no response yet, in order. */
class Waiting {
  readonly due = new Float64Array(MOST_WAITING);
  /** Numbers of requests that were answered, that were sent, and that were due. */
  head = 0;
  sent = 0;
  tail = 0;
  /** Bytes of a response that is not complete. */
  bytes = 0;
}

export class Paced {
  errors = 0;
  /** Why the last of these connections has ended. */
  fault = '';
  private readonly opened: Connection[] = [];
  private readonly request = requestMessage();
  private readonly times = new Times();
  private underWay = 0;
  private unsent = 0;
  private turn = 0;
  /** When the next request is due; Infinity while none is. */
  private next = Number.POSITIVE_INFINITY;
  private interval = 0;
  private readonly handlers: TcpHandlers = {
    open: (connection) => this.opened.push(connection),
    data: (connection, _bytes, _offset, length) => this.receive(connection, connection.context as Waiting, length),
    close: (_, error) => {
      this.errors++;
      this.fault = error?.message ?? 'ended by the server';
      this.stop();
    },
  };

  constructor(
    private readonly net: TcpIp,
    private readonly connections: number,
  ) {}

  open(): void {
    for (let i = 0; i < this.connections; i++) {
      const connection = this.net.tcp.connect({ address: SERVER.ip, port: ECHO_PORT, noDelay: true }, this.handlers);
      connection.context = new Waiting();
    }
  }

  get isReady(): boolean {
    return this.opened.length === this.connections;
  }

  /** Whether no request waits for a response that may still come. */
  get isIdle(): boolean {
    return this.underWay === 0 || this.errors > 0;
  }

  /** Begins a schedule of so many requests per second. */
  start(perSecond: number): void {
    this.times.clear();
    this.unsent = 0;
    this.interval = 1000 / perSecond;
    if (this.errors === 0) this.next = monotonicMs();
  }

  /** Ends the schedule. */
  stop(): void {
    this.next = Number.POSITIVE_INFINITY;
  }

  /** What there is to tell of the last schedule. */
  result(seconds: number): PacedRun {
    const { times, unsent, errors } = this;
    const percentiles = PERCENTS.map((percent) => times.percentile(percent));
    return { rate: times.count / seconds, percentiles, unsent, errors };
  }

  /** Sends what is due. To be called at each poll of the stack. */
  poll(): number {
    const now = monotonicMs();
    let sent = 0;
    for (; this.next <= now && sent < MOST_PER_POLL; this.next += this.interval) {
      const connection = this.opened[this.turn];
      this.turn = this.turn + 1 === this.connections ? 0 : this.turn + 1;
      const waiting = connection.context as Waiting;
      sent++;
      if (waiting.tail - waiting.head === MOST_WAITING) {
        this.unsent++;
        continue;
      }
      waiting.due[waiting.tail++ & (MOST_WAITING - 1)] = this.next;
      this.underWay++;
      this.sendNext(connection, waiting);
    }
    return sent;
  }

  /** Sends the next request of a connection that has none under way. */
  private sendNext(connection: Connection, waiting: Waiting): void {
    if (waiting.sent !== waiting.head || waiting.sent === waiting.tail) return;
    connection.write(this.request);
    waiting.sent++;
  }

  private receive(connection: Connection, waiting: Waiting, length: number): void {
    const now = monotonicMs();
    waiting.bytes += length;
    for (; waiting.bytes >= REQUEST_BYTES; waiting.bytes -= REQUEST_BYTES) {
      this.times.record(now - waiting.due[waiting.head & (MOST_WAITING - 1)]);
      waiting.head++;
      this.underWay--;
    }
    this.sendNext(connection, waiting);
  }
}
