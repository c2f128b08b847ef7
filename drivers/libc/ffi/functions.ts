/**
 * All foreign functions of the project, in one table. The two implementations (`koffi.ts`, `node-ffi.ts`) bind it, and
 * `native.ts` chooses between them.
 */

/** Kinds of argument. */
interface Arguments {
  /** 32 bits, signed. */
  int: number;
  /** 32 bits. */
  uint: number;
  /** 64 bits, signed: offsets and lengths of files. */
  long: number;
  /**
   * 64 bits: sizes, requests, and addresses. A user-space address has at most 47 bits, so a double holds it exactly.
   */
  word: number;
  /** The address of a view's first byte, valid for the call only. `null` is the null pointer. */
  bytes: Uint8Array | null;
}

export type Argument = keyof Arguments;

/**
 * One foreign function, by its name in the C library. It returns an int; -1 means that it failed, with the reason in
 * errno.
 */
export interface Signature {
  readonly symbol: string;
  readonly takes: readonly Argument[];
}

/**
 * The results of read(2), readv(2), write(2), writev(2), send(2), sendmsg(2) and recvmsg(2) fit an int, because one call moves
 * less than 2^31 bytes.
 * Of mmap(2) the lower half of the result is returned; it is -1 only when mmap failed, because addresses are multiples
 * of a page. ioctl(2), fcntl(2), open(2) and prctl(2) are variadic. On x86-64 and arm64, Linux passes variadic integers
 * and pointers in the same registers as ordinary ones, so an ordinary signature calls them.
 */
export const FUNCTIONS = {
  open: { symbol: 'open', takes: ['bytes', 'int', 'int'] },
  dup3: { symbol: 'dup3', takes: ['int', 'int', 'int'] },
  close: { symbol: 'close', takes: ['int'] },
  read: { symbol: 'read', takes: ['int', 'word', 'word'] },
  write: { symbol: 'write', takes: ['int', 'word', 'word'] },
  readv: { symbol: 'readv', takes: ['int', 'word', 'int'] },
  writev: { symbol: 'writev', takes: ['int', 'word', 'int'] },
  ftruncate: { symbol: 'ftruncate', takes: ['int', 'long'] },
  fallocate: { symbol: 'fallocate', takes: ['int', 'int', 'long', 'long'] },
  ioctlPointer: { symbol: 'ioctl', takes: ['int', 'word', 'bytes'] },
  ioctlInt: { symbol: 'ioctl', takes: ['int', 'word', 'word'] },
  fcntl: { symbol: 'fcntl', takes: ['int', 'int', 'word'] },

  mmap: { symbol: 'mmap', takes: ['word', 'word', 'int', 'int', 'int', 'long'] },
  memfdCreate: { symbol: 'memfd_create', takes: ['bytes', 'uint'] },

  eventfd: { symbol: 'eventfd', takes: ['uint', 'int'] },
  eventfdWrite: { symbol: 'eventfd_write', takes: ['int', 'word'] },
  epollCreate: { symbol: 'epoll_create1', takes: ['int'] },
  epollControl: { symbol: 'epoll_ctl', takes: ['int', 'int', 'int', 'bytes'] },
  epollWait: { symbol: 'epoll_wait', takes: ['int', 'bytes', 'int', 'int'] },
  poll: { symbol: 'poll', takes: ['bytes', 'uint', 'int'] },
  /** The system calls of Linux AIO. The C library has no functions for them. */
  syscall: { symbol: 'syscall', takes: ['long', 'word', 'word', 'word', 'bytes', 'bytes'] },
  /** io_submit(2), which is called per notification. */
  submitIo: { symbol: 'syscall', takes: ['long', 'word', 'word', 'word'] },

  socket: { symbol: 'socket', takes: ['int', 'int', 'int'] },
  bind: { symbol: 'bind', takes: ['int', 'bytes', 'uint'] },
  listen: { symbol: 'listen', takes: ['int', 'int'] },
  accept: { symbol: 'accept4', takes: ['int', 'bytes', 'bytes', 'int'] },
  connect: { symbol: 'connect', takes: ['int', 'bytes', 'uint'] },
  sendmsg: { symbol: 'sendmsg', takes: ['int', 'bytes', 'int'] },
  recvmsg: { symbol: 'recvmsg', takes: ['int', 'bytes', 'int'] },
  send: { symbol: 'send', takes: ['int', 'word', 'word', 'int'] },
  setsockopt: { symbol: 'setsockopt', takes: ['int', 'int', 'int', 'bytes', 'uint'] },
  getsockopt: { symbol: 'getsockopt', takes: ['int', 'int', 'int', 'bytes', 'bytes'] },

  schedGetaffinity: { symbol: 'sched_getaffinity', takes: ['int', 'word', 'bytes'] },
  schedSetaffinity: { symbol: 'sched_setaffinity', takes: ['int', 'word', 'bytes'] },
  sigaction: { symbol: 'sigaction', takes: ['int', 'bytes', 'bytes'] },
  alarm: { symbol: 'alarm', takes: ['uint'] },
  clockGettime: { symbol: 'clock_gettime', takes: ['int', 'bytes'] },
  /** Both return the number of the error, or 0. */
  threadCreate: { symbol: 'pthread_create', takes: ['bytes', 'bytes', 'word', 'word'] },
  threadTryJoin: { symbol: 'pthread_tryjoin_np', takes: ['word', 'bytes'] },
  prctlName: { symbol: 'prctl', takes: ['int', 'bytes'] },
} as const satisfies Record<string, Signature>;

type Values<Takes extends readonly Argument[]> = { -readonly [I in keyof Takes]: Arguments[Takes[I]] };

/** A signature as a TypeScript function. */
type Call<S extends Signature> = (...args: Values<S['takes']>) => number;
type Calls<Table extends Record<string, Signature>> = { readonly [Name in keyof Table]: Call<Table[Name]> };

/** Binds the whole table. `bind` makes one function callable. */
export function bindAll(bind: (signature: Signature) => (...args: never[]) => number): Calls<typeof FUNCTIONS> {
  const calls = Object.entries(FUNCTIONS).map(([name, signature]) => [name, bind(signature)]);
  return Object.fromEntries(calls) as Calls<typeof FUNCTIONS>;
}

/** What an implementation provides to this folder. */
export interface Native extends Calls<typeof FUNCTIONS> {
  /** Which implementation this is. */
  readonly implementation: 'koffi' | 'node';
  /** errno of this thread, as the last foreign call left it. Read it before any other foreign call. */
  errno(): number;
  /** Address of the first byte of a view. Only views over memory that V8 does not move (not small on-heap arrays). */
  address(view: ArrayBufferView): number;
  /** Address of a function of the C library, for other code to call it. */
  functionAddress(symbol: string): number;
}
