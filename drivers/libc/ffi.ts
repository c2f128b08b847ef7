/**
 * Every foreign function of the project, and the only import of koffi. When `node:ffi` (Node 26 and later) takes over,
 * this file alone changes.
 *
 * Pointers are passed either as typed arrays (koffi takes their address for the call) or as plain numbers: a user-space
 * address has at most 47 bits, so a double holds it exactly.
 */
import { endianness } from 'node:os';
import koffi from 'koffi';

if (endianness() !== 'LE') {
  throw new Error('tspmd: this machine is big-endian; virtio 1.x rings are little-endian and are used here in place');
}

const libc = koffi.load(null);

/** A synchronous foreign function that returns an integer (-1 and errno on failure). */
type Call<A extends unknown[]> = (...args: A) => number;
type Pointer = Uint8Array | number | null;

/** `epoll_wait` run on libuv's thread pool; the callback gets (error, count). */
type AsyncEpollWait = (
  epfd: number,
  events: Uint8Array,
  maxEvents: number,
  timeoutMs: number,
  done: (error: unknown, count: number) => void,
) => void;

const func = <A extends unknown[]>(name: string, result: string, args: string[]): Call<A> =>
  libc.func(name, result, args) as unknown as Call<A>;

const epollWait = libc.func('epoll_wait', 'int', ['int', 'void *', 'int', 'int']);

export const native = {
  errno: (): number => koffi.errno(),
  /** Address of the first byte of a view. Only views over memory that V8 does not move (not small on-heap arrays). */
  address: (view: ArrayBufferView): number => Number(koffi.address(view)),

  open: func<[string, number, number]>('open', 'int', ['str', 'int', 'int']),
  close: func<[number]>('close', 'int', ['int']),
  dup: func<[number]>('dup', 'int', ['int']),
  read: func<[number, Pointer, number]>('read', 'intptr_t', ['int', 'void *', 'size_t']),
  write: func<[number, Pointer, number]>('write', 'intptr_t', ['int', 'const void *', 'size_t']),
  ftruncate: func<[number, number]>('ftruncate', 'int', ['int', 'int64_t']),
  fallocate: func<[number, number, number, number]>('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t']),
  // The third argument is passed as a pointer or an integer of the register's width: both fit uintptr_t / void *.
  ioctlPointer: func<[number, number, Pointer]>('ioctl', 'int', ['int', 'ulong', 'void *']),
  ioctlInt: func<[number, number, number]>('ioctl', 'int', ['int', 'ulong', 'uintptr_t']),
  fcntl: func<[number, number, number]>('fcntl', 'int', ['int', 'int', 'uintptr_t']),

  mmap: func<[number, number, number, number, number, number]>('mmap', 'intptr_t', [
    'uintptr_t',
    'size_t',
    'int',
    'int',
    'int',
    'int64_t',
  ]),
  memfdCreate: func<[string, number]>('memfd_create', 'int', ['str', 'uint']),

  eventfd: func<[number, number]>('eventfd', 'int', ['uint', 'int']),
  epollCreate: func<[number]>('epoll_create1', 'int', ['int']),
  epollControl: func<[number, number, number, Uint8Array]>('epoll_ctl', 'int', ['int', 'int', 'int', 'void *']),
  epollWaitAsync: epollWait.async as AsyncEpollWait,

  socket: func<[number, number, number]>('socket', 'int', ['int', 'int', 'int']),
  bind: func<[number, Uint8Array, number]>('bind', 'int', ['int', 'const void *', 'uint']),
  listen: func<[number, number]>('listen', 'int', ['int', 'int']),
  accept: func<[number, null, null, number]>('accept4', 'int', ['int', 'void *', 'void *', 'int']),
  connect: func<[number, Uint8Array, number]>('connect', 'int', ['int', 'const void *', 'uint']),
  sendmsg: func<[number, Uint8Array, number]>('sendmsg', 'intptr_t', ['int', 'const void *', 'int']),
  recvmsg: func<[number, Uint8Array, number]>('recvmsg', 'intptr_t', ['int', 'void *', 'int']),

  schedSetaffinity: func<[number, number, Uint8Array]>('sched_setaffinity', 'int', ['int', 'size_t', 'const void *']),
  exitNow: func<[number]>('_exit', 'int', ['int']),
  prctlName: func<[number, string]>('prctl', 'int', ['int', 'str']),
} as const;
