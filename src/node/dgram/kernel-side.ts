/**
 * The kernel's half of a socket that is bound to all addresses: for receivers that only the kernel reaches, such as
 * those at 127.0.0.1. It opens when the first datagram goes there. Answers come to the same socket.
 */
import type { UdpHandleLike, UdpName } from './node-internals.js';

const LOOPBACK = '127.0.0.1';

export class KernelSide {
  /** Whether the socket is connected to a peer of the kernel. */
  isConnected = false;
  private isOpen = false;

  /** @param deliver takes what comes: a length or a negative errno, the bytes, the sender */
  constructor(
    private readonly handle: UdpHandleLike,
    private readonly deliver: (status: number, bytes?: Buffer, from?: UdpName) => void,
  ) {}

  /**
   * Binds it to the loopback address, if that is not done yet.
   * @param port the one of the stack's half: peers see it, too, unless somebody else has it
   * @returns 0, or a negative errno
   */
  open(port: number): number {
    if (this.isOpen) return 0;
    const { handle } = this;
    // The prototype's: the handle itself has the one that has chosen the stack.
    const { bind } = Object.getPrototypeOf(handle) as UdpHandleLike;
    const status = bind.call(handle, LOOPBACK, port, 0) && bind.call(handle, LOOPBACK, 0, 0);
    if (status !== 0) return status;
    this.isOpen = true;
    // The stack's half counts for both.
    handle.unref();
    handle.onmessage = (count, _handle, bytes, from) => this.deliver(count, bytes, from);
    return handle.recvStart();
  }

  /** @returns 0, or a negative errno */
  connect(ownPort: number, address: string, port: number): number {
    const status = this.open(ownPort) || this.handle.connect(address, port);
    this.isConnected = status === 0;
    return status;
  }

  /** @returns 0, or a negative errno */
  disconnect(): number {
    const status = this.handle.disconnect();
    if (status === 0) this.isConnected = false;
    return status;
  }
}
