/** Which socket a datagram belongs to: by local port, and among the sockets of a port by the peer. */
import { NOT_CONNECTED, type UdpSocket } from './socket.js';

export class PortTable {
  /** Local port -> its sockets: connected ones first, and at most one that is not connected. */
  private readonly first = new Map<number, UdpSocket>();
  private count = 0;

  constructor(readonly capacity: number) {}

  /** How many sockets there are. */
  get size(): number {
    return this.count;
  }

  /** Whether a socket has the local port. */
  isUsed(port: number): boolean {
    return this.first.has(port);
  }

  /**
   * Finds the socket for a datagram from `address` (signed) and `remotePort`.
   * @returns the socket that is connected to them; otherwise the one that is not connected; otherwise null
   */
  find(port: number, address: number, remotePort: number): UdpSocket | null {
    let socket = this.first.get(port) ?? null;
    while (socket !== null && socket.peerPort !== NOT_CONNECTED) {
      if (socket.peerPort === remotePort && socket.peer === address) return socket;
      socket = socket.next;
    }
    return socket;
  }

  /** Finds the socket that has exactly this peer; {@link NOT_CONNECTED} as the port finds the one without. */
  findExact(port: number, address: number, remotePort: number): UdpSocket | null {
    const socket = this.find(port, address, remotePort);
    return socket !== null && socket.peerPort === remotePort ? socket : null;
  }

  /** Enters a socket. The caller has checked that there is room, and that no other has its port and peer. */
  add(socket: UdpSocket): void {
    const first = this.first.get(socket.port) ?? null;
    this.count++;
    if (socket.peerPort !== NOT_CONNECTED || first === null) {
      socket.next = first;
      this.first.set(socket.port, socket);
      return;
    }
    let last = first;
    while (last.next !== null) last = last.next;
    last.next = socket;
    socket.next = null;
  }

  remove(socket: UdpSocket): void {
    const first = this.first.get(socket.port)!;
    this.count--;
    if (first === socket) {
      if (socket.next === null) this.first.delete(socket.port);
      else this.first.set(socket.port, socket.next);
      socket.next = null;
      return;
    }
    let before = first;
    while (before.next !== socket) before = before.next!;
    before.next = socket.next;
    socket.next = null;
  }
}
