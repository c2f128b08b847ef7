/**
 * Where a UDP socket of Node gets its handle: at its bind, which `send` and `connect` do for a socket that was not bound.
 * It gets one of the stack when its own host was set (`tspmd/dgram`), or when a route of the process says so
 * (`tspmd exec`); otherwise it keeps that of the kernel.
 */
import dgram from 'node:dgram';
import { statusOf } from '../net/node-internals.js';
import { stateOf, type UdpHandleLike } from './node-internals.js';
import { UdpHandle } from './udp-handle.js';
import type { UdpHost } from './udp-host.js';

/** Which addresses and ports belong to which host. */
export interface DgramRoutes {
  /** Returns the host of a socket that is bound to `address` and `port`; null: it is the kernel's. */
  bindUdp(address: string, port: number): UdpHost | null;
  /**
   * Whether a datagram that a socket of the stack sends to `address` and `port` goes by the kernel. Only loopback
   * addresses can be reached so.
   */
  isKernelsUdp(address: string, port: number): boolean;
}

/** A socket of one host has nothing to do with the kernel. */
const allBy = (host: UdpHost): DgramRoutes => ({ bindUdp: () => host, isKernelsUdp: () => false });

const hosts = new WeakMap<dgram.Socket, UdpHost>();
let routes: DgramRoutes | null = null;
let isInstalled = false;

/** Makes a socket use `host`, whatever it is bound to. */
export function setUdpHost(socket: dgram.Socket, host: UdpHost): void {
  install();
  hosts.set(socket, host);
}

/** Sets what the sockets of the process use that have no host of their own. Sockets that are bound already stay. */
export function hookDgram(all: DgramRoutes): void {
  install();
  routes = all;
}

type Bind = (this: dgram.Socket, ...args: unknown[]) => dgram.Socket;

function install(): void {
  if (isInstalled) return;
  isInstalled = true;
  const prototype = dgram.Socket.prototype as unknown as { bind: Bind };
  const { bind } = prototype;
  prototype.bind = function (...args) {
    const host = hosts.get(this);
    const chosen = host === undefined ? routes : allBy(host);
    const handle = stateOf(this)?.handle ?? null;
    if (chosen !== null && handle !== null && !(handle instanceof UdpHandle)) prepare(this, handle, chosen, host);
    return bind.apply(this, args);
  };
}

/** Lets the handle of the kernel ask at its bind whether it stays. */
function prepare(socket: dgram.Socket, kernel: UdpHandleLike, chosen: DgramRoutes, own: UdpHost | undefined): void {
  const isUdp4 = (socket as unknown as { type: string }).type === 'udp4';
  // The stack has IPv4 only. A socket that asked for it must not get the kernel.
  if (!isUdp4 && own !== undefined) kernel.bind = () => statusOf('EAFNOSUPPORT');
  if (!isUdp4) return;
  const { bind } = Object.getPrototypeOf(kernel) as UdpHandleLike;
  kernel.bind = (address, port, flags) => {
    const host = chosen.bindUdp(address, port);
    const state = stateOf(socket);
    if (host === null || state === null) return bind.call(kernel, address, port, flags);
    const handle = new UdpHandle(host, kernel, chosen);
    const status = handle.bind(address, port);
    if (status === 0) state.handle = handle;
    return status;
  };
}
