/**
 * One vhost-user connection as whole messages. The frontend and the backend use it.
 *
 * The peer is not trusted. A message that breaks the protocol closes the connection with a line that says what was
 * wrong. No file descriptor that the peer sent outlives its message, unless the handler took it.
 */
import { abi, type Closer, MAX_FDS, MessageSocket, type Reactor, SystemError, unclosed } from '../../libc/index.js';
import { messageOf } from '../../log/message-of.js';
import {
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  type MessageHeader,
  PROTOCOL_VERSION,
  ProtocolError,
  requestName,
} from './protocol.js';

/** Number of messages that are handled per wake-up, so that a flooding peer cannot keep the event loop busy. */
const MESSAGES_PER_WAKE = 64;
/**
 * A wake-up ends when its messages have brought this many file descriptors: mapping files costs far more than other
 * work.
 */
const FDS_PER_WAKE = 16;
/**
 * While this many file descriptors wait to be closed, no message is read: a peer that is faster than their closing waits. If their
 * closing hangs, the closer says that it is full, and the connection ends.
 */
const PAUSE_AT = 256;
/** Time between two looks at the closer during such a pause, in ms. */
const PAUSE_MS = 5;

export interface Message {
  readonly request: number;
  readonly flags: number;
  /** Valid only during the handler, because the channel reuses the memory. */
  readonly payload: Buffer;
  /** File descriptors that came along. The handler removes those that it keeps; the rest is closed after it. */
  readonly fds: number[];
}

export interface ChannelHandlers {
  /** Called for each message. An error that it throws closes the channel; the error's message is the reason. */
  onMessage(message: Message): void;
  /** Called once after the channel has closed, except by a call of {@link VhostUserChannel.close}. */
  onClose(reason: string): void;
}

export class VhostUserChannel {
  private readonly socket: MessageSocket;
  // ArrayBuffers, not Buffer.alloc: V8 may move small typed arrays, but the kernel gets their address.
  private readonly headerBytes = Buffer.from(new ArrayBuffer(HEADER_BYTES));
  private readonly payloadBytes = Buffer.from(new ArrayBuffer(MAX_PAYLOAD_BYTES));
  private readonly sendBytes = Buffer.from(new ArrayBuffer(HEADER_BYTES + MAX_PAYLOAD_BYTES));
  /** The header of the message that is being read; `null` while the header itself is being read. */
  private header: MessageHeader | null = null;
  /** Number of bytes read of the header or of the payload, whichever is being read. */
  private filled = 0;
  private fds: number[] = [];
  /** Number of file descriptors that came at this wake-up. */
  private fdsAtWake = 0;
  private open = true;

  /**
   * Takes over `fd`, a connected, non-blocking unix stream socket, even if it throws.
   * @param name for errors
   * @param closer closes the socket, whose unread messages may carry file descriptors, and those that no handler took
   */
  constructor(
    private readonly reactor: Reactor,
    fd: number,
    private readonly name: string,
    private readonly handlers: ChannelHandlers,
    private readonly closer: Closer,
  ) {
    this.socket = new MessageSocket(fd, name);
    try {
      this.watch();
    } catch (error) {
      closer.close(fd);
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.open;
  }

  /**
   * Sends a message. `fds` stay the caller's. The version is added to `flags`. Throws when the connection is closed or
   * broken, or when the peer does not read and the socket's buffer is full.
   */
  send(request: number, flags: number, payload: Buffer | null = null, fds: readonly number[] = []): void {
    const size = payload === null ? 0 : payload.length;
    if (!this.open) throw new Error(`${this.name}: ${requestName(request)} on a closed connection`);
    if (size > MAX_PAYLOAD_BYTES) throw new RangeError(`${this.name}: payload of ${size} bytes`);
    encodeHeader(this.sendBytes, { request, flags: flags | PROTOCOL_VERSION, size });
    if (payload !== null) payload.copy(this.sendBytes, HEADER_BYTES);
    if (!this.deliver(this.sendBytes.subarray(0, HEADER_BYTES + size), fds)) {
      throw new Error(`${this.name}: the peer does not read its messages (socket buffer full)`);
    }
  }

  private deliver(bytes: Uint8Array, fds: readonly number[]): boolean {
    try {
      return this.socket.send(bytes, fds);
    } catch (error) {
      if (!(error instanceof SystemError && (error.code === 'EPIPE' || error.code === 'ECONNRESET'))) throw error;
      throw new Error(`${this.name}: the peer has hung up (${error.code})`);
    }
  }

  /** Closes the connection, and the file descriptors of a message that was partly read. onClose is not called. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    this.reactor.unwatch(this.socket.fd);
    this.closer.close(this.socket.fd);
    this.dropFds();
  }

  private onReadable(): void {
    if (this.closer.pending >= PAUSE_AT && !this.closer.isFull) this.pause();
    else this.readMessages();
  }

  /** Stops watching the socket, which would wake this thread all the time, until the closer has done its work. */
  private pause(): void {
    this.reactor.unwatch(this.socket.fd);
    const timer = setInterval(() => {
      if (this.open && this.closer.pending >= PAUSE_AT && !this.closer.isFull) return;
      clearInterval(timer);
      if (this.open) this.resume();
    }, PAUSE_MS);
  }

  private resume(): void {
    try {
      this.watch();
    } catch (error) {
      // No memory for another watch.
      this.close();
      this.handlers.onClose(messageOf(error));
    }
  }

  private watch(): void {
    this.reactor.watch(this.socket.fd, abi.EPOLLIN, () => this.onReadable());
  }

  private readMessages(): void {
    let reason: string | null = null;
    this.fdsAtWake = 0;
    try {
      for (let i = 0; i < MESSAGES_PER_WAKE && reason === null && this.open; i++) {
        if (this.fdsAtWake >= FDS_PER_WAKE) return;
        const read = this.readMessage();
        if (read === 'nothing') return;
        if (read === 'end') reason = this.filled > 0 || this.header ? 'closed in the middle of a message' : 'closed';
      }
    } catch (error) {
      reason = messageOf(error);
    }
    if (reason === null || !this.open) return;
    this.close();
    this.handlers.onClose(reason);
  }

  /**
   * Reads up to the end of one message and hands it on. Never reads further: the file descriptors of a message come
   * with its first byte, and a longer read would bring in those of the next message.
   */
  private readMessage(): 'message' | 'nothing' | 'end' {
    if (this.header === null) {
      const read = this.fill(this.headerBytes, HEADER_BYTES);
      if (read !== 'message') return read;
      this.header = decodeHeader(this.headerBytes);
      this.filled = 0;
    }
    const { request, flags, size } = this.header;
    const read = this.fill(this.payloadBytes, size);
    if (read !== 'message') return read;
    const message = { request, flags, payload: this.payloadBytes.subarray(0, size), fds: this.fds };
    this.header = null;
    this.filled = 0;
    try {
      this.handlers.onMessage(message);
    } finally {
      this.dropFds();
    }
    return 'message';
  }

  private fill(into: Buffer, wanted: number): 'message' | 'nothing' | 'end' {
    while (this.filled < wanted) {
      const received = this.socket.receive(into.subarray(this.filled, wanted));
      if (received === null) return 'nothing';
      this.fds.push(...received.fds);
      this.fdsAtWake += received.fds.length;
      if (received.truncated)
        throw new Error('a message with file descriptors for which this process has no number free');
      if (this.fds.length > MAX_FDS) throw new ProtocolError(`a message with more than ${MAX_FDS} file descriptors`);
      if (this.closer.isFull) throw new Error(unclosed(this.closer.pending));
      if (received.bytes === 0) return 'end';
      this.filled += received.bytes;
    }
    return 'message';
  }

  private dropFds(): void {
    for (const fd of this.fds) this.closer.close(fd);
    this.fds = [];
  }
}
