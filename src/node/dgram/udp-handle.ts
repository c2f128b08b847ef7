/**
 * A UDP socket of the stack in the place of libuv's: what `dgram.Socket` has as its handle once it is bound. Node's own
 * code above it makes the events, their order and their errors.
 */
import { AsyncResource } from 'node:async_hooks';
import type { UdpHandlers } from '../../tcpip/index.js';
import { formatIpv4, parseIpv4 } from '../../wire/address.js';
import { statusOf } from '../net/node-internals.js';
import { HandleRef } from '../refs.js';
import { KernelSide } from './kernel-side.js';
import type { OnMessage, SendRequest, UdpHandleLike, UdpName } from './node-internals.js';
import { SendQueue, type WaitingDatagram } from './send-queue.js';
import { SocketOptions } from './socket-options.js';
import type { UdpHost } from './udp-host.js';

/** The longest datagram: 65,535 bytes with the headers of IP and UDP. */
const MAX_PAYLOAD = 65_507;
const ANY = '0.0.0.0';

/** The handlers of all sockets with a handle: `context` is the handle. */
const HANDLERS: UdpHandlers = {
  message(socket, bytes, offset, length, address, port) {
    (socket.context as UdpHandle).received(bytes, offset, length, address, port);
  },
  error(socket, { code }) {
    (socket.context as UdpHandle).tell(statusOf(code));
  },
};

/** libuv's flags of `bind` are about sharing a port, which a stack of one program does not need. */
export class UdpHandle extends SocketOptions implements UdpHandleLike {
  /** `dgram.Socket` sets both. */
  onmessage: OnMessage = () => {};
  onerror: unknown = undefined;
  lookup: unknown;
  /** What was bound. */
  private own = ANY;
  /** What `connect` was called with; null when the socket is not connected. */
  private peer: { readonly address: string; readonly port: number } | null = null;
  private isReceiving = false;
  /** Keeps the process alive while the program waits for datagrams. */
  private readonly keeper: HandleRef;
  private isClosed = false;
  private readonly context = new AsyncResource('UDPWRAP');
  private readonly kernelSide: KernelSide;
  private readonly queue: SendQueue;
  /** The last addresses as text and as number: a program mostly sends to one, and hears from one. */
  private toText = ANY;
  private to = 0;
  private fromText = ANY;
  private from = 0;

  /**
   * @param kernel the handle that the socket had before
   * @param routes tells which receivers the kernel reaches, instead of the stack
   */
  constructor(
    private readonly host: UdpHost,
    private readonly kernel: UdpHandleLike,
    private readonly routes: { isKernelsUdp(address: string, port: number): boolean },
  ) {
    super();
    this.lookup = kernel.lookup;
    this.keeper = new HandleRef(host.refs, kernel.hasRef());
    this.kernelSide = new KernelSide(kernel, (...args) => this.deliver(...args));
    this.queue = new SendQueue(
      (datagram) => this.transmit(datagram.bytes, datagram.address, datagram.port),
      (datagram, status) => this.complete(datagram, status),
    );
  }

  /** Nobody outside can use it. */
  get fd(): number {
    return -1;
  }

  // -- The name ------------------------------------------------------------------------------------------------------

  /** @returns 0, or a negative errno */
  bind(address: string, port: number): number {
    if (this.socket !== null) return statusOf('EINVAL');
    if (!this.host.isOwnAddress(address)) return statusOf('EADDRNOTAVAIL');
    const isAny = address === ANY;
    const options = { port, ...(isAny ? {} : { address: this.host.stackAddress(address) }) };
    return statusOfCall(() => {
      const socket = this.host.stack.udp.bind(options, HANDLERS);
      socket.context = this;
      this.adopt(socket);
      this.own = address;
    });
  }

  /** @returns 0, or a negative errno */
  connect(address: string, port: number): number {
    const { socket } = this;
    if (socket === null) return statusOf('EBADF');
    if (this.peer !== null) return statusOf('EISCONN');
    const isKernels = this.routes.isKernelsUdp(address, port);
    const status = isKernels
      ? this.kernelSide.connect(socket.localPort, address, port)
      : statusOfCall(() => socket.connect(this.host.stackAddress(address), port));
    if (status !== 0) return status;
    this.peer = { address, port };
    return 0;
  }

  /** @returns 0, or a negative errno */
  disconnect(): number {
    const { socket } = this;
    if (socket === null || this.peer === null) return statusOf('ENOTCONN');
    const status = this.kernelSide.isConnected ? this.kernelSide.disconnect() : statusOfCall(() => socket.disconnect());
    if (status === 0) this.peer = null;
    return status;
  }

  getsockname(out: UdpName): number {
    if (this.socket === null) return statusOf('EBADF');
    if (this.kernelSide.isConnected) return this.kernel.getsockname(out);
    out.address = this.peer !== null && this.own === ANY ? this.host.address : this.own;
    out.family = 'IPv4';
    out.port = this.socket.localPort;
    return 0;
  }

  getpeername(out: UdpName): number {
    if (this.peer === null) return statusOf('ENOTCONN');
    out.address = this.peer.address;
    out.family = 'IPv4';
    out.port = this.peer.port;
    return 0;
  }

  // -- Receiving -----------------------------------------------------------------------------------------------------

  recvStart(): number {
    this.isReceiving = true;
    this.keeper.setActive(true);
    return 0;
  }

  recvStop(): number {
    this.isReceiving = false;
    this.keeper.setActive(false);
    return 0;
  }

  /** The stack has received a datagram. */
  received(bytes: Uint8Array, offset: number, length: number, address: number, port: number): void {
    if (!this.isReceiving || this.kernelSide.isConnected) return;
    // It belongs to the program, for as long as it likes.
    const own = Buffer.allocUnsafeSlow(length);
    own.set(bytes.subarray(offset, offset + length));
    if (address !== this.from) {
      this.from = address;
      this.fromText = formatIpv4(address);
    }
    this.deliver(length, own, { address: this.fromText, family: 'IPv4', port });
  }

  /** An error about a datagram that was sent: a negative errno. */
  tell(status: number): void {
    if (this.isReceiving) this.deliver(status);
  }

  private deliver(status: number, bytes?: Buffer, from?: UdpName): void {
    if (this.isClosed) return;
    try {
      // The handle of the kernel knows the socket.
      this.context.runInAsyncScope(this.onmessage, this, status, this.kernel, bytes, from);
    } catch (error) {
      this.host.uncaught(error);
    }
  }

  // -- Sending -------------------------------------------------------------------------------------------------------

  /**
   * Sends the parts of `list` as one datagram.
   * @param port of the receiver; of a connected socket, whether there is a callback
   * @returns the size plus 1 when it was sent; 0 when `request.oncomplete` follows; a negative errno
   */
  send(
    request: SendRequest,
    list: readonly ArrayBufferView[],
    count: number,
    port: number | boolean,
    address?: string,
    hasCallback?: boolean,
  ): number {
    if (this.socket === null) return statusOf('EBADF');
    const { peer } = this;
    const isToPeer = typeof port !== 'number';
    if (isToPeer && peer === null) return statusOf('ENOTCONN');
    const toPort = isToPeer ? peer!.port : port;
    const toAddress = isToPeer ? peer!.address : address!;
    const doesWait = isToPeer ? port : hasCallback === true;
    if (isToPeer ? this.kernelSide.isConnected : this.routes.isKernelsUdp(toAddress, toPort)) {
      const status = this.kernelSide.open(this.socket.localPort);
      if (status !== 0) return status;
      return isToPeer
        ? this.kernel.send(request, list, count, doesWait)
        : this.kernel.send(request, list, count, toPort, toAddress, doesWait);
    }
    return this.sendByStack(request, join(list), toAddress, toPort, doesWait);
  }

  private sendByStack(
    request: SendRequest,
    bytes: Uint8Array,
    address: string,
    port: number,
    doesWait: boolean,
  ): number {
    if (bytes.length > MAX_PAYLOAD) return statusOf('EMSGSIZE');
    const target = this.host.stackAddress(address);
    if (target !== this.toText) {
      const status = statusOfCall(() => {
        this.to = parseIpv4(target) | 0;
      });
      if (status !== 0) return status;
      this.toText = target;
    }
    const status = this.queue.count > 0 ? null : this.transmit(bytes, this.to, port);
    if (status !== null) return status === 0 ? bytes.length + 1 : status;
    const context = doesWait ? new AsyncResource('UDPSENDWRAP') : null;
    // The program may change its bytes meanwhile, as it may while libuv has them.
    if (!this.queue.push({ bytes, address: this.to, port, request, context })) return statusOf('ENOBUFS');
    return 0;
  }

  /** Returns 0, a negative errno, or null when there is no room. */
  private transmit(bytes: Uint8Array, address: number, port: number): number | null {
    const { socket } = this;
    if (socket === null) return statusOf('EBADF');
    let isSent = false;
    const status = statusOfCall(() => {
      isSent = socket.send(bytes, 0, bytes.length, address, port);
    });
    if (status !== 0) return status;
    this.host.flush();
    return isSent ? 0 : null;
  }

  private complete({ request, context, bytes }: WaitingDatagram, status: number): void {
    const { oncomplete } = request;
    if (context === null || oncomplete === undefined) return;
    try {
      context.runInAsyncScope(oncomplete, request, status, bytes.length);
    } catch (error) {
      this.host.uncaught(error);
    }
  }

  getSendQueueSize(): number {
    return this.queue.bytes;
  }

  getSendQueueCount(): number {
    return this.queue.count;
  }

  // -- The rest ------------------------------------------------------------------------------------------------------

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

  getAsyncId(): number {
    return this.context.asyncId();
  }

  close(done?: () => void): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.isReceiving = false;
    this.socket?.close();
    this.queue.cancel(statusOf('ECANCELED'));
    this.kernel.close(done);
    this.keeper.setActive(false);
  }
}

/** Calls the stack. Returns 0, or what it has thrown as a negative errno. */
function statusOfCall(call: () => void): number {
  try {
    call();
    return 0;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return statusOf(code !== undefined && /^E[A-Z]+$/.test(code) ? code : 'EINVAL');
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** The bytes of one datagram. */
function join(list: readonly ArrayBufferView[]): Uint8Array {
  const [first] = list;
  if (list.length > 1) return Buffer.concat(list.map(bytesOf));
  return first instanceof Uint8Array ? first : bytesOf(first);
}
