/**
 * Chooses the implementation of the foreign functions for this process: `node:ffi` if the running Node has one that is
 * good enough, otherwise koffi. The environment variable TSPMD_FFI (`node` or `koffi`) forces one of them.
 */
import { endianness } from 'node:os';
import type { Native } from './functions.js';
import { openKoffi } from './koffi.js';
import { openNodeFfi } from './node-ffi.js';

if (endianness() !== 'LE') {
  throw new Error(
    'tspmd: this machine is big-endian; it needs a little-endian one, because virtio 1.x rings are used in place',
  );
}

const reasonOf = (error: unknown): string => (error as Error).message.split('\n', 1)[0] as string;

function open(wanted: string | undefined): Native {
  if (wanted === 'koffi') return openKoffi();
  if (wanted === 'node') return openNodeFfi();
  if (wanted) throw new Error(`TSPMD_FFI=${wanted}: must be 'node' (node:ffi) or 'koffi'`);
  try {
    return openNodeFfi();
  } catch (unusable) {
    try {
      return openKoffi();
    } catch (missing) {
      throw new Error(
        `tspmd: no way to call the C library: ${reasonOf(unusable)}; koffi cannot be loaded: ${reasonOf(missing)}. ` +
          "Install koffi with its optional dependencies ('npm install koffi'), or use Node 26.11 or newer",
      );
    }
  }
}

export const native: Native = open(process.env.TSPMD_FFI);
