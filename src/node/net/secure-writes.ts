/**
 * Writes of TLS sockets above handles of ours. Node's TLS joins the pieces of a write in memory that it allocates, and
 * tells the end of a write only after the turn, by a call for each. Here the pieces are joined in a buffer that is used
 * again, and TLS learns at once that the stack has taken its record. It tells the socket itself after the turn.
 */
import type { HandleRequest } from './node-internals.js';
import { type Chunk, gather, gatherText, SCRATCH_BYTES } from './scratch.js';
import { WriteHandle } from './write-handle.js';

/** The handle of a TLS socket (C++: TLSWrap). */
interface SecureHandle {
  /** The handle below. */
  readonly _parent: unknown;
  writeBuffer(request: HandleRequest | null, bytes: Uint8Array): unknown;
  writev(request: HandleRequest | null, chunks: readonly Chunk[], areBuffers: boolean): unknown;
  writeUtf8String(request: HandleRequest | null, text: string): unknown;
  writeLatin1String(request: HandleRequest | null, text: string): unknown;
}

/** TLS calls the program while it encrypts, maybe, and the program writes to another socket: that one takes the usual way. */
const CLEARTEXT = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
let isTaken = false;
const hastened = new WeakSet<object>();

/** Hastens the writes of all TLS sockets above handles of ours. @param handle that of such a socket */
export function hastenSecureWrites(handle: object): void {
  const prototype = Object.getPrototypeOf(handle) as SecureHandle;
  if (hastened.has(prototype)) return;
  hastened.add(prototype);
  const { writeBuffer, writev, writeUtf8String, writeLatin1String } = prototype;

  const write = (
    handle: SecureHandle,
    below: WriteHandle,
    request: HandleRequest | null,
    bytes: Uint8Array,
  ): unknown => {
    isTaken = true;
    below.finishesAtOnce = true;
    try {
      return writeBuffer.call(handle, request, bytes);
    } finally {
      below.finishesAtOnce = false;
      isTaken = false;
    }
  };
  prototype.writeBuffer = function (request, bytes) {
    const below = mayHasten(this);
    // What is empty ends at once by itself.
    if (below === null || bytes.length === 0) return writeBuffer.call(this, request, bytes);
    return write(this, below, request, bytes);
  };
  prototype.writev = function (request, chunks, areBuffers) {
    const below = mayHasten(this);
    const length = below === null ? 0 : gather(CLEARTEXT, chunks, areBuffers);
    if (length <= 0) return writev.call(this, request, chunks, areBuffers);
    return write(this, below!, request, gathered(length));
  };
  prototype.writeUtf8String = function (request, text) {
    const below = mayHasten(this);
    const length = below === null ? 0 : gatherText(CLEARTEXT, text, 'utf8');
    if (length <= 0) return writeUtf8String.call(this, request, text);
    return write(this, below!, request, gathered(length));
  };
  prototype.writeLatin1String = function (request, text) {
    const below = mayHasten(this);
    const length = below === null ? 0 : gatherText(CLEARTEXT, text, 'latin1');
    if (length <= 0) return writeLatin1String.call(this, request, text);
    return write(this, below!, request, gathered(length));
  };
}

const gathered = (length: number): Uint8Array => new Uint8Array(CLEARTEXT.buffer, 0, length);

function mayHasten({ _parent: below }: SecureHandle): WriteHandle | null {
  return !isTaken && below instanceof WriteHandle && below.isEncrypted ? below : null;
}
