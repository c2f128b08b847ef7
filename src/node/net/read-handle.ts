/** The half of a connection's handle that reads: what was received goes to `net.Socket`, http's parser, TLS or HTTP/2. */
import { ownerOf, readError } from './node-internals.js';
import { WriteHandle } from './write-handle.js';

/** Most bytes that libuv reads at once. http's parser has a buffer of this size. */
const LIBUV_READ_BYTES = 1 << 16;

/** What a `tls.TLSSocket` has for the handle below it. */
export interface SecureSocket {
  /** Whether the handshake is over. */
  readonly _secureEstablished?: boolean;
  destroy(error: Error): unknown;
}

export abstract class ReadHandle extends WriteHandle {
  /** The socket of TLS that reads in the place of the owner. C++ has no way to tell it of a fault. */
  secure: SecureSocket | null = null;
  /** `net.Socket` keeps here whether it has called {@link readStart}. */
  reading = false;
  protected isReading = false;
  private mostRead = LIBUV_READ_BYTES;
  /** What the program has no buffer for before it reads again. */
  private kept: Uint8Array | null = null;
  protected hasEnded = false;
  protected isEndTold = false;

  override get isEncrypted(): boolean {
    return this.secure?._secureEstablished === true;
  }

  /** Whether something was received that nobody has read. */
  protected get hasUnread(): boolean {
    return this.kept !== null || (this.connection !== null && this.connection.unread > 0);
  }

  received(bytes: Uint8Array, offset: number, length: number): void {
    // RFC 9293, 3.6.1: data for an application that has closed is answered by a RST.
    if (this.isClosed) {
      this.connection?.abort();
      return;
    }
    this.hand(new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length));
  }

  ended(): void {
    this.hasEnded = true;
    this.tellEnd();
  }

  /** Node calls it for the option `onread`: what was received goes into this buffer of the program. */
  override useUserBuffer(buffer: Uint8Array): void {
    this.mostRead = buffer.byteLength;
    super.useUserBuffer(buffer);
  }

  /** Gives bytes to whoever reads: at most a buffer at a time, because whoever reads may pause in between. */
  private hand(bytes: Uint8Array): void {
    const most = this.mostRead;
    for (let at = 0; at < bytes.length; at += most) {
      if (this.isClosed) {
        this.connection?.abort();
        return;
      }
      if (!this.isReading && at > 0) {
        this.kept = bytes.slice(at);
        return;
      }
      try {
        this.readBuffer(
          at === 0 && bytes.length <= most ? bytes : bytes.subarray(at, Math.min(at + most, bytes.length)),
        );
      } catch (error) {
        this.host.uncaught(error);
      }
    }
  }

  private handKept = (): void => {
    const { kept } = this;
    if (kept === null || !this.isReading || this.isClosed) return;
    this.kept = null;
    this.hand(kept);
    if (this.kept === null && this.isReading) this.goOn();
  };

  private goOn(): void {
    this.connection?.resume();
    this.tellEnd();
    this.tellFault();
  }

  /** C++ calls it for `readStart()`. */
  onreadstart(): number {
    if (this.isReading) return 0;
    this.isReading = true;
    if (this.kept !== null) {
      this.host.afterTurn(this.handKept);
      this.count();
      return 0;
    }
    this.connection?.resume();
    this.tellEnd();
    if (this.fault !== null) this.host.afterTurn(() => this.tellFault());
    this.count();
    return 0;
  }

  /** C++ calls it for `readStop()`. */
  onreadstop(): number {
    if (!this.isReading) return 0;
    this.isReading = false;
    // One that is closed must hear of data and of the peer's end.
    if (!this.isClosed) this.connection?.pause();
    this.count();
    return 0;
  }

  private tellEnd(): void {
    if (!this.hasEnded || this.isEndTold || !this.isReading || this.isClosed || this.kept !== null) return;
    this.isEndTold = true;
    try {
      this.emitEOF();
    } catch (error) {
      this.host.uncaught(error);
    }
    this.count();
  }

  /** Tells whoever reads why the connection has ended. After its end nobody reads: a write tells it then. */
  protected tellFault(): void {
    const { fault } = this;
    if (fault === null || !this.isReading || this.isEndTold || this.isClosed || this.kept !== null) return;
    this.fault = null;
    const owner = this.secure ?? (ownerOf(this) as { destroy?(error: Error): void } | undefined);
    try {
      this.context.runInAsyncScope(() => owner?.destroy?.(readError(fault)));
    } catch (error) {
      this.host.uncaught(error);
    }
  }
}
