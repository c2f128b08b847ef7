/**
 * An epoll set in Node's event loop, by public means of Node only.
 *
 * Node watches only file descriptors that it reads itself, and makes a socket object only of a socket. So Node gets a
 * socket, and the epoll set takes over the socket's file descriptor before the loop first looks at it. To read, libuv
 * asks for memory and gets none. The documentation of `uv_alloc_cb` promises that libuv then reports ENOBUFS and does
 * not read. Node would make an error of that and close the socket; here the report means that the set is ready.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';
import * as c from '../constants.js';
import { check } from '../errors.js';
import { native } from '../ffi/native.js';

/** An array of length 0. It must not lie at address 0, which Node takes for "no memory given". */
const NO_MEMORY = new Uint8Array(new ArrayBuffer(8), 0, 0);

/** Node's own methods. Other code may replace those of `Socket.prototype` later. */
const { constructor: _, ...NODE_METHODS } = Object.getOwnPropertyDescriptors(Socket.prototype);
const nodeDestroy = Socket.prototype.destroy;

export class LoopSocket extends Socket {
  private constructor(
    fd: number,
    private readonly onReady: () => void,
  ) {
    const options: SocketConstructorOpts & { onread: object } = {
      fd,
      readable: true,
      writable: false,
      onread: { buffer: NO_MEMORY, callback: () => true },
    };
    super(options);
  }

  static {
    const { destroy } = LoopSocket.prototype;
    Object.defineProperties(LoopSocket.prototype, NODE_METHODS);
    Object.defineProperty(LoopSocket.prototype, 'destroy', { value: destroy });
  }

  /**
   * Calls `onReady` in each turn of the event loop in which the set `epfd` is ready. The socket keeps the loop alive
   * unless `unref()` is called. It has its own file descriptor for the set, which `destroy()` closes.
   */
  static over(epfd: number, onReady: () => void): LoopSocket {
    const fd = check(native.socket(c.AF_UNIX, c.SOCK_STREAM | c.SOCK_CLOEXEC, 0), 'socket', 'reactor');
    const socket = new LoopSocket(fd, onReady);
    socket.takeReports();
    try {
      check(native.dup3(epfd, fd, c.O_CLOEXEC), 'dup3', 'reactor');
    } catch (error) {
      socket.destroy();
      throw error;
    }
    return socket;
  }

  /**
   * Takes the reports where C++ gives them to Node's streams. An error with its stack per report costs more than half of a
   * wake-up. A Node that has no such place makes the error, which {@link destroy} takes.
   */
  private takeReports(): void {
    const { _handle: handle } = this as unknown as { _handle?: { onread?: unknown } };
    if (typeof handle?.onread !== 'function') return;
    handle.onread = () => {
      // Whatever it returned would be the memory for the next read.
      this.onReady();
    };
  }

  override destroy(error?: Error): this {
    if ((error as NodeJS.ErrnoException | undefined)?.code !== 'ENOBUFS') return nodeDestroy.call(this, error) as this;
    this.onReady();
    return this;
  }
}
