/**
 * One question to one server: by UDP from a port and with an id that nobody can guess (RFC 5452, 4), and by TCP when the
 * answer is too long (RFC 7766, 5).
 */
import type { Connection, Tcp, TcpHandlers, Udp, UdpHandlers, UdpSocket } from '../../tcpip/index.js';
import type { RandomSource } from '../../tcpip/ip/random.js';
import { parseIpv4 } from '../../wire/address.js';
import { DNS } from './counters.js';
import { encodeQuery, type Outcome, RCODE_FORMAT_ERROR, readAnswer } from './message.js';
import type { DnsServer } from './server.js';
import type { Timers } from './time.js';

/** What exchanges share. */
export interface ExchangeContext {
  readonly udp: Pick<Udp, 'bind'>;
  readonly tcp: Pick<Tcp, 'connect'>;
  readonly timers: Timers;
  readonly random: RandomSource;
  /** Called after something was sent, perhaps outside of the stack's poll. */
  readonly flush: () => void;
  /** How long an answer may take by UDP, and again by TCP. */
  readonly timeoutMs: number;
  /** Values of the counters. */
  readonly counts: Float64Array;
}

/** How an exchange ends without an answer. */
export type Failure = { readonly kind: 'timeout' | 'unreachable' };

/** After so many wrong messages somebody guesses ids: TCP has more to guess (RFC 5452, 9.3). */
const MAX_WRONG = 20;
const LENGTH_BYTES = 2;

const UDP_HANDLERS: UdpHandlers = {
  message(socket, bytes, offset, length) {
    (socket.context as Exchange).datagram(bytes, offset, length);
  },
  error(socket) {
    (socket.context as Exchange).fail('unreachable');
  },
};

const TCP_HANDLERS: TcpHandlers = {
  open(connection) {
    (connection.context as Exchange).opened(connection);
  },
  data(connection, bytes, offset, length) {
    (connection.context as Exchange).stream(bytes, offset, length);
  },
  end(connection) {
    (connection.context as Exchange).fail('unreachable');
  },
  close(connection) {
    (connection.context as Exchange).closed();
  },
};

export class Exchange {
  private socket: UdpSocket | null = null;
  private connection: Connection | null = null;
  private stopTimer: (() => void) | null = null;
  private id = 0;
  private withEdns = true;
  private wrong = 0;
  private isOver = false;
  /** The message that comes by TCP, with its length in front. */
  private received = Buffer.alloc(LENGTH_BYTES);
  private receivedBytes = 0;

  /**
   * @param name canonical
   * @param done is called once, not before {@link start} returns
   */
  constructor(
    private readonly context: ExchangeContext,
    private readonly server: DnsServer,
    private readonly name: string,
    private readonly done: (outcome: Outcome | Failure) => void,
  ) {}

  /** Sends the query. */
  start(): void {
    const { udp, timers, timeoutMs } = this.context;
    this.stopTimer = timers.after(timeoutMs, () => this.fail('timeout'));
    try {
      this.socket = udp.bind({ peer: this.server }, UDP_HANDLERS);
      this.socket.context = this;
      this.sendDatagram(this.socket);
    } catch {
      this.failSoon();
    }
  }

  /** Ends without calling `done`. */
  cancel(): void {
    this.isOver = true;
    this.stopTimer?.();
    this.socket?.close();
    this.socket = null;
    const { connection } = this;
    this.connection = null;
    connection?.abort();
  }

  datagram(bytes: Uint8Array, offset: number, length: number): void {
    const { counts } = this.context;
    const outcome = readAnswer(copyOf(bytes, offset, length), this.id, this.name);
    if (outcome === null) {
      counts[DNS.dns_drop_wrong]++;
      if (++this.wrong === MAX_WRONG) this.changeToTcp();
    } else if (outcome.kind === 'truncated') {
      this.changeToTcp();
    } else if (outcome.kind === 'refused' && outcome.rcode === RCODE_FORMAT_ERROR && this.withEdns) {
      // RFC 6891, 6.2.2: a server that does not know EDNS.
      this.withEdns = false;
      this.sendDatagram(this.socket!);
    } else {
      this.finish(outcome);
    }
  }

  opened(connection: Connection): void {
    const query = this.query();
    const framed = Buffer.alloc(LENGTH_BYTES + query.length);
    framed.writeUInt16BE(query.length);
    query.copy(framed, LENGTH_BYTES);
    connection.write(framed);
  }

  stream(bytes: Uint8Array, offset: number, length: number): void {
    for (let at = 0; at < length && !this.isOver; ) {
      const part = Math.min(length - at, this.received.length - this.receivedBytes);
      this.received.set(bytes.subarray(offset + at, offset + at + part), this.receivedBytes);
      this.receivedBytes += part;
      at += part;
      if (this.receivedBytes === this.received.length) this.filled();
    }
  }

  fail(kind: Failure['kind']): void {
    if (this.isOver) return;
    this.context.counts[kind === 'timeout' ? DNS.dns_timeouts : DNS.dns_unreachable]++;
    this.finish({ kind });
  }

  closed(): void {
    this.connection = null;
    this.fail('unreachable');
  }

  private sendDatagram(socket: UdpSocket): void {
    const { server, context } = this;
    // If it cannot be sent, it is as good as lost.
    socket.send(this.query(), 0, undefined, parseIpv4(server.address), server.port);
    context.flush();
  }

  /** Makes the query, with a new id. */
  private query(): Buffer {
    const { random, counts } = this.context;
    counts[DNS.dns_queries]++;
    this.id = random() & 0xffff;
    return encodeQuery(this.id, this.name, this.withEdns);
  }

  private changeToTcp(): void {
    const { tcp, timers, timeoutMs, counts } = this.context;
    this.socket?.close();
    this.socket = null;
    this.stopTimer?.();
    this.stopTimer = timers.after(timeoutMs, () => this.fail('timeout'));
    counts[DNS.dns_tcp]++;
    try {
      this.connection = tcp.connect({ ...this.server }, TCP_HANDLERS);
      this.connection.context = this;
    } catch {
      this.failSoon();
    }
  }

  /** The length of the message has come, or the message itself. */
  private filled(): void {
    if (this.received.length === LENGTH_BYTES) {
      this.received = Buffer.concat([this.received, Buffer.alloc(this.received.readUInt16BE(0))]);
      if (this.received.length > LENGTH_BYTES) return;
    }
    const outcome = readAnswer(this.received.subarray(LENGTH_BYTES), this.id, this.name);
    if (outcome === null || outcome.kind === 'truncated') {
      this.context.counts[DNS.dns_drop_wrong]++;
      this.fail('unreachable');
    } else {
      this.finish(outcome);
    }
  }

  private failSoon(): void {
    this.stopTimer?.();
    this.stopTimer = this.context.timers.after(0, () => this.fail('unreachable'));
  }

  private finish(outcome: Outcome | Failure): void {
    if (outcome.kind === 'refused') this.context.counts[DNS.dns_refused]++;
    this.cancel();
    this.done(outcome);
  }
}

const copyOf = (bytes: Uint8Array, offset: number, length: number): Buffer =>
  Buffer.from(bytes.subarray(offset, offset + length));
