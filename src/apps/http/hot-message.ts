/**
 * The message that was parsed last, byte for byte. Clients repeat their requests, and servers their responses: when the same
 * bytes come again, nothing is parsed, and what was found before is right.
 */

/** Longest message that is remembered. */
const MAX_BYTES = 512;
const NOTHING = new Uint8Array(0);
const NO_WORDS = new Int32Array(0);

export class HotMessage {
  /** Bytes of the remembered message; 0 when there is none. */
  length = 0;

  /** The message begins at `start`, which is its place modulo 4 where it was read: there, the next one will most often be. */
  private bytes = NOTHING;
  private words = NO_WORDS;
  private start = 0;
  /** The memory that messages were read from first, and its words. A port has one for all packets. */
  private memory: Uint8Array = NOTHING;
  private memoryWords: Int32Array = NO_WORDS;

  /** Whether the bytes from `at` on begin with the remembered message. */
  matches(bytes: Uint8Array, at: number, end: number): boolean {
    const { length, start, bytes: own } = this;
    if (length === 0 || end - at < length) return false;
    let i = 0;
    if (bytes === this.memory && (at & 3) === start) {
      for (; ((start + i) & 3) !== 0; i++) if (bytes[at + i] !== own[start + i]) return false;
      const { words, memoryWords } = this;
      const count = (length - i) >>> 2;
      const word = (at + i) >>> 2;
      const ownWord = (start + i) >>> 2;
      for (let w = 0; w < count; w++) if (memoryWords[word + w] !== words[ownWord + w]) return false;
      i += count << 2;
    }
    for (; i < length; i++) if (bytes[at + i] !== own[start + i]) return false;
    return true;
  }

  /** Copies a message that is not too long. Returns whether it is remembered; otherwise the one before still is. */
  remember(bytes: Uint8Array, from: number, end: number): boolean {
    const length = end - from;
    if (length < 4 || length > MAX_BYTES) return false;
    if (this.bytes === NOTHING) this.prepare(bytes);
    const start = from & 3;
    this.length = length;
    this.start = start;
    for (let i = 0; i < length; i++) this.bytes[start + i] = bytes[from + i];
    return true;
  }

  /** @param memory that messages are read from */
  private prepare(memory: Uint8Array): void {
    const own = new ArrayBuffer(MAX_BYTES + 4);
    this.bytes = new Uint8Array(own);
    this.words = new Int32Array(own);
    if ((memory.byteOffset & 3) !== 0) return;
    this.memory = memory;
    this.memoryWords = new Int32Array(memory.buffer, memory.byteOffset, memory.length >>> 2);
  }
}

/** A request that was answered from memory, with its response. */
export class HotRequest extends HotMessage {
  response: Uint8Array = NOTHING;

  rememberAnswered(bytes: Uint8Array, from: number, end: number, response: Uint8Array): void {
    if (this.remember(bytes, from, end)) this.response = response;
  }
}
