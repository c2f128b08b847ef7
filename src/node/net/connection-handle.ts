/**
 * A TCP connection of the stack in the place of libuv's: what `net.Socket` has as its `_handle`. Node's own code above
 * it makes the events, their order and their errors; http's parser, TLS and HTTP/2 use it as they use the kernel's.
 */
import { AsyncResource } from 'node:async_hooks';
import type { Connection, TcpHandlers } from '../../tcpip/index.js';
import { type HandleHost, ipv4In, type OpenHandle } from './handle-host.js';
import { type HandleRequest, JsStreamClass, ownerOf, readError, statusOf, WRITE_STATE } from './node-internals.js';

/** What `getsockname` and `getpeername` fill. */
export interface NameOut {
  address?: string;
  port?: number;
  family?: string;
}

/** A write that the send buffer had no room for. */
interface WaitingWrite {
  readonly request: HandleRequest;
  readonly bytes: Uint8Array;
  offset: number;
  /** Whether C++ waits for it. Otherwise `net.Socket` does. */
  readonly isNative: boolean;
  /** The asynchronous context that the write came from. */
  readonly context: AsyncResource | null;
}

/** Room for texts on their way to the send buffer. A longer text takes a buffer of its own. */
const SCRATCH = Buffer.allocUnsafeSlow(1 << 16);
/** A character takes at most this many bytes in UTF-8. */
const BYTES_PER_CHARACTER = 3;
/** How long a closed connection waits for the peer's end, as Linux's tcp_fin_timeout, in ms. */
export const ORPHAN_MS = 60_000;

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

/** States in which our FIN was not sent. */
const UNSENT_STATES = ['SYN-RECEIVED', 'ESTABLISHED', 'CLOSE-WAIT'];
/** States in which our FIN was sent, but not acknowledged. */
const UNACKNOWLEDGED_STATES = ['FIN-WAIT-1', 'CLOSING', 'LAST-ACK'];

export class ConnectionHandle extends JsStreamClass implements OpenHandle {
  /** `net.Socket` keeps here whether it has called {@link readStart}. */
  reading = false;
  /** Bytes that wait for room in the send buffer. */
  writeQueueSize = 0;
  /** Null before `connect`, and after the connection's end. */
  private connection: Connection | null;
  private written = 0;
  private connecting: { request: HandleRequest; context: AsyncResource } | null = null;
  private localPort: number | undefined;
  private peer: NameOut | null = null;
  private own: NameOut | null = null;
  private noDelay = false;
  private keepAliveMs = 0;
  private readonly waiting: WaitingWrite[] = [];
  private shutdownAfterWrites: (() => void) | null = null;
  private isReading = false;
  private isClosed = false;
  private hasEnded = false;
  private isEndTold = false;
  private isReferenced = true;
  /** Whether it counts in {@link HandleHost.refs}. */
  private isCounted = false;

  /** @param accepted the connection, if it came to a listener */
  constructor(
    private readonly host: HandleHost,
    accepted: Connection | null,
  ) {
    super();
    this.connection = accepted;
    if (accepted !== null) host.open.add(this);
  }

  get isUnsent(): boolean {
    return this.isClosed && this.connection !== null && UNSENT_STATES.includes(this.connection.state);
  }

  get isUnacknowledged(): boolean {
    if (!this.isClosed || this.connection === null) return false;
    return this.isUnsent || UNACKNOWLEDGED_STATES.includes(this.connection.state);
  }

  /** Bytes that were written until now, those that wait included. */
  get bytesWritten(): number {
    return this.written;
  }

  // -- Connecting ----------------------------------------------------------------------------------------------------

  bind(address: string, port: number): number {
    if (!this.host.isOwnAddress(address)) return statusOf('EADDRNOTAVAIL');
    this.localPort = port === 0 ? undefined : port;
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
      return statusOf(code !== undefined && /^E[A-Z]+$/.test(code) ? code : 'EHOSTUNREACH');
    }
    this.connection.context = this;
    this.host.open.add(this);
    this.connecting = { request, context: new AsyncResource('TCPCONNECTWRAP') };
    this.own = { address: this.host.address, port: this.connection.localPort, family: 'IPv4' };
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
    this.complete(connecting.request, 0, connecting.context, this, connecting.request, true, true);
    // Nobody has asked for data yet.
    if (!this.isReading) this.connection?.pause();
    this.count();
  }

  received(bytes: Uint8Array, offset: number, length: number): void {
    // RFC 9293, 3.6.1: data for an application that has closed is answered by a RST.
    if (this.isClosed) {
      this.connection?.abort();
      return;
    }
    try {
      this.readBuffer(new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length));
    } catch (error) {
      this.host.uncaught(error);
    }
  }

  drained(): void {
    const { waiting, connection } = this;
    while (waiting.length > 0 && connection !== null && this.connection === connection) {
      const write = waiting[0]!;
      const taken = connection.write(write.bytes, write.offset, write.bytes.length - write.offset);
      write.offset += taken;
      this.writeQueueSize -= taken;
      if (write.offset < write.bytes.length) return;
      waiting.shift();
      this.finish(write, 0);
    }
    this.afterWrites();
  }

  ended(): void {
    this.hasEnded = true;
    this.tellEnd();
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
    } else if (error !== null && !this.isClosed) {
      this.fail(asError(error));
    } else if (error === null && !this.isClosed && !this.hasEnded) {
      // The stack has stopped.
      this.fail('ECONNRESET');
    }
    this.cancelWrites(error === null ? 'ECANCELED' : asError(error));
    this.afterWrites();
    this.count();
  }

  // -- Reading -------------------------------------------------------------------------------------------------------

  /** C++ calls it for `readStart()`. */
  onreadstart(): number {
    if (this.isReading) return 0;
    this.isReading = true;
    this.connection?.resume();
    this.tellEnd();
    this.count();
    return 0;
  }

  /** C++ calls it for `readStop()`. */
  onreadstop(): number {
    if (!this.isReading) return 0;
    this.isReading = false;
    this.connection?.pause();
    this.count();
    return 0;
  }

  /** Called once `net.Socket` knows of an accepted connection. */
  accepted(): void {
    if (!this.isReading) this.connection?.pause();
    this.count();
  }

  // -- Writing -------------------------------------------------------------------------------------------------------

  writeLatin1String(request: HandleRequest, text: string): number {
    if (WRITE_STATE === null || text.length > SCRATCH.length) {
      return this.writeBuffer(request, Buffer.from(text, 'latin1'));
    }
    return this.write(request, SCRATCH, SCRATCH.write(text, 0, 'latin1'), true);
  }

  writeUtf8String(request: HandleRequest, text: string): number {
    if (WRITE_STATE === null || text.length * BYTES_PER_CHARACTER > SCRATCH.length) {
      return this.writeBuffer(request, Buffer.from(text, 'utf8'));
    }
    return this.write(request, SCRATCH, SCRATCH.write(text, 0, 'utf8'), true);
  }

  writeAsciiString(request: HandleRequest, text: string): number {
    return this.writeLatin1String(request, text);
  }

  writeUcs2String(request: HandleRequest, text: string): number {
    return this.writeBuffer(request, Buffer.from(text, 'utf16le'));
  }

  writeBuffer(request: HandleRequest, bytes: Uint8Array): number {
    return this.write(request, bytes, bytes.length, false);
  }

  /**
   * Writes several chunks.
   * @param chunks buffers; or, unless `areBuffers`, chunk and encoding in turns
   */
  writev(request: HandleRequest, chunks: readonly (Uint8Array | string)[], areBuffers: boolean): number {
    const step = areBuffers ? 1 : 2;
    let most = 0;
    for (let i = 0; i < chunks.length; i += step) most += chunks[i]!.length * BYTES_PER_CHARACTER;
    const isScratch = WRITE_STATE !== null && most <= SCRATCH.length;
    const all = isScratch ? SCRATCH : Buffer.allocUnsafe(most);
    let length = 0;
    for (let i = 0; i < chunks.length; i += step) {
      const chunk = chunks[i]!;
      if (typeof chunk === 'string') length += all.write(chunk, length, chunks[i + 1] as BufferEncoding);
      else {
        all.set(chunk, length);
        length += chunk.length;
      }
    }
    return this.write(request, isScratch ? SCRATCH : all.subarray(0, length), length, isScratch);
  }

  /** C++ calls it: TLS, HTTP/2. Each buffer is a copy. */
  onwrite(request: HandleRequest, buffers: readonly Uint8Array[]): number {
    const { connection } = this;
    if (connection === null || this.isClosed) return statusOf('EPIPE');
    const bytes = buffers.length === 1 ? buffers[0]! : Buffer.concat(buffers);
    this.written += bytes.length;
    const taken = this.waiting.length > 0 ? 0 : connection.write(bytes);
    if (taken < bytes.length) this.enqueue(request, bytes, taken, true);
    // C++ knows of the write only when this has returned.
    else this.host.afterTurn(() => this.finishWrite(request, 0));
    return 0;
  }

  /** C++ calls it for TLS and HTTP/2; `net.Socket` calls {@link shutdown}. */
  onshutdown(request: HandleRequest): number {
    return this.end(() => this.finishShutdown(request, 0));
  }

  shutdown(request: HandleRequest): number {
    return this.end(() => request.oncomplete(0));
  }

  // -- The end -------------------------------------------------------------------------------------------------------

  /** `net.Socket` is destroyed. What the stack has taken is sent yet, as the kernel does. */
  close(done?: () => void): void {
    if (!this.isClosed) {
      this.isClosed = true;
      this.cancelWrites('ECANCELED');
      const { connection } = this;
      // Linux resets a connection whose data was not read (RFC 2525, 2.17).
      if (connection !== null) this.isReading || !this.hasUnread() ? this.endOrphan(connection) : connection.abort();
      this.count();
    }
    if (done !== undefined) this.host.afterTurn(done);
  }

  /** `resetAndDestroy`. */
  reset(done?: () => void): number {
    this.isClosed = true;
    this.cancelWrites('ECANCELED');
    this.connection?.abort();
    this.count();
    if (done !== undefined) this.host.afterTurn(done);
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
    this.isReferenced = true;
    this.count();
  }

  unref(): void {
    this.isReferenced = false;
    this.count();
  }

  hasRef(): boolean {
    return this.isReferenced;
  }

  abort(): void {
    this.connection?.abort();
  }

  private hasUnread(): boolean {
    return false;
  }

  private endOrphan(connection: Connection): void {
    connection.resume();
    connection.end();
    if (this.connection === connection) this.host.remember(this);
  }

  private write(request: HandleRequest, bytes: Uint8Array, length: number, isScratch: boolean): number {
    const { connection } = this;
    if (connection === null || this.isClosed) return statusOf('EPIPE');
    if (WRITE_STATE === null) {
      // The caller of a write in C++ learns by itself that it is asynchronous.
      const native = JsStreamClass.prototype as unknown as Pick<ConnectionHandle, 'writeBuffer'>;
      return native.writeBuffer.call(this, request, bytes);
    }
    this.written += length;
    const taken = this.waiting.length > 0 ? 0 : connection.write(bytes, 0, length);
    const isAll = taken === length;
    if (!isAll) this.enqueue(request, isScratch ? bytes.slice(0, length) : bytes, taken, false);
    WRITE_STATE.words[WRITE_STATE.bytes] = length;
    WRITE_STATE.words[WRITE_STATE.isAsync] = isAll ? 0 : 1;
    return 0;
  }

  private enqueue(request: HandleRequest, bytes: Uint8Array, offset: number, isNative: boolean): void {
    const context = isNative ? null : new AsyncResource('WRITEWRAP');
    this.waiting.push({ request, bytes, offset, isNative, context });
    this.writeQueueSize += bytes.length - offset;
    this.count();
  }

  private finish({ request, isNative, context }: WaitingWrite, status: number): void {
    if (isNative) this.finishWrite(request, status);
    else this.complete(request, status, context);
  }

  /** Ends our side when all writes are done. */
  private end(done: () => void): number {
    if (this.connection === null) return statusOf('ENOTCONN');
    this.shutdownAfterWrites = done;
    if (this.waiting.length === 0) this.afterWrites();
    return 0;
  }

  private afterWrites(): void {
    const done = this.shutdownAfterWrites;
    if (done === null || this.waiting.length > 0) return;
    this.shutdownAfterWrites = null;
    this.connection?.end();
    this.host.afterTurn(done);
    this.count();
  }

  private cancelWrites(code: string): void {
    const { waiting } = this;
    if (waiting.length === 0) return;
    this.writeQueueSize = 0;
    const writes = waiting.splice(0);
    this.host.afterTurn(() => {
      for (const write of writes) this.finish(write, statusOf(code));
    });
  }

  private complete(request: HandleRequest, status: number, context: AsyncResource | null, ...more: unknown[]): void {
    try {
      if (context === null) request.oncomplete(status, ...more);
      else context.runInAsyncScope(request.oncomplete, request, status, ...more);
    } catch (error) {
      this.host.uncaught(error);
    }
  }

  private tellEnd(): void {
    if (!this.hasEnded || this.isEndTold || !this.isReading || this.isClosed) return;
    this.isEndTold = true;
    try {
      this.emitEOF();
    } catch (error) {
      this.host.uncaught(error);
    }
  }

  private fail(code: string): void {
    const owner = ownerOf(this) as { destroy?(error: Error): void } | undefined;
    try {
      owner?.destroy?.(readError(code));
    } catch (error) {
      this.host.uncaught(error);
    }
  }

  private name(out: NameOut, isPeer: boolean): number {
    const { connection } = this;
    if (connection !== null) {
      this.own ??= { address: this.host.address, port: connection.localPort, family: 'IPv4' };
      this.peer ??= { address: connection.remoteAddress, port: connection.remotePort, family: 'IPv4' };
    }
    const name = isPeer ? this.peer : this.own;
    if (name === null || (isPeer && this.connecting !== null)) return statusOf('ENOTCONN');
    Object.assign(out, name);
    return 0;
  }

  /** libuv's rule: a stream keeps the loop alive while it connects, reads or writes. */
  private count(): void {
    const isActive =
      this.isReferenced &&
      this.connection !== null &&
      !this.isClosed &&
      (this.connecting !== null || (this.isReading && !this.isEndTold) || this.waiting.length > 0);
    if (isActive === this.isCounted) return;
    this.isCounted = isActive;
    if (isActive) this.host.refs.ref();
    else this.host.refs.unref();
  }
}
