/** Room for what is on its way to a send buffer: texts, which have to become bytes, and several chunks, which become one. */

/** What `net.Socket` was given to write in one piece. */
export type Chunk = Uint8Array | string;

/** What `net.Socket` was given to write while it was corked. */
export interface ChunkOfMany {
  readonly chunk: Chunk;
  readonly encoding: BufferEncoding;
}

export const SCRATCH_BYTES = 1 << 16;
/** A longer text takes a buffer of its own. Used until the call that has filled it returns. */
export const SCRATCH = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
/** A character takes at most this many bytes in UTF-8. */
export const BYTES_PER_CHARACTER = 3;

/**
 * Copies a text into a buffer.
 * @returns the number of bytes; -1 when there may be no room
 */
export function gatherText(into: Buffer, text: string, encoding: BufferEncoding): number {
  return text.length * BYTES_PER_CHARACTER > into.length ? -1 : into.write(text, 0, encoding);
}

/** Copies several chunks into {@link SCRATCH}, as {@link gatherText} does one. */
export function gatherMany(chunks: readonly ChunkOfMany[]): number {
  let length = 0;
  for (let i = 0; i < chunks.length; i++) {
    const { chunk, encoding } = chunks[i]!;
    // http ends most messages with an empty text.
    if (chunk.length === 0) continue;
    const room = SCRATCH.length - length;
    if (typeof chunk === 'string') {
      if (chunk.length * BYTES_PER_CHARACTER > room) return -1;
      length += SCRATCH.write(chunk, length, encoding);
    } else {
      if (chunk.length > room) return -1;
      SCRATCH.set(chunk, length);
      length += chunk.length;
    }
  }
  return length;
}

/**
 * Copies chunks into a buffer, as `writev` of a handle has them: each with its encoding behind it, unless all are buffers.
 * @returns the number of bytes; -1 when there may be no room
 */
export function gather(into: Buffer, chunks: readonly Chunk[], areBuffers: boolean): number {
  const step = areBuffers ? 1 : 2;
  let length = 0;
  for (let i = 0; i < chunks.length; i += step) {
    const chunk = chunks[i]!;
    if (chunk.length === 0) continue;
    const room = into.length - length;
    if (typeof chunk === 'string') {
      if (chunk.length * BYTES_PER_CHARACTER > room) return -1;
      length += into.write(chunk, length, chunks[i + 1] as BufferEncoding);
    } else {
      if (chunk.length > room) return -1;
      into.set(chunk, length);
      length += chunk.length;
    }
  }
  return length;
}
