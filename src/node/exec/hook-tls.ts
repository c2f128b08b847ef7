/**
 * TLS clients of a program under `tspmd exec`. A `TLSSocket` that connects by itself binds itself to a handle of the
 * kernel before its address is known. So where the stack will connect, `tls.connect` gets a socket of the stack that
 * connects: what programs do themselves to reach a server through a proxy.
 */
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import tls from 'node:tls';
import type { HandleHost } from '../net/handle-host.js';
import { giveConnection } from '../net/hooks.js';

/** Tells by which host a name or an address is reached; null: by the kernel. It is asked before the name is looked up. */
export type HostForName = (name: string, port: number) => HandleHost | null;

type Options = tls.ConnectionOptions & Partial<net.TcpNetConnectOpts>;
type TlsConnect = (...args: unknown[]) => tls.TLSSocket;

/** The options of a call of `tls.connect`: `(options)`, `(port, options)`, `(port, host, options)`. */
function optionsOf(args: readonly unknown[]): Options {
  const options: Options = {};
  for (const arg of args) {
    if (typeof arg === 'object' && arg !== null) Object.assign(options, arg);
    else if (typeof arg === 'string' && Number.isNaN(Number(arg))) options.host = arg;
    else if (typeof arg === 'number' || typeof arg === 'string') options.port = Number(arg);
  }
  return options;
}

export function hookTls(hostFor: HostForName): void {
  const connect = tls.connect as TlsConnect;
  const replacement: TlsConnect = (...args) => {
    const options = optionsOf(args);
    const { host: name = 'localhost', port, path, socket } = options;
    const host = socket !== undefined || path || port === undefined ? null : hostFor(name, port);
    if (host === null) return connect(...args);
    const below = new net.Socket({ allowHalfOpen: options.allowHalfOpen ?? false });
    giveConnection(below, host);
    const { lookup, localAddress, localPort, timeout, noDelay, keepAlive, keepAliveInitialDelay, signal } = options;
    below.connect(
      defined({ host: name, port, lookup, localAddress, localPort, noDelay, keepAlive, keepAliveInitialDelay, signal }),
    );
    const last = args.at(-1);
    const above = connectAbove(below, () =>
      connect({ ...options, socket: below }, ...(typeof last === 'function' ? [last] : [])),
    );
    // A signal destroys what it knows of.
    above.once('close', () => below.destroy());
    if (timeout) above.setTimeout(timeout);
    return above;
  };
  tls.connect = replacement as typeof tls.connect;
  syncBuiltinESMExports();
}

/** A socket below that nobody gets, because wrong options of TLS throw, does not stay. */
function connectAbove(below: net.Socket, connect: () => tls.TLSSocket): tls.TLSSocket {
  try {
    return connect();
  } catch (error) {
    below.destroy();
    throw error;
  }
}

/** The same without what is undefined. */
function defined(options: Record<string, unknown>): net.TcpSocketConnectOpts {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as net.TcpSocketConnectOpts;
}
