/** Room for what is on its way to a send buffer: texts, which have to become bytes, and several chunks, which become one. */

/** What `net.Socket` was given to write in one piece. */
export type Chunk = Uint8Array | string;

/** What `net.Socket` was given to write while it was corked. */
export interface ChunkOfMany {
  readonly chunk: Chunk;
  readonly encoding: BufferEncoding;
}

/** A longer text takes a buffer of its own. Used until the call that has filled it returns. */
export const SCRATCH = Buffer.allocUnsafeSlow(1 << 16);
/** A character takes at most this many bytes in UTF-8. */
export const BYTES_PER_CHARACTER = 3;

/**
 * Copies a text into {@link SCRATCH}.
 * @returns the number of bytes; -1 when there is no room
 */
export function gatherText(text: string, encoding: BufferEncoding): number {
  return text.length * BYTES_PER_CHARACTER > SCRATCH.length ? -1 : SCRATCH.write(text, 0, encoding);
}

/** As {@link gatherText}, for several chunks. */
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
