/**
 * The foreign functions through `node:ffi`, which is part of Node: no native package is loaded.
 *
 * `docs/ffi.md` says how errno is read and which faults are worked around.
 */
import { type Argument, bindAll, type Native } from './functions.js';

/** The part of `node:ffi` that is used. @types/node declares it only for newer versions of Node. */
interface NodeFfi {
  DynamicLibrary: new (
    path: null,
  ) => {
    getFunction(name: string, signature: { arguments: string[]; return: string }): ForeignCall;
  };
  getRawPointer(source: ArrayBufferView): bigint;
  toArrayBuffer(pointer: bigint, length: number, copy: boolean): ArrayBuffer;
}

type ForeignCall = (...args: unknown[]) => unknown;
/** Stores errno and returns the result. */
type Keep = (result: unknown, errno: number) => number;

const TYPES: Record<Argument, string> = {
  int: 'int32',
  uint: 'uint32',
  long: 'int64',
  word: 'uint64',
  bytes: 'pointer',
};

/** Binds all functions. Throws, and says what is missing, when this Node has no `node:ffi` that is good enough. */
export function openNodeFfi(): Native {
  const ffi = loadQuietly();
  if (ffi === undefined) {
    throw new Error(`Node ${process.version} has no node:ffi, or it is off (--experimental-ffi turns it on)`);
  }
  // A library binds a symbol with one signature only, but ioctl has two here: so each function gets its own library.
  const bind = (symbol: string, result: string, takes: readonly string[]) =>
    new ffi.DynamicLibrary(null).getFunction(symbol, { arguments: [...takes], return: result });

  // Every thread has its own errno. The location stays valid for as long as the thread lives.
  const location = bind('__errno_location', 'pointer', [])() as bigint;
  const errno = new Int32Array(ffi.toArrayBuffer(location, Int32Array.BYTES_PER_ELEMENT, false));
  let lastErrno = 0;
  const keep: Keep = (result, code) => {
    lastErrno = code;
    return result as number;
  };
  const native: Native = {
    ...bindAll(({ symbol, takes }) => {
      const types = takes.map((argument) => TYPES[argument]);
      return keepingErrno(bind(symbol, 'int32', types), takes.length, errno, keep);
    }),
    implementation: 'node',
    errno: () => lastErrno,
    functionAddress: (symbol) =>
      Number(bind('dlsym', 'uint64', ['pointer', 'pointer'])(null, Buffer.from(`${symbol}\0`))),
    address: (view) => Number(ffi.getRawPointer(view)),
  };
  checkNumbers(native);
  return native;
}

/**
 * Wraps `call` so that errno is stored as the call leaves it. errno is loaded in the same expression as the call:
 * between two statements V8 may collect garbage, with system calls that change errno. A rest parameter would allocate
 * an array per call.
 */
function keepingErrno(call: ForeignCall, args: number, errno: Int32Array, keep: Keep): (...args: never[]) => number {
  switch (args) {
    case 1:
      return (a) => keep(call(a), errno[0]);
    case 2:
      return (a, b) => keep(call(a, b), errno[0]);
    case 3:
      return (a, b, d) => keep(call(a, b, d), errno[0]);
    case 4:
      return (a, b, d, e) => keep(call(a, b, d, e), errno[0]);
    default:
      return (...all) => keep(call(...all), errno[0]);
  }
}

/**
 * Loads the module without the warning that it is experimental. A user can do nothing about it, and every thread of the
 * process would print it.
 */
function loadQuietly(): NodeFfi | undefined {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule?.('node:ffi') as NodeFfi | undefined;
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** Until Node 26.11 a 64-bit argument had to be a bigint, which means an allocation per call. */
function checkNumbers(native: Native): void {
  try {
    native.read(-1, 0, 0);
  } catch {
    throw new Error(`node:ffi of Node ${process.version} takes no numbers as 64-bit arguments; Node 26.11 does`);
  }
}
