/**
 * A TCP connection of the stack in the place of libuv's: what `net.Socket` has as its `_handle`. Node's own code above
 * it makes the events, their order and their errors; http's parser, TLS and HTTP/2 use it as they use the kernel's.
 */
import { AsyncResource } from 'node:async_hooks';
import type { Connection, TcpHandlers } from '../../tcpip/index.js';
import { HandleRef } from '../refs.js';
import { type HandleHost, ipv4In, type OpenHandle } from './handle-host.js';
import { type HandleRequest, statusOf } from './node-internals.js';
import { ReadHandle } from './read-handle.js';

/** What `getsockname` and `getpeername` fill. */
export interface NameOut {
  address?: string;
  port?: number;
  family?: string;
}

const asError = (error: Error | null): string => (error as NodeJS.ErrnoException | null)?.code ?? 'ECONNRESET';

/** The handlers of all connections with a handle: `context` is the handle. */
export const HANDLERS: TcpHandlers = {
  open: (connection) => (connection.context as ConnectionHandle).opened(),
  data: (connection, bytes, offset, length) => {
    (connection.context as ConnectionHandle).received(bytes, offset, length);
  },
  drain: (connection) => (connection.context as ConnectionHandle).drained(),
  end: (connection) => (connection.context as ConnectionHandle).ended(),
  close: (connection, error) => (connection.context as ConnectionHandle).closed(error),
};

/** Linux takes no longer time than that before the first probe of keep-alive, in s: MAX_TCP_KEEPIDLE. */
const MAX_KEEP_ALIVE = 32_767;
/** States of a closed connection in which our FIN, and maybe data before it, was not acknowledged. */
const UNACKNOWLEDGED_STATES = ['SYN-RECEIVED', 'FIN-WAIT-1', 'CLOSING', 'LAST-ACK'];

export class ConnectionHandle extends ReadHandle implements OpenHandle {
  private connecting: { request: HandleRequest; context: AsyncResource } | null = null;
  private localPort: number | undefined;
  private peer: NameOut | null = null;
  private own: NameOut | null = null;
  private noDelay = false;
  private keepAliveMs = 0;
  private isOpening = false;
  private readonly keeper: HandleRef;

  /** @param accepted the connection, if it came to a listener */
  constructor(host: HandleHost, accepted: Connection | null) {
    super(host, accepted);
    this.keeper = new HandleRef(host.refs);
    if (accepted !== null) host.open.add(this);
  }

  get isUnsent(): boolean {
    const { connection } = this;
    if (!this.isClosed || connection === null) return false;
    // From the close on, the state is that of a connection whose FIN was sent, whatever waits before it.
    return connection.state === 'SYN-RECEIVED' || connection.info().unsent > 0;
  }

  get unacknowledgedBytes(): number {
    return this.connection?.buffered ?? 0;
  }

  get isUnacknowledged(): boolean {
    return this.isClosed && this.connection !== null && UNACKNOWLEDGED_STATES.includes(this.connection.state);
  }

  // -- Connecting ----------------------------------------------------------------------------------------------------

  bind(address: string, port: number): number {
    if (!this.host.isOwnAddress(address)) return statusOf('EADDRNOTAVAIL');
    if (this.host.stack.tcp.isListening(port)) return statusOf('EADDRINUSE');
    this.localPort = port === 0 ? undefined : port;
    this.own = { address, family: 'IPv4', port };
    return 0;
  }

  bind6(address: string, port: number): number {
    return this.bind(address === '::' ? '0.0.0.0' : address, port);
  }

  /** @returns 0, or a negative errno. `request.oncomplete` follows. */
  connect(request: HandleRequest, address: string, port: number): number {
    try {
      const to = this.host.stackAddress(address);
      const { localPort } = this;
      const options = { address: to, port, ...(localPort === undefined ? {} : { localPort }) };
      this.connection = this.host.stack.tcp.connect(options, HANDLERS);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // As Linux: it is the pair of addresses that is taken.
      if (code === 'EADDRINUSE') return statusOf('EADDRNOTAVAIL');
      return statusOf(code !== undefined && /^E[A-Z]+$/.test(code) ? code : 'EHOSTUNREACH');
    }
    this.connection.context = this;
    this.host.open.add(this);
    this.connecting = { request, context: new AsyncResource('TCPCONNECTWRAP') };
    this.own = { address: this.host.address, family: 'IPv4', port: this.connection.localPort };
    this.count();
    return 0;
  }

  connect6(request: HandleRequest, address: string, port: number): number {
    const mapped = ipv4In(address);
    return mapped === null ? statusOf('EAFNOSUPPORT') : this.connect(request, mapped, port);
  }

  // -- What the stack calls ------------------------------------------------------------------------------------------

  opened(): void {
    const { connecting } = this;
    if (connecting === null) return;
    this.connecting = null;
    if (this.noDelay) this.connection?.setNoDelay(true);
    if (this.keepAliveMs > 0) this.connection?.setKeepAlive(this.keepAliveMs);
    this.isOpening = true;
    this.complete(connecting.request, 0, connecting.context, this, connecting.request, true, true);
    this.isOpening = false;
    this.waitForReader();
  }

  closed(error: Error | null): void {
    const { connecting } = this;
    this.connection = null;
    this.host.forget(this);
    this.host.open.delete(this);
    if (connecting !== null) {
      this.connecting = null;
      const status = statusOf(error === null ? 'ECANCELED' : asError(error));
      if (!this.isClosed) this.complete(connecting.request, status, connecting.context, this, connecting.request);
    } else if (error !== null || !this.hasEnded) {
      // An end without an error and without the peer's FIN: the stack has stopped.
      this.fault = asError(error);
      // As Linux, in CLOSE-WAIT.
      if (this.hasEnded && this.fault === 'ECONNRESET') this.fault = 'EPIPE';
    }
    this.tellFault();
    this.cancelWrites(this.fault ?? 'EPIPE');
    this.count();
  }

  /** Called once `net.Socket` knows of an accepted connection. */
  accepted(): void {
    this.waitForReader();
  }

  /** Keeps data that nobody has asked for yet. One that was closed meanwhile must hear of data and of the peer's end. */
  private waitForReader(): void {
    if (!this.isReading && !this.isClosed) this.connection?.pause();
    this.count();
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /** `net.Socket` is destroyed. What the stack has taken is sent yet, as the kernel does. */
  close(done?: () => void): void {
    if (!this.isClosed) {
      this.isClosed = true;
      this.cancelWrites('ECANCELED');
      const { connection } = this;
      // Linux resets a connection whose data was not read (RFC 2525, 2.17).
      if (connection !== null) this.hasUnread ? connection.abort() : this.endOrphan(connection);
      this.count();
    }
    this.closeAfterTurn(done);
  }

  /** `resetAndDestroy`. */
  reset(done?: () => void): number {
    this.isClosed = true;
    this.cancelWrites('ECANCELED');
    // The peer's listener would never hear of the connection if a RST left in the place of the handshake's last ACK.
    if (this.isOpening) this.host.afterTurn(() => this.connection?.abort());
    else this.connection?.abort();
    this.count();
    this.closeAfterTurn(done);
    return 0;
  }

  // -- The rest ------------------------------------------------------------------------------------------------------

  getsockname(out: NameOut): number {
    return this.name(out, false);
  }

  getpeername(out: NameOut): number {
    return this.name(out, true);
  }

  setNoDelay(enable: boolean): number {
    this.noDelay = enable;
    this.connection?.setNoDelay(enable);
    return 0;
  }

  /** @param seconds until the first probe; 0: the default of Linux */
  setKeepAlive(enable: boolean, seconds: number): number {
    if (enable && seconds > MAX_KEEP_ALIVE) return statusOf('EINVAL');
    this.keepAliveMs = enable ? (seconds > 0 ? seconds : 7200) * 1000 : 0;
    if (this.connecting === null) this.connection?.setKeepAlive(this.keepAliveMs);
    return 0;
  }

  setTypeOfService(): number {
    return 0;
  }

  getTypeOfService(): number {
    return 0;
  }

  open(): number {
    return statusOf('EINVAL');
  }

  ref(): void {
    this.keeper.ref();
  }

  unref(): void {
    this.keeper.unref();
  }

  hasRef(): boolean {
    return this.keeper.hasRef();
  }

  abort(): void {
    this.connection?.abort();
  }

  private endOrphan(connection: Connection): void {
    connection.resume();
    connection.end();
    if (this.connection === connection) this.host.remember(this);
  }

  private name(out: NameOut, isPeer: boolean): number {
    const { connection } = this;
    if (connection !== null) {
      this.own ??= { address: this.host.address, family: 'IPv4', port: connection.localPort };
      this.peer ??= {
        address: this.host.shownAddress(connection.remoteAddress),
        family: 'IPv4',
        port: connection.remotePort,
      };
    }
    const name = isPeer ? this.peer : this.own;
    if (name === null || (isPeer && this.connecting !== null)) return statusOf('ENOTCONN');
    Object.assign(out, name);
    return 0;
  }

  /** libuv's rule: a stream keeps the loop alive while it connects, reads or writes. */
  protected count(): void {
    this.keeper.setActive(
      this.connection !== null &&
        !this.isClosed &&
        (this.connecting !== null || (this.isReading && !this.isEndTold) || this.hasWaitingWrites),
    );
  }
}
