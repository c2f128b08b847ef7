/** The half of a connection's handle that writes: what `net.Socket`, http's parser, TLS and HTTP/2 call to send. */
import { AsyncResource } from 'node:async_hooks';
import type { Connection } from '../../tcpip/index.js';
import type { HandleHost } from './handle-host.js';
import { type HandleRequest, JsStreamClass, statusOf, WRITE_STATE } from './node-internals.js';
import {
  BYTES_PER_CHARACTER,
  type Chunk,
  type ChunkOfMany,
  gather,
  gatherMany,
  gatherText,
  SCRATCH,
} from './scratch.js';

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

/** A write that ends later, for a Node that has given no request: it fills in what is to be called. */
class LaterWrite implements HandleRequest {
  oncomplete: HandleRequest['oncomplete'] = () => {};
  /** Node asks whether the write has ended meanwhile. */
  readonly writeStatus = null;
}

/** What a write returns: 0 or a negative errno, or its request. */
type WriteResult = number | HandleRequest;

export abstract class WriteHandle extends JsStreamClass {
  /** Bytes that wait for room in the send buffer. */
  writeQueueSize = 0;
  /** Whether whoever writes next from C++ may learn at once that the stack has taken it. */
  finishesAtOnce = false;
  /** Null before `connect`, and after the connection's end. */
  protected connection: Connection | null;
  protected isClosed = false;
  /** Why the connection has ended, until the program is told: by a read or a write, as the kernel does. */
  protected fault: string | null = null;
  /** The asynchronous context that the handle comes from: that of what the program learns without having asked. */
  protected readonly context = new AsyncResource('TCPWRAP');
  private written = 0;
  private readonly waiting: WaitingWrite[] = [];
  private ending: (() => void) | null = null;

  constructor(
    protected readonly host: HandleHost,
    connection: Connection | null,
  ) {
    super();
    this.connection = connection;
  }

  /** Bytes that were written until now, those that wait included. */
  get bytesWritten(): number {
    return this.written;
  }

  /** Whether a TLS socket writes here whose handshake is over. */
  abstract get isEncrypted(): boolean;

  /** To be called after each change of what keeps the process alive. */
  protected abstract count(): void;

  protected get hasWaitingWrites(): boolean {
    return this.waiting.length > 0 || this.ending !== null;
  }

  /**
   * Writes at once, without a request, what a socket was given.
   * @returns null when the stack has taken everything; the rest, of which nothing was written; undefined when nothing was,
   * and the write must take the usual way
   */
  writeAtOnce(data: Chunk | readonly ChunkOfMany[], encoding: BufferEncoding): Uint8Array | null | undefined {
    const { connection } = this;
    if (connection === null || this.isClosed || this.waiting.length > 0) return undefined;
    if (data instanceof Uint8Array) {
      const taken = connection.write(data);
      this.written += taken;
      return taken === data.length ? null : data.subarray(taken);
    }
    const length = typeof data === 'string' ? gatherText(SCRATCH, data, encoding) : gatherMany(data);
    if (length < 0) return undefined;
    const taken = connection.write(SCRATCH, 0, length);
    this.written += taken;
    return taken === length ? null : Uint8Array.from(SCRATCH.subarray(taken, length));
  }

  writeLatin1String(request: HandleRequest | null, text: string): WriteResult {
    if (WRITE_STATE === null || text.length > SCRATCH.length) {
      return this.writeBuffer(request, Buffer.from(text, 'latin1'));
    }
    return this.write(request, SCRATCH, SCRATCH.write(text, 0, 'latin1'), true);
  }

  writeUtf8String(request: HandleRequest | null, text: string): WriteResult {
    if (WRITE_STATE === null || text.length * BYTES_PER_CHARACTER > SCRATCH.length) {
      return this.writeBuffer(request, Buffer.from(text, 'utf8'));
    }
    return this.write(request, SCRATCH, SCRATCH.write(text, 0, 'utf8'), true);
  }

  writeAsciiString(request: HandleRequest | null, text: string): WriteResult {
    return this.writeLatin1String(request, text);
  }

  writeUcs2String(request: HandleRequest | null, text: string): WriteResult {
    return this.writeBuffer(request, Buffer.from(text, 'utf16le'));
  }

  writeBuffer(request: HandleRequest | null, bytes: Uint8Array): WriteResult {
    return this.write(request, bytes, bytes.length, false);
  }

  /**
   * Writes several chunks.
   * @param chunks buffers; or, unless `areBuffers`, chunk and encoding in turns
   */
  writev(request: HandleRequest | null, chunks: readonly Chunk[], areBuffers: boolean): WriteResult {
    const inScratch = WRITE_STATE === null ? -1 : gather(SCRATCH, chunks, areBuffers);
    if (inScratch >= 0) return this.write(request, SCRATCH, inScratch, true);
    let most = 0;
    for (const chunk of chunks) {
      most += typeof chunk === 'string' ? chunk.length * BYTES_PER_CHARACTER : chunk.length;
    }
    const all = Buffer.allocUnsafe(most);
    const length = gather(all, chunks, areBuffers);
    return this.write(request, all.subarray(0, length), length, false);
  }

  /** C++ calls it: TLS, HTTP/2. Each buffer is a copy. */
  onwrite(request: HandleRequest, buffers: readonly Uint8Array[]): number {
    const { connection } = this;
    if (connection === null || this.isClosed) return this.writeFault();
    const bytes = buffers.length === 1 ? buffers[0]! : Buffer.concat(buffers);
    this.written += bytes.length;
    const taken = this.waiting.length > 0 ? 0 : connection.write(bytes);
    if (taken < bytes.length) this.enqueue(request, bytes, taken, true);
    // C++ knows of the write only when this has returned, unless it is TLS that writes for its socket.
    else if (this.finishesAtOnce) {
      this.finishesAtOnce = false;
      this.finishWrite(request, 0);
    } else this.host.afterTurn(() => this.finishWrite(request, 0));
    return 0;
  }

  /** C++ calls it for TLS and HTTP/2; `net.Socket` calls {@link shutdown}. */
  onshutdown(request: HandleRequest): number {
    return this.end(() => this.finishShutdown(request, 0));
  }

  shutdown(request: HandleRequest): number {
    const context = new AsyncResource('SHUTDOWNWRAP');
    return this.end(() => this.complete(request, 0, context));
  }

  /** The stack has room in the send buffer. */
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
    this.endAfterWrites();
    this.count();
  }

  /** Gives up the writes that wait. */
  protected cancelWrites(code: string): void {
    const { waiting } = this;
    if (waiting.length > 0) {
      this.writeQueueSize = 0;
      const writes = waiting.splice(0);
      this.host.afterTurn(() => {
        for (const write of writes) this.finish(write, statusOf(code));
      });
    }
    this.endAfterWrites();
  }

  /** Calls what `net.Socket` gives for the end of a close. */
  protected closeAfterTurn(done: (() => void) | undefined): void {
    if (done !== undefined) this.host.afterTurn(() => this.context.runInAsyncScope(done, this));
  }

  /** Calls what waits for a request. */
  protected complete(request: HandleRequest, status: number, context: AsyncResource | null, ...more: unknown[]): void {
    try {
      if (context === null) request.oncomplete(status, ...more);
      else context.runInAsyncScope(request.oncomplete, request, status, ...more);
    } catch (error) {
      this.host.uncaught(error);
    }
  }

  /** The status of a write to a connection that has ended: first the reason, then EPIPE. */
  private writeFault(): number {
    if (this.isClosed) return statusOf('EBADF');
    const code = this.fault ?? 'EPIPE';
    this.fault = null;
    return statusOf(code);
  }

  private write(request: HandleRequest | null, bytes: Uint8Array, length: number, isScratch: boolean): WriteResult {
    const { connection } = this;
    if (connection === null || this.isClosed) return this.writeFault();
    if (WRITE_STATE === null) {
      // The caller of a write in C++ learns by itself that it is asynchronous.
      const native = JsStreamClass.prototype as unknown as Pick<WriteHandle, 'writeBuffer'>;
      return native.writeBuffer.call(this, request, bytes);
    }
    const { words } = WRITE_STATE;
    this.written += length;
    const taken = this.waiting.length > 0 ? 0 : connection.write(bytes, 0, length);
    // The bytes last, because not every Node has the other words.
    words[WRITE_STATE.isAsync] = taken === length ? 0 : 1;
    words[WRITE_STATE.error] = 0;
    words[WRITE_STATE.bytes] = length;
    if (taken === length) return 0;
    const later = request ?? new LaterWrite();
    this.enqueue(later, isScratch ? Uint8Array.from(bytes.subarray(0, length)) : bytes, taken, false);
    return request === null ? later : 0;
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

  /** Ends our side after this turn, as libuv does, or when all writes are done. */
  private end(done: () => void): number {
    if (this.connection === null) return statusOf('ENOTCONN');
    this.ending = done;
    this.endAfterWrites();
    this.count();
    return 0;
  }

  private endAfterWrites(): void {
    const { ending } = this;
    if (ending === null || this.waiting.length > 0) return;
    this.host.afterTurn(() => {
      if (this.ending !== ending || this.waiting.length > 0) return;
      this.ending = null;
      this.connection?.end();
      this.count();
      ending();
    });
  }
}
