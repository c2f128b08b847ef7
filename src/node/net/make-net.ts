/**
 * `node:net` over a host: Node's own classes, whose sockets and servers get handles of the stack. Members, events, their
 * order, and errors are those of `node:net`.
 */
import net from 'node:net';
import { connectArguments } from './connect-arguments.js';
import type { HandleHost } from './handle-host.js';
import { giveConnection, setHost } from './hooks.js';

/** A host that finds the addresses of names. */
export interface NamedHost extends HandleHost {
  /** As `dns.lookup`, over the stack. */
  readonly lookup: NonNullable<net.TcpSocketConnectOpts['lookup']>;
}

/** The part of `node:net` that works over a host. */
export interface Net {
  /** As `net.Socket`. */
  readonly Socket: (typeof net)['Socket'];
  /** As `net.Server`. */
  readonly Server: (typeof net)['Server'];
  /** As `net.createServer`. */
  createServer(connectionListener?: (socket: net.Socket) => void): net.Server;
  /** As `net.createServer`. */
  createServer(options?: net.ServerOpts, connectionListener?: (socket: net.Socket) => void): net.Server;
  /** As `net.connect`. */
  connect(options: net.NetConnectOpts, connectionListener?: () => void): net.Socket;
  /** As `net.connect`. */
  connect(port: number, host?: string, connectionListener?: () => void): net.Socket;
  /** As `net.connect`. */
  connect(path: string, connectionListener?: () => void): net.Socket;
  /** As `net.createConnection`. */
  createConnection(options: net.NetConnectOpts, connectionListener?: () => void): net.Socket;
  /** As `net.createConnection`. */
  createConnection(port: number, host?: string, connectionListener?: () => void): net.Socket;
  /** As `net.createConnection`. */
  createConnection(path: string, connectionListener?: () => void): net.Socket;
  /**
   * Makes a server of Node that was not made by this module (of `http`, `https`, `http2`, `tls`) listen on the host.
   * Call it before `listen`. Timeouts, `closeIdleConnections()` and `close()` work as ever.
   * @returns the server
   * @example overHost(http.createServer(app)).listen(80);
   */
  overHost<Server extends net.Server>(server: Server): Server;
}

type AnyConnect = (this: net.Socket, ...args: unknown[]) => net.Socket;

/** Makes the module. @param hostOf tells the host, when a socket connects or a server listens */
export function makeNet(hostOf: () => NamedHost): Net {
  class Socket extends net.Socket {}
  Socket.prototype.connect = function (this: net.Socket, ...args: unknown[]): net.Socket {
    const { options, listener } = connectArguments(args);
    const connect = net.Socket.prototype.connect as AnyConnect;
    if (options.path) return connect.call(this, options, listener);
    const host = hostOf();
    setHost(this, host);
    const { _handle } = this as unknown as { _handle: unknown };
    // Node drops the handle of a socket that connects again, and makes one of the kernel: hooks.ts replaces that.
    if (!this.destroyed && !_handle) giveConnection(this, host);
    const { lookup = host.lookup } = options;
    return connect.call(this, { host: host.address, ...options, lookup }, listener);
  } as typeof Socket.prototype.connect;

  class Server extends net.Server {
    override listen(...args: unknown[]): this {
      setHost(this, hostOf());
      return (super.listen as (...args: unknown[]) => this)(...args);
    }
  }
  const overHost = <Any extends net.Server>(server: Any): Any => {
    setHost(server, hostOf());
    return server;
  };
  const connect = (...args: unknown[]): net.Socket => {
    const { options, listener } = connectArguments(args);
    const socket = new Socket(options as net.SocketConstructorOpts);
    const { timeout } = options;
    if (typeof timeout === 'number') socket.setTimeout(timeout);
    return (socket.connect as AnyConnect).call(socket, options, listener);
  };
  const createServer = (...args: ConstructorParameters<typeof net.Server>): net.Server => new Server(...args);
  return {
    Socket,
    Server,
    createServer: createServer as typeof net.createServer,
    connect: connect as typeof net.connect,
    createConnection: connect as typeof net.createConnection,
    overHost,
  };
}
