/**
 * Where a socket or a server of Node gets its handle: of the stack when it is meant to use the stack, otherwise that of
 * the kernel. A socket is meant to when its own host was set (`tspmd/net`), or when a route of the process says so
 * (`tspmd exec`).
 */
import net from 'node:net';
import { TLSSocket } from 'node:tls';
import { connectArguments } from './connect-arguments.js';
import { ConnectionHandle } from './connection-handle.js';
import type { HandleHost } from './handle-host.js';
import { ListenerHandle } from './listener-handle.js';
import { giveHandle, type HandleRequest, type KernelTcp, KernelTcpClass, ownerOf } from './node-internals.js';
import type { SecureSocket } from './read-handle.js';
import type { Chunk, ChunkOfMany } from './scratch.js';
import { hastenSecureWrites } from './secure-writes.js';

/** Which addresses and ports belong to which host. Null: they are the kernel's. */
export interface Routes {
  /** @param address null: all addresses */
  listen(address: string | null, port: number): HandleHost | null;
  connect(address: string, port: number): HandleHost | null;
  /** As {@link connect}, before a name is looked up: TLS binds itself to a handle as early as that. */
  connectToName(name: string, port: number): HandleHost | null;
  /** @param address the local address of a socket that connects next */
  bind(address: string): HandleHost | null;
}

type Listen2 = (
  this: Listening,
  address: string | null,
  port: number,
  addressType: number,
  backlog: number,
  fd: number | undefined,
  ...more: unknown[]
) => void;

/** What `net.Server` has besides its public members. Programs wrap `_listen2`, and so Node keeps it. */
interface Listening {
  _handle: unknown;
  _listen2: Listen2;
}

/** What `net.Socket` has besides its public members. */
interface Connecting extends net.Socket {
  _handle: unknown;
  _pendingData: unknown;
  _pendingEncoding: string;
  _unrefTimer(): void;
  /** Writes a text or a buffer; with `isVector`, several chunks. */
  _writeGeneric(
    isVector: boolean,
    data: Chunk | readonly ChunkOfMany[],
    encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): unknown;
  _reset(): void;
}

/** What `tls.TLSSocket` has besides its public members. */
interface Wrapping {
  /** @param handle that of `wrap`, if there is one */
  _wrapHandle(wrap: Connecting | null | undefined, handle: unknown, ...more: unknown[]): object;
}

const hosts = new WeakMap<object, HandleHost>();
/** The local ports of sockets that are bound before it is known where they connect to. */
const localPorts = new WeakMap<KernelTcp, number>();
/** Handles that TLS has bound itself to. */
const wrapped = new WeakSet<object>();
/** Where sockets connect to, by the arguments of `connect`. */
const destinations = new WeakMap<object, { readonly name: string; readonly port: number }>();
let routes: Routes | null = null;
let isInstalled = false;

/** Makes a socket or a server use `host` for whatever address it connects to or listens on. */
export function setHost(owner: object, host: HandleHost): void {
  install();
  hosts.set(owner, host);
}

/** Sets what the sockets and servers without a host of their own use. */
export function setRoutes(all: Routes): void {
  install();
  routes = all;
}

/** Gives a socket that has no handle yet one of the stack, before it connects: TLS binds itself to the first one. */
export function giveConnection(socket: net.Socket, host: HandleHost): void {
  giveHandle(socket, new ConnectionHandle(host, null));
}

/** Replaces methods of Node's classes by ones that ask first. */
function install(): void {
  if (isInstalled) return;
  isInstalled = true;
  const server = net.Server.prototype as unknown as Listening;
  const listen2 = server._listen2;
  server._listen2 = function (address, port, addressType, backlog, fd, ...more) {
    const isTcp = (addressType === 4 || addressType === 6) && typeof fd !== 'number' && !this._handle;
    const host = isTcp ? (hosts.get(this) ?? routes?.listen(address, port) ?? null) : null;
    // Node tries IPv6 first for an address that is not given; the stack is IPv4.
    const shown = address === null || address === '::' ? '0.0.0.0' : address;
    if (host !== null) this._handle = new ListenerHandle(host, shown, port);
    listen2.call(this, host === null ? address : shown, port, host === null ? addressType : 4, backlog, fd, ...more);
  };

  const kernel = KernelTcpClass.prototype as KernelTcp;
  const { bind, bind6, connect, connect6 } = kernel;
  kernel.bind = function (address, port) {
    return bindByStack(this, address, port) ?? bind.call(this, address, port);
  };
  kernel.bind6 = function (address, port, flags) {
    return bindByStack(this, address, port) ?? bind6.call(this, address, port, flags);
  };
  kernel.connect = function (request, address, port) {
    return connectByStack(this, request, address, port, 'connect') ?? connect.call(this, request, address, port);
  };
  kernel.connect6 = function (request, address, port) {
    return connectByStack(this, request, address, port, 'connect6') ?? connect6.call(this, request, address, port);
  };

  const secure = TLSSocket.prototype as unknown as Wrapping;
  const { _wrapHandle: wrapHandle } = secure;
  secure._wrapHandle = function (wrap, given, ...more) {
    const early = wrap ? exchangeEarly(wrap) : null;
    const handle = early ?? wrap?._handle;
    if (handle) wrapped.add(handle);
    const secured = wrapHandle.call(this, wrap, early ?? given, ...more);
    if (handle instanceof ConnectionHandle) {
      handle.secure = this as unknown as SecureSocket;
      hastenSecureWrites(secured);
    }
    return secured;
  };

  const socket = net.Socket.prototype as Connecting;
  const { resetAndDestroy, connect: connectSocket, _writeGeneric: writeGeneric } = socket;
  // Node makes a request for each write, an object of C++. None is needed for what the stack takes at once.
  socket._writeGeneric = function (this: Connecting, isVector, data, encoding, done) {
    const { _handle: handle } = this;
    const rest =
      handle instanceof ConnectionHandle && !this.connecting ? handle.writeAtOnce(data, encoding) : undefined;
    if (rest === undefined) return writeGeneric.call(this, isVector, data, encoding, done);
    if (rest !== null) return writeGeneric.call(this, false, rest, 'buffer' as BufferEncoding, done);
    this._pendingData = null;
    this._pendingEncoding = '';
    this._unrefTimer();
    return done();
  };
  socket.connect = function (this: Connecting, ...args: unknown[]) {
    const { host = 'localhost', port, path } = connectArguments(args).options;
    if (!path) destinations.set(this, { name: String(host), port: Number(port) });
    return (connectSocket as (...args: unknown[]) => net.Socket).apply(this, args);
  } as typeof connectSocket;
  socket.resetAndDestroy = function (this: Connecting) {
    // Node allows it for its own TCP handles only.
    if (!(this._handle instanceof ConnectionHandle)) return resetAndDestroy.call(this);
    if (this.connecting) this.once('connect', () => this._reset());
    else this._reset();
    return this;
  };
}

/** Binds a socket to an address of the stack, which will connect. Returns the status, or null when the kernel is to. */
function bindByStack(from: KernelTcp, address: string, port: number): number | null {
  const owner = connectingOwner(from);
  if (owner === null) return null;
  const host = hosts.get(owner) ?? routes?.bind(address) ?? null;
  if (host !== null) return exchange(owner, from, host).bind(address, port);
  localPorts.set(from, port);
  return null;
}

/** Connects by the stack if that is meant. Returns the status, or null when the kernel is to connect. */
function connectByStack(
  from: KernelTcp,
  request: HandleRequest,
  address: string,
  port: number,
  call: 'connect' | 'connect6',
): number | null {
  const owner = connectingOwner(from);
  if (owner === null) return null;
  const host = hosts.get(owner) ?? routes?.connect(address, port) ?? null;
  if (host === null) return null;
  const handle = exchange(owner, from, host);
  const localPort = localPorts.get(from);
  const status = localPort === undefined ? 0 : handle.bind(host.address, localPort);
  return status === 0 ? handle[call](request, address, port) : status;
}

/** The socket that connects by this handle; null for the handle of a server, or of TLS. */
function connectingOwner(from: KernelTcp): Connecting | null {
  const owner = ownerOf(from) as Connecting | null | undefined;
  // TLS binds itself to the first handle: `exec/hook-tls.ts`.
  return owner?._handle === from && !wrapped.has(from) ? owner : null;
}

/** Gives a socket that connects by the kernel, but will connect by the stack, its handle before TLS binds itself to it. */
function exchangeEarly(socket: Connecting): ConnectionHandle | null {
  const { connecting, _handle: from } = socket;
  const to = destinations.get(socket);
  if (!connecting || to === undefined || !(from instanceof KernelTcpClass)) return null;
  const host = hosts.get(socket) ?? routes?.connectToName(to.name, to.port) ?? null;
  return host === null ? null : exchange(socket, from, host);
}

/** Gives a socket a handle of the stack in the place of the kernel's. */
function exchange(owner: Connecting, from: KernelTcp, host: HandleHost): ConnectionHandle {
  const handle = new ConnectionHandle(host, null);
  giveHandle(owner, handle);
  // What a program has put on the handle before goes along.
  for (const [name, value] of Object.entries(from)) {
    if (typeof value === 'function' && name !== 'onread') Object.assign(handle, { [name]: value });
  }
  if (!from.hasRef()) handle.unref();
  from.close();
  return handle;
}
