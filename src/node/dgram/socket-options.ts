/** Options of a UDP socket that the stack has no use for, and groups, which it does not join. */
import { statusOf } from '../net/node-internals.js';
import type { BufferSizeError } from './node-internals.js';

/** net.core.rmem_default and wmem_default of Linux. */
const DEFAULT_BUFFER = 212_992;
/** SOCK_MIN_RCVBUF and SOCK_MIN_SNDBUF of Linux. */
const MIN_RECEIVE_BUFFER = 2304;
const MIN_SEND_BUFFER = 4608;
const MAX_TTL = 255;

/** The part of a handle that answers for options. */
export class SocketOptions {
  private receiveBuffer = DEFAULT_BUFFER;
  private sendBuffer = DEFAULT_BUFFER;

  /**
   * Returns the size of a buffer, or changes it: Linux doubles what is set. The stack hands datagrams over at once, and
   * so has no buffers whose size would matter.
   * @param size in bytes; 0 asks for it
   */
  bufferSize(size: number, isReceive: boolean, _error: BufferSizeError): number {
    if (size === 0) return isReceive ? this.receiveBuffer : this.sendBuffer;
    if (isReceive) this.receiveBuffer = Math.max(2 * size, MIN_RECEIVE_BUFFER);
    else this.sendBuffer = Math.max(2 * size, MIN_SEND_BUFFER);
    return size;
  }

  /** The stack sends all packets with the time to live of its own options. */
  setTTL(ttl: number): number {
    return ttl >= 1 && ttl <= MAX_TTL ? statusOf('ENOTSUP') : statusOf('EINVAL');
  }

  setMulticastTTL(ttl: number): number {
    return ttl >= 0 && ttl <= MAX_TTL ? statusOf('ENOTSUP') : statusOf('EINVAL');
  }

  setMulticastLoopback(): number {
    return statusOf('ENOTSUP');
  }

  setMulticastInterface(): number {
    return statusOf('EADDRNOTAVAIL');
  }

  /** ENODEV is what Linux says when no interface takes part in multicast (IGMP). */
  addMembership(): number {
    return statusOf('ENODEV');
  }

  dropMembership(): number {
    return statusOf('EADDRNOTAVAIL');
  }

  addSourceSpecificMembership(): number {
    return statusOf('ENODEV');
  }

  dropSourceSpecificMembership(): number {
    return statusOf('EADDRNOTAVAIL');
  }
}
