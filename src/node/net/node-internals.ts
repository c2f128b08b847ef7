/**
 * The parts of Node below `net.Socket` that handles of our own need. Node passes them to nobody, but they are stable: a
 * `tls.TLSSocket` shows the classes of its handles, and `process.binding('stream_wrap')` is the place where a handle
 * tells Node's streams how a write went.
 *
 * A `JSStream` is a stream whose end is JavaScript, but which C++ reads and writes like a TCP handle: http's parser
 * consumes it, TLS and HTTP/2 wrap it. `tls.TLSSocket` makes one for each stream that is no socket.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';
import { constants } from 'node:os';
import { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/** A write, a shutdown or a connect as Node's streams ask for it (C++: ReqWrap). */
export interface HandleRequest {
  oncomplete(this: HandleRequest, status: number, ...more: unknown[]): void;
}

/** What C++ gives a `JSStream`, of what a handle of ours uses. */
export interface JsStream {
  /** Gives bytes that were received to whoever reads: a socket, TLS, http's parser. */
  readBuffer(bytes: Uint8Array): void;
  /** Makes `net.Socket` read into a buffer of the program's own. */
  useUserBuffer(buffer: Uint8Array): void;
  /** Tells the reader that nothing more comes. */
  emitEOF(): void;
  /** Completes a write that came by `onwrite`. */
  finishWrite(request: HandleRequest, status: number): void;
  /** Completes a shutdown that came by `onshutdown`. */
  finishShutdown(request: HandleRequest, status: number): void;
}

/** A handle of the kernel's TCP (C++: TCPWrap), of which only its methods for names are replaced. */
export interface KernelTcp {
  bind(address: string, port: number): number;
  bind6(address: string, port: number, flags?: number): number;
  connect(request: HandleRequest, address: string, port: number): number;
  connect6(request: HandleRequest, address: string, port: number): number;
  close(done?: () => void): void;
  hasRef(): boolean;
}

/** The words by which a handle tells how its last write went. */
export interface WriteState {
  readonly words: Int32Array;
  /** Index of the number of bytes. */
  readonly bytes: number;
  /** Index of whether the write ends later; that of `bytes` where a request that the write returns tells it. */
  readonly isAsync: number;
  /** Index of the error of such a request; otherwise that of `bytes`. */
  readonly error: number;
}

interface HandleOfTls {
  readonly _parent: { readonly constructor: unknown };
}

/** The class of the handle below a TLS socket over `stream`; over nothing, that of the kernel's TCP. */
function handleClassBelow(stream: Duplex | undefined): unknown {
  // A TLS socket without a stream is allowed, and makes the handle that it connects later.
  const tls = new TLSSocket(stream as Duplex);
  tls.on('error', () => {});
  const { _parent } = (tls as unknown as { _handle: HandleOfTls })._handle;
  tls.destroy();
  return _parent.constructor;
}

function loadWriteState(): WriteState | null {
  const { noDeprecation } = process;
  try {
    // Node warns of process.binding when it is told to warn of everything that may go some day.
    process.noDeprecation = true;
    const { binding } = process as unknown as { binding(name: string): Record<string, unknown> };
    const words = binding.call(process, 'stream_wrap');
    const { streamBaseState, kBytesWritten, kLastWriteWasAsync, kLastWriteErr } = words;
    if (!(streamBaseState instanceof Int32Array)) return null;
    return {
      words: streamBaseState,
      bytes: Number(kBytesWritten),
      isAsync: Number(kLastWriteWasAsync ?? kBytesWritten),
      error: Number(kLastWriteErr ?? kBytesWritten),
    };
  } catch {
    return null;
  } finally {
    process.noDeprecation = noDeprecation ?? false;
  }
}

const noStream = (): Duplex => new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });

/** Node's class `JSStream`. */
export const JsStreamClass = handleClassBelow(noStream()) as new () => JsStream;
/** Node's class `TCP`. */
export const KernelTcpClass = handleClassBelow(undefined) as new () => KernelTcp;
/**
 * Null when this Node does not show them: every write then takes the way through C++, which is right, but slower.
 */
export const WRITE_STATE = loadWriteState();

/** Returns the status that libuv gives an error of this code: a negative errno. */
export function statusOf(code: string): number {
  return -(constants.errno as Record<string, number>)[code]! || -constants.errno.EIO;
}

/** Returns the error that `net.Socket` makes of a failed read. */
export function readError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`read ${code}`), { errno: statusOf(code), code, syscall: 'read' });
}

/** What a socket has below it. */
interface SocketParts {
  _handle: unknown;
  [part: symbol]: unknown;
}

/** A handle as a socket prepares it: who owns it, and what takes what was read. */
type Prepared = JsStream & { onread: unknown } & Record<symbol, unknown>;

const symbolOf = (object: object, name: string): symbol | undefined =>
  Object.getOwnPropertySymbols(object).find(({ description }) => description === name);

/** A socket's handle has its socket under {@link OWNER}; `onread` is how Node's streams take what was read. */
const { OWNER, ON_READ } = ((): { OWNER: symbol; ON_READ: unknown } => {
  const handle = new JsStreamClass() as Prepared;
  const options = { handle, manualStart: true };
  new Socket(options as SocketConstructorOpts);
  return { OWNER: symbolOf(handle, 'owner_symbol') ?? Symbol('owner_symbol'), ON_READ: handle.onread };
})();

/** Returns the socket or server that a handle belongs to. */
export function ownerOf(handle: object): unknown {
  return (handle as Record<symbol, unknown>)[OWNER];
}

/** Gives `socket` a handle, in the place of the one that it may have. */
export function giveHandle(socket: Socket, handle: JsStream): void {
  const prepared = handle as Prepared;
  const parts = socket as unknown as SocketParts;
  parts._handle = handle;
  prepared[OWNER] = socket;
  prepared.onread = ON_READ;
  // With the option `onread` the socket reads into a buffer of the program, which a function may make.
  const place = symbolOf(socket, 'kBuffer');
  const maker = symbolOf(socket, 'kBufferGen');
  if (place === undefined || maker === undefined) return;
  const make = parts[maker];
  if (parts[place] === true && typeof make === 'function') parts[place] = make();
  const buffer = parts[place];
  if (buffer instanceof Uint8Array) prepared.useUserBuffer(buffer);
}
