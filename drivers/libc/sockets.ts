/**
 * Sockets as node:net has none: unix sockets that carry file descriptors (SCM_RIGHTS), unix datagrams, and raw sockets on
 * a network interface (packet(7)).
 *
 * All sockets are non-blocking. The {@link Reactor} tells when they are ready.
 */
import { fchmodSync } from 'node:fs';
import * as c from './constants.js';
import { check, systemError } from './errors.js';
import { native } from './ffi/native.js';

/** Largest number of file descriptors that we send in one message (the vhost-user memory table has 8 regions). */
export const MAX_FDS = 8;
/**
 * Largest number of file descriptors in one message (SCM_MAX_FD). All are received, because the kernel would close
 * those that do not fit on this thread, and such a close can take for ever ({@link Closer}).
 */
const MAX_RECEIVED_FDS = 253;

const SUN_PATH_BYTES = 108;
const CMSG_HEADER = 16;
// CMSG_SPACE: rounded up to 8.
const CONTROL_BYTES = (CMSG_HEADER + MAX_RECEIVED_FDS * 4 + 7) & ~7;

/** @param path of the socket, or `@` and a name in the abstract namespace (unix(7)) */
function abstractOrPath(path: string): Uint8Array {
  const address = sockaddr(path);
  if (!path.startsWith('@')) return address;
  address[2] = 0;
  // Of an abstract name every byte counts.
  return address.subarray(0, 2 + Buffer.byteLength(path));
}

function sockaddr(path: string): Uint8Array {
  const name = Buffer.from(path);
  if (name.length === 0 || name.length >= SUN_PATH_BYTES) {
    throw new Error(`socket path '${path}' has ${name.length} bytes; a unix socket takes 1 to ${SUN_PATH_BYTES - 1}`);
  }
  const address = new Uint8Array(new ArrayBuffer(2 + SUN_PATH_BYTES));
  address[0] = c.AF_UNIX;
  address.set(name, 2);
  return address;
}

function unixSocket(path: string, type = c.SOCK_STREAM): number {
  return check(native.socket(c.AF_UNIX, type | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, 0), 'socket', path);
}

/**
 * Creates a listening socket at `path`, to which only its owner may connect. Throws EADDRINUSE when there is already a
 * file at that path.
 */
export function listenUnix(path: string, backlog = 4): number {
  const address = sockaddr(path);
  const fd = unixSocket(path);
  try {
    // bind(2) gives the file the mode of the socket. The mode is set first, so that there is no moment when others
    // could connect.
    fchmodSync(fd, 0o600);
    check(native.bind(fd, address, address.length), 'bind', path);
    check(native.listen(fd, backlog), 'listen', path);
  } catch (error) {
    native.close(fd);
    throw error;
  }
  return fd;
}

/** Accepts the next waiting connection; returns `null` when none is waiting. */
export function acceptUnix(listener: number, path: string): number | null {
  const fd = native.accept(listener, null, null, c.SOCK_NONBLOCK | c.SOCK_CLOEXEC);
  if (fd >= 0) return fd;
  const errno = native.errno();
  if (errno === c.EAGAIN || errno === c.EINTR) return null;
  throw systemError('accept', path, errno);
}

/** Connects to a listening socket. A unix connect(2) succeeds or fails at once. */
export function connectUnix(path: string): number {
  const address = sockaddr(path);
  const fd = unixSocket(path);
  if (native.connect(fd, address, address.length) < 0) {
    const error = systemError('connect', path);
    native.close(fd);
    throw error;
  }
  return fd;
}

/**
 * Whether a process, in any network namespace, has a socket bound to the file `path`. `null` when that is not known:
 * this user may not write to the file, or its path is too long. The process does not notice: a datagram socket cannot
 * connect to a stream socket, and the kernel refuses with EPROTOTYPE before it tells the process (Linux,
 * net/unix/af_unix.c, unix_find_bsd).
 */
export function isSocketInUse(path: string): boolean | null {
  if (Buffer.byteLength(path) >= SUN_PATH_BYTES) return null;
  const address = sockaddr(path);
  const fd = unixSocket(path, c.SOCK_DGRAM);
  const errno = native.connect(fd, address, address.length) < 0 ? native.errno() : 0;
  native.close(fd);
  if (errno === c.ECONNREFUSED || errno === c.ENOENT) return false;
  return errno === c.EACCES ? null : true;
}

/**
 * Sends one datagram to a unix socket. Returns false when its queue is full; then nothing was sent.
 * @param path of the socket; `@NAME` is in the abstract namespace
 */
export function sendDatagram(path: string, text: string): boolean {
  const address = abstractOrPath(path);
  const fd = unixSocket(path, c.SOCK_DGRAM);
  try {
    check(native.connect(fd, address, address.length), 'connect', path);
    return new MessageSocket(fd, path).send(new Uint8Array(Buffer.from(text)));
  } finally {
    native.close(fd);
  }
}

/** Makes a raw socket that gets frames once it is bound. Throws EPERM without CAP_NET_RAW. */
export function packetSocket(target: string): number {
  const type = c.SOCK_RAW | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
  return check(native.socket(c.AF_PACKET, type, 0), 'socket', target);
}

/** Binds a raw socket to an interface, for the frames of all protocols. */
export function bindPacketSocket(fd: number, interfaceIndex: number, target: string): void {
  // struct sockaddr_ll: family, protocol (big-endian), index; the rest is not read.
  const address = Buffer.from(new ArrayBuffer(20));
  address.writeUInt16LE(c.AF_PACKET, 0);
  address.writeUInt16BE(c.ETH_P_ALL, 2);
  address.writeInt32LE(interfaceIndex, 4);
  check(native.bind(fd, address, address.length), 'bind', target);
}

/** setsockopt(2) with a value of 32-bit words. Throws a {@link SystemError} with the names of option and target. */
export function setSocketOption(
  fd: number,
  level: number,
  option: number,
  words: readonly number[],
  name: string,
  target: string,
): void {
  const value = new Uint8Array(Uint32Array.from(words).buffer);
  check(native.setsockopt(fd, level, option, value, value.length), `setsockopt ${name}`, target);
}

/** getsockopt(2): fills `words`, of memory that does not move. Returns 0, or the errno. */
export function readSocketOption(fd: number, level: number, option: number, words: Uint32Array): number {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  const length = new Uint8Array(Uint32Array.of(bytes.length).buffer);
  return native.getsockopt(fd, level, option, bytes, length) < 0 ? native.errno() : 0;
}

/** Has the kernel send what waits in the ring of a raw socket. Returns 0, or the errno. */
export function sendRing(fd: number): number {
  return native.send(fd, 0, 0, c.MSG_DONTWAIT) < 0 ? native.errno() : 0;
}

/** The result of {@link MessageSocket.receive}. */
export interface Received {
  /** Number of bytes that were read into the caller's buffer; 0 at the end of the stream. */
  bytes: number;
  /** File descriptors that came along. The caller owns them and must close them. */
  fds: number[];
  /** This process had no number free for some file descriptors. They are lost, so the message cannot be trusted. */
  truncated: boolean;
}

/**
 * sendmsg(2) and recvmsg(2) over one connected socket. It keeps the `msghdr`, the `iovec` and the control buffer, so
 * that a call allocates no foreign memory.
 */
export class MessageSocket {
  private readonly header = new Uint8Array(new ArrayBuffer(56));
  private readonly header64 = new BigUint64Array(this.header.buffer);
  private readonly header32 = new Uint32Array(this.header.buffer);
  private readonly vector = new BigUint64Array(new ArrayBuffer(16));
  private readonly control = new Uint8Array(new ArrayBuffer(CONTROL_BYTES));
  private readonly control32 = new Int32Array(this.control.buffer);
  private readonly control64 = new BigUint64Array(this.control.buffer);

  constructor(
    readonly fd: number,
    private readonly name: string,
  ) {
    // struct msghdr: name, namelen, iov, iovlen, control, controllen, flags (8 bytes each on 64-bit Linux).
    this.header64[2] = BigInt(native.address(this.vector));
    this.header64[3] = 1n;
    this.header64[4] = BigInt(native.address(this.control));
  }

  /**
   * Sends all of `data`, with `fds` attached. Returns false when the socket's buffer is full; then nothing was sent.
   */
  send(data: Uint8Array, fds: readonly number[] = []): boolean {
    if (fds.length > MAX_FDS)
      throw new Error(`${this.name}: ${fds.length} file descriptors in a message; at most ${MAX_FDS}`);
    this.vector[0] = BigInt(native.address(data));
    this.vector[1] = BigInt(data.length);
    if (fds.length > 0) {
      this.control64[0] = BigInt(CMSG_HEADER + fds.length * 4);
      this.control32[2] = c.SOL_SOCKET;
      this.control32[3] = c.SCM_RIGHTS;
      this.control32.set(fds, CMSG_HEADER / 4);
      // CMSG_SPACE: the length, rounded up to a multiple of 8.
      this.header64[5] = BigInt((CMSG_HEADER + fds.length * 4 + 7) & ~7);
    } else {
      this.header64[5] = 0n;
    }
    const sent = native.sendmsg(this.fd, this.header, c.MSG_DONTWAIT | c.MSG_NOSIGNAL);
    if (sent === data.length) return true;
    if (sent >= 0) throw new Error(`${this.name}: short write of ${sent} of ${data.length} bytes`);
    const errno = native.errno();
    if (errno === c.EAGAIN) return false;
    throw systemError('sendmsg', this.name, errno);
  }

  /** Reads what is waiting, up to `into.length` bytes. Returns `null` when nothing is. */
  receive(into: Uint8Array): Received | null {
    this.vector[0] = BigInt(native.address(into));
    this.vector[1] = BigInt(into.length);
    this.header64[5] = BigInt(CONTROL_BYTES);
    const bytes = native.recvmsg(this.fd, this.header, c.MSG_DONTWAIT | c.MSG_CMSG_CLOEXEC);
    if (bytes < 0) {
      const errno = native.errno();
      if (errno === c.EAGAIN || errno === c.EINTR) return null;
      throw systemError('recvmsg', this.name, errno);
    }
    const fds: number[] = [];
    const controlLength = Number(this.header64[5]);
    if (controlLength >= CMSG_HEADER && this.control32[2] === c.SOL_SOCKET && this.control32[3] === c.SCM_RIGHTS) {
      const count = (Number(this.control64[0]) - CMSG_HEADER) >> 2;
      for (let i = 0; i < count && i < MAX_RECEIVED_FDS; i++) fds.push(this.control32[CMSG_HEADER / 4 + i]);
    }
    return { bytes, fds, truncated: (this.header32[12] & c.MSG_CTRUNC) !== 0 };
  }

  close(): void {
    native.close(this.fd);
  }
}
