/** The foreign functions through koffi, a native addon that runs on every version of Node. */
import { createRequire } from 'node:module';
import { type Argument, bindAll, type Native } from './functions.js';
import { uninterrupted } from './uninterrupted.js';

const TYPES: Record<Argument, string> = {
  int: 'int',
  uint: 'uint',
  long: 'int64_t',
  word: 'uint64_t',
  bytes: 'void *',
};

/** Loads koffi and binds all functions. Throws when koffi is not installed. */
export function openKoffi(): Native {
  return uninterrupted(load);
}

function load(): Native {
  // Not an import, which would load the addon even when node:ffi is used.
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const libc = koffi.load(null);
  // All functions are made here: koffi cannot make one in a thread that is being terminated.
  const lookUp = libc.func('dlsym', 'uint64_t', ['void *', 'void *']);
  return {
    ...bindAll(({ symbol, takes }) =>
      libc.func(
        symbol,
        'int',
        takes.map((argument) => TYPES[argument]),
      ),
    ),
    implementation: 'koffi',
    errno: () => koffi.errno(),
    functionAddress: (symbol) => Number(lookUp(null, Buffer.from(`${symbol}\0`))),
    address: (view) => Number(koffi.address(view)),
  };
}
