/** Options of a UDP socket, and groups, which the stack does not join. */

import type { UdpSocket } from '../../tcpip/index.js';
import { statusOf } from '../net/node-internals.js';
import type { BufferSizeError } from './node-internals.js';

/** net.core.rmem_default and wmem_default of Linux. */
const DEFAULT_BUFFER = 212_992;
/** SOCK_MIN_RCVBUF and SOCK_MIN_SNDBUF of Linux. */
const MIN_RECEIVE_BUFFER = 2304;
const MIN_SEND_BUFFER = 4608;
const MAX_TTL = 255;
/** RFC 1112, 6.1. */
const MULTICAST_TTL = 1;

/** The part of a handle that answers for options. */
export class SocketOptions {
  /** Null before it is bound. */
  protected socket: UdpSocket | null = null;
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

  setTTL(ttl: number): number {
    if (this.socket === null) return statusOf('EBADF');
    if (!(ttl >= 1 && ttl <= MAX_TTL)) return statusOf('EINVAL');
    this.socket.ttl = ttl | 0;
    return 0;
  }

  /** Packets with a time to live of 0 would not leave the host, which has no groups. */
  setMulticastTTL(ttl: number): number {
    if (this.socket === null) return statusOf('EBADF');
    if (!(ttl >= 0 && ttl <= MAX_TTL)) return statusOf('EINVAL');
    if (ttl < 1) return statusOf('ENOTSUP');
    this.socket.multicastTtl = ttl | 0;
    return 0;
  }

  /** What the socket sends to a group does not come back to this host. */
  setMulticastLoopback(on: number): number {
    return on === 0 ? 0 : statusOf('ENOTSUP');
  }

  setBroadcast(may: number): number {
    if (this.socket === null) return statusOf('EBADF');
    this.socket.mayBroadcast = may !== 0;
    return 0;
  }

  /** A socket of Node is made: what it has unless it is told otherwise. */
  protected adopt(socket: UdpSocket): void {
    this.socket = socket;
    socket.multicastTtl = MULTICAST_TTL;
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
