/**
 * Watches what the code under test does with the descriptors that a hostile peer sent: only closers close them, each once, and no
 * call that can wait is made on a descriptor of a kind that it is not meant for. A wrong call is noted before it is made.
 *
 * The kernel would answer most of these calls at once for the descriptors that a fuzzer can open (nobody's FUSE server hangs
 * here), so nothing but the call itself tells a check that is missing or comes too late.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { native } from '../../drivers/libc/ffi/native.js';
import { abi, type Closer, closeFile, closeInPlace, MessageSocket, signalEventfd } from '../../drivers/libc/index.js';
import { SignalPacer } from '../../drivers/virtio/device/signal-pacer.js';
import { check } from './target.js';

const EVENTFD = /^anon_inode:\[eventfd\]$/;
const MEMORY = /^\/memfd:/;
const NOTHING = /^\0/;

type NativeCall = (...args: unknown[]) => number;

/** Calls of the C library by the place of the descriptor among their arguments, and the kind that they may be made on. */
const NATIVE_CALLS = {
  mmap: { at: 4, kind: MEMORY },
  read: { at: 0, kind: EVENTFD },
  write: { at: 0, kind: EVENTFD },
  epollControl: { at: 2, kind: EVENTFD },
  close: { at: 0, kind: NOTHING },
  dup3: { at: 0, kind: NOTHING },
  ftruncate: { at: 0, kind: NOTHING },
  fallocate: { at: 0, kind: NOTHING },
  ioctlPointer: { at: 0, kind: NOTHING },
  ioctlInt: { at: 0, kind: NOTHING },
} as const satisfies Partial<Record<keyof typeof native, { at: number; kind: RegExp }>>;

/** The same of node:fs. */
const FS_CALLS = {
  fstatSync: MEMORY,
  readSync: EVENTFD,
  writeSync: EVENTFD,
  closeSync: NOTHING,
  ftruncateSync: NOTHING,
};

/** What the code under test may do to a descriptor with fcntl(2): the first looks at the file alone, the others at its flags. */
const FCNTL_KINDS: Readonly<Record<number, RegExp>> = {
  [abi.F_GET_SEALS]: /^/,
  [abi.F_GETFL]: /^/,
  [abi.F_SETFL]: EVENTFD,
};

export class DescriptorGuard {
  /** Closes what the code under test hands over. */
  readonly closer: Closer = { ...closeInPlace, close: (fd) => this.closeFile(fd) };
  /** Descriptors that came from the peer and are not closed yet. */
  private readonly received = new Set<number>();
  /** The socket by which the code under test receives. */
  private socket = -1;
  private problem: string | null = null;
  private readonly restore: (() => void)[] = [];

  constructor() {
    const calls = native as unknown as Record<string, NativeCall>;
    for (const [name, { at, kind }] of Object.entries(NATIVE_CALLS)) {
      this.replace(calls, name, (args) => this.expectKind(Number(args[at]), kind, name));
    }
    this.replace(calls, 'fcntl', ([fd, command]) =>
      this.expectKind(Number(fd), FCNTL_KINDS[Number(command)] ?? NOTHING, `fcntl ${command}`),
    );
    const files = fs as unknown as Record<string, NativeCall>;
    for (const [name, kind] of Object.entries(FS_CALLS)) {
      this.replace(files, name, ([fd]) => this.expectKind(Number(fd), kind, name));
    }
    syncBuiltinESMExports();
    const { receive } = MessageSocket.prototype;
    const guard = this;
    MessageSocket.prototype.receive = function (into) {
      const received = receive.call(this, into);
      if (this.fd === guard.socket) for (const fd of received?.fds ?? []) guard.received.add(fd);
      return received;
    };
    this.restore.push(() => {
      MessageSocket.prototype.receive = receive;
    });
  }

  /** A case begins, in which the code under test receives from `socket`. */
  begin(socket: number): void {
    this.received.clear();
    this.socket = socket;
    this.problem = null;
  }

  /** Ends the case: throws what was wrong. Everything received must be closed. */
  end(): void {
    check(this.problem === null, this.problem ?? '');
    check(this.received.size === 0, `${this.received.size} descriptors of the peer were not closed`);
  }

  /** Notes that `what` is about to happen to a descriptor of the peer, if it is not of the kind for that. */
  expectKind(fd: number, kind: RegExp, what: string): void {
    if (this.problem !== null || !this.received.has(fd)) return;
    const target = fs.readlinkSync(`/proc/self/fd/${fd}`);
    if (!kind.test(target)) this.problem = `${what} of a descriptor that the peer sent: ${JSON.stringify(target)}`;
  }

  expectEventfd(fd: number, what: string): void {
    this.expectKind(fd, EVENTFD, what);
  }

  /** What signals the eventfds of the peer. */
  signals(): SignalPacer {
    return new SignalPacer((fd) => {
      this.expectEventfd(fd, 'signal');
      signalEventfd(fd);
    });
  }

  /** Makes all calls as they were. */
  close(): void {
    for (const restore of this.restore) restore();
    syncBuiltinESMExports();
  }

  private closeFile(fd: number): void {
    this.received.delete(fd);
    // Closed a second time, its number would be nobody's, or that of another file.
    if (native.fcntl(fd, abi.F_GETFL, 0) < 0) this.problem ??= `descriptor ${fd} was closed twice`;
    else closeFile(fd);
  }

  private replace(calls: Record<string, NativeCall>, name: string, look: (args: unknown[]) => void): void {
    const call = calls[name]!;
    calls[name] = (...args) => {
      look(args);
      return call(...args);
    };
    this.restore.push(() => {
      calls[name] = call;
    });
  }
}
