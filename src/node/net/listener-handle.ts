/** A listener of the stack in the place of libuv's: what `net.Server` has as its `_handle`. */
import { AsyncResource } from 'node:async_hooks';
import type { Listener, TcpHandlers } from '../../tcpip/index.js';
import { HandleRef } from '../refs.js';
import { ConnectionHandle, HANDLERS, type NameOut } from './connection-handle.js';
import type { HandleHost, OpenHandle } from './handle-host.js';
import { statusOf } from './node-internals.js';

/** The address that means all of ours. */
const ANY = '0.0.0.0';
/** As Linux's somaxconn: what a program asks for beyond is no error. */
const MAX_BACKLOG = 4096;

export class ListenerHandle implements OpenHandle {
  readonly isUnsent = false;
  readonly isUnacknowledged = false;
  readonly unacknowledgedBytes = 0;
  /** `net.Server` sets it. */
  onconnection: (this: ListenerHandle, status: number, handle: ConnectionHandle) => void = () => {};
  private listener: Listener | null = null;
  private readonly keeper: HandleRef;
  private readonly context = new AsyncResource('TCPSERVERWRAP');
  private readonly handlers: TcpHandlers = {
    ...HANDLERS,
    open: (connection) => {
      const handle = new ConnectionHandle(this.host, connection);
      connection.context = handle;
      // Its handshake began before the listener was closed: Linux resets it, too.
      if (this.listener === null) {
        handle.reset();
        return;
      }
      try {
        this.context.runInAsyncScope(this.onconnection, this, 0, handle);
      } catch (error) {
        this.host.uncaught(error);
      }
      handle.accepted();
    },
  };

  /** @param shown the address that `server.address()` tells */
  constructor(
    private readonly host: HandleHost,
    private readonly shown: string,
    private readonly port: number,
  ) {
    this.keeper = new HandleRef(host.refs);
  }

  /** @returns 0, or a negative errno */
  listen(backlog: number): number {
    try {
      const { port } = this;
      this.listener = this.host.stack.tcp.listen(
        { port, backlog: Math.min(Math.max(backlog | 0, 1), MAX_BACKLOG) },
        this.handlers,
      );
    } catch (error) {
      return statusOf((error as NodeJS.ErrnoException).code ?? 'EINVAL');
    }
    this.keeper.setActive(true);
    this.host.open.add(this);
    if (this.shown === ANY) this.host.wildcardPorts.add(this.listener.port);
    return 0;
  }

  close(done?: () => void): void {
    const { listener, host } = this;
    if (listener !== null) {
      listener.close();
      host.open.delete(this);
      if (this.shown === ANY) host.wildcardPorts.delete(listener.port);
      this.listener = null;
      this.keeper.setActive(false);
    }
    if (done !== undefined) this.host.afterTurn(() => this.context.runInAsyncScope(done, this));
  }

  abort(): void {
    this.close();
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

  getsockname(out: NameOut): number {
    out.address = this.shown;
    out.family = 'IPv4';
    out.port = this.listener?.port ?? this.port;
    return 0;
  }

  getAsyncId(): number {
    return this.context.asyncId();
  }
}
