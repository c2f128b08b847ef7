/**
 * `node:dgram` over a host: Node's own class, whose sockets get handles of the stack. Members, events, their order, and
 * errors are those of `node:dgram`.
 */
import dgram, { type SocketOptions, type SocketType } from 'node:dgram';
import type { LookupFunction } from 'node:net';
import { setUdpHost } from './hooks.js';
import type { UdpHost } from './udp-host.js';

/** A host that finds the addresses of names. */
export interface NamedUdpHost extends UdpHost {
  /** As `dns.lookup`, over the stack. */
  readonly lookup: LookupFunction;
}

/** The part of `node:dgram` that works over a host. */
export interface Dgram {
  /** As `dgram.Socket`, for `udp4`. */
  readonly Socket: typeof dgram.Socket;
  /** As `dgram.createSocket`, for `udp4`: a socket of another type cannot be bound (EAFNOSUPPORT). */
  readonly createSocket: typeof dgram.createSocket;
}

type Listener = Parameters<typeof dgram.createSocket>[1];
type AnyBind = (this: dgram.Socket, ...args: unknown[]) => dgram.Socket;
type SocketClass = new (options: SocketOptions, listener?: Listener) => dgram.Socket;

/** Makes the module. @param hostOf tells the host, when a socket is bound or looks a name up */
export function makeDgram(hostOf: () => NamedUdpHost): Dgram {
  class Socket extends (dgram.Socket as unknown as SocketClass) {
    // A program may have a property of that name.
    #host: NamedUdpHost | null = null;

    constructor(type: SocketType | SocketOptions, listener?: Listener) {
      const options = typeof type === 'object' && type !== null ? type : { type };
      const lookup: LookupFunction = (...args) => hostOfSocket().lookup(...args);
      super({ ...options, lookup: options.lookup ?? (lookup as NonNullable<SocketOptions['lookup']>) }, listener);
      const hostOfSocket = (): NamedUdpHost => this.#host ?? hostOf();
    }

    override bind(...args: unknown[]): this {
      this.#host ??= hostOf();
      setUdpHost(this, this.#host);
      return (super.bind as AnyBind).apply(this, args) as this;
    }
  }
  return {
    Socket: Socket as unknown as typeof dgram.Socket,
    createSocket: (type: SocketType | SocketOptions, listener?: Listener) => new Socket(type, listener),
  };
}
