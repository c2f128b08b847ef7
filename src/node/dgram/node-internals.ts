/**
 * The parts of Node below `dgram.Socket` that a handle of ours needs. A socket keeps its handle in an object under a
 * symbol; what it calls on the handle has been the same since Node 12.
 */
import dgram from 'node:dgram';

/** A name as `getsockname` and `getpeername` fill it, and as a datagram has it. */
export interface UdpName {
  address?: string;
  family?: string;
  port?: number;
}

/** A datagram on its way (C++: SendWrap). */
export interface SendRequest {
  oncomplete?(this: SendRequest, status: number, size: number): void;
}

/** Where the reason goes that `bufferSize` returns nothing. */
export interface BufferSizeError {
  errno?: number;
  code?: string;
  message?: string;
  syscall?: string;
}

/**
 * Takes a datagram.
 * @param status its length in bytes, or a negative errno
 * @param handle a handle that knows its socket: that of the kernel
 */
export type OnMessage = (status: number, handle: object, bytes?: Buffer, from?: UdpName) => void;

/** libuv's UDP handle (C++: UDPWrap), as far as a handle of ours uses it, or stands in for it. */
export interface UdpHandleLike {
  lookup: unknown;
  onmessage: OnMessage;
  bind(address: string, port: number, flags: number): number;
  connect(address: string, port: number): number;
  disconnect(): number;
  send(
    request: SendRequest,
    list: readonly ArrayBufferView[],
    count: number,
    port: number | boolean,
    address?: string,
    hasCallback?: boolean,
  ): number;
  recvStart(): number;
  recvStop(): number;
  getsockname(out: UdpName): number;
  getpeername(out: UdpName): number;
  setBroadcast(may: number): number;
  close(done?: () => void): void;
  ref(): void;
  unref(): void;
  hasRef(): boolean;
  getAsyncId(): number;
}

interface SocketState {
  handle: UdpHandleLike | null;
}

const STATE = ((): symbol | undefined => {
  const socket = dgram.createSocket('udp4');
  socket.close();
  return Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
})();

/** Returns where a socket keeps its handle; null when this Node does not show it. */
export function stateOf(socket: dgram.Socket): SocketState | null {
  if (STATE === undefined) return null;
  return (socket as unknown as Record<symbol, SocketState | undefined>)[STATE] ?? null;
}
