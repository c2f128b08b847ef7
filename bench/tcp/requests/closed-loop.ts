/** The loads of `rr`, whose connections stay open, and of `crr`, which has a connection for each request. */
import type { Connection, TcpHandlers, TcpIp } from '../../../src/tcpip/index.js';
import { ClosedLoop } from '../../common/load/closed-loop.js';
import { SERVER } from '../../common/sides.js';
import { requestMessage } from './message.js';
import { ECHO_PORT, REQUEST_BYTES } from './setup.js';

/** What a connection still has to receive of its response, in bytes. */
interface Exchange {
  missing: number;
}

/** With `crr`, a request is done when its connection is over. */
abstract class EchoLoop extends ClosedLoop {
  private readonly request = requestMessage();

  constructor(
    protected readonly net: TcpIp,
    protected readonly connections: number,
  ) {
    super();
  }

  protected send(connection: Connection): void {
    (connection.context as Exchange).missing = REQUEST_BYTES;
    connection.write(this.request);
  }

  /** Returns whether the response is complete with these bytes. */
  protected receive(connection: Connection, bytes: number): boolean {
    const exchange = connection.context as Exchange;
    exchange.missing -= bytes;
    return exchange.missing <= 0;
  }

  protected connect(handlers: TcpHandlers): void {
    const connection = this.net.tcp.connect({ address: SERVER.ip, port: ECHO_PORT, noDelay: true }, handlers);
    connection.context = { missing: 0 } satisfies Exchange;
  }
}

/** Requests on open connections. */
export class OpenConnections extends EchoLoop {
  private readonly opened: Connection[] = [];
  /** Connections that were asked for. */
  private begun = 0;
  private readonly handlers: TcpHandlers = {
    open: (connection) => this.opened.push(connection),
    data: (connection, _bytes, _offset, length) => {
      if (!this.receive(connection, length)) return;
      this.done++;
      if (this.isRunning) this.send(connection);
      else this.underWay--;
    },
    close: () => this.errors++,
  };

  open(): void {
    for (; this.begun < this.connections; this.begun++) this.connect(this.handlers);
  }

  override close(): void {
    for (const connection of this.opened) connection.abort();
  }

  get isReady(): boolean {
    return this.opened.length === this.connections;
  }

  start(): void {
    this.isRunning = true;
    this.underWay = this.opened.length;
    for (const connection of this.opened) this.send(connection);
  }
}

/** A connection for each request. The load closes first, so TIME-WAIT is here and not at the server. */
export class ShortConnections extends EchoLoop {
  readonly isReady = true;
  private readonly handlers: TcpHandlers = {
    open: (connection) => this.send(connection),
    data: (connection, _bytes, _offset, length) => {
      if (this.receive(connection, length)) connection.end();
    },
    close: (_, error) => {
      if (error === null) this.done++;
      else this.errors++;
      if (this.isRunning) this.connect(this.handlers);
      else this.underWay--;
    },
  };

  open(): void {}

  start(): void {
    this.isRunning = true;
    this.underWay = this.connections;
    for (let i = 0; i < this.connections; i++) this.connect(this.handlers);
  }
}
