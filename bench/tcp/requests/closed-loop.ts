/**
 * Loads in which the next request follows the response: on open connections (`rr`), or each request on a connection of its
 * own (`crr`).
 */
import type { Connection, TcpHandlers, TcpIp } from '../../../src/tcpip/index.js';
import { SERVER } from '../../common/sides.js';
import { requestMessage } from './message.js';
import { ECHO_PORT, REQUEST_BYTES } from './setup.js';

/** What a connection still has to receive of its response, in bytes. */
interface Exchange {
  missing: number;
}

export abstract class ClosedLoop {
  /** Responses that have come; with `crr`, connections that are over. */
  done = 0;
  /** Connections that ended when they should not. */
  errors = 0;
  /** Requests that wait for their response; with `crr`, connections that are not over. */
  underWay = 0;
  protected isRunning = false;
  private readonly request = requestMessage();

  constructor(
    protected readonly net: TcpIp,
    protected readonly connections: number,
  ) {}

  /** Opens what is to be open before the first {@link start}; {@link isReady} tells when it is. */
  abstract open(): void;
  abstract get isReady(): boolean;

  /** Sends the first requests. */
  abstract start(): void;

  /** Sends no more. What is under way ends in time. */
  stop(): void {
    this.isRunning = false;
  }

  /** Ends the connections that stay open. */
  close(): void {}

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
export class OpenConnections extends ClosedLoop {
  private readonly opened: Connection[] = [];
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
    for (let i = 0; i < this.connections; i++) this.connect(this.handlers);
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
export class ShortConnections extends ClosedLoop {
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
