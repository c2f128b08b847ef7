/**
 * An epoll set in Node's event loop, by public means of Node alone.
 *
 * Node watches only descriptors that it reads itself, and makes sockets of socket descriptors only. So it is given a socket, and
 * the epoll set takes the socket's number before the loop first looks at it. To read, libuv asks for memory; it is given none,
 * which libuv's documentation of `uv_alloc_cb` promises to report as ENOBUFS without a read. Node would close the socket for that
 * error. Here it is the news that the set is ready.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';
import * as c from './constants.js';
import { check } from './errors.js';
import { native } from './ffi.js';

/** Of no length, but not at address 0, which Node takes for no memory at all. */
const NO_MEMORY = new Uint8Array(new ArrayBuffer(8), 0, 0);

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

  /**
   * Calls `onReady` in each turn of the event loop in which the set `epfd` is ready. The socket keeps the loop alive unless
   * `unref()` is called. It has a descriptor of its own for the set, and `destroy()` closes that.
   */
  static over(epfd: number, onReady: () => void): LoopSocket {
    const fd = check(native.socket(c.AF_UNIX, c.SOCK_STREAM | c.SOCK_CLOEXEC, 0), 'socket', 'reactor');
    const socket = new LoopSocket(fd, onReady);
    try {
      check(native.dup3(epfd, fd, c.O_CLOEXEC), 'dup3', 'reactor');
    } catch (error) {
      socket.destroy();
      throw error;
    }
    return socket;
  }

  override destroy(error?: Error): this {
    if ((error as NodeJS.ErrnoException | undefined)?.code !== 'ENOBUFS') return super.destroy(error);
    this.onReady();
    return this;
  }
}
