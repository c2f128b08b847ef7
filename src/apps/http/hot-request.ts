/**
 * The request that was answered last from memory, byte for byte. Clients repeat their requests: when the same bytes come
 * again, nothing is parsed, and the same response is sent.
 */

/** Longest request that is remembered. */
const MAX_BYTES = 512;
const NOTHING = new Uint8Array(0);

export class HotRequest {
  /** Bytes of the remembered request; 0 when there is none. */
  length = 0;
  response: Uint8Array = NOTHING;

  private readonly bytes = new Uint8Array(new ArrayBuffer(MAX_BYTES));

  /** Whether the bytes from `at` on begin with the remembered request. */
  matches(bytes: Uint8Array, at: number, end: number): boolean {
    const { length, bytes: own } = this;
    if (length === 0 || end - at < length) return false;
    for (let i = 0; i < length; i++) {
      if (bytes[at + i] !== own[i]) return false;
    }
    return true;
  }

  remember(bytes: Uint8Array, from: number, end: number, response: Uint8Array): void {
    if (end - from > MAX_BYTES) return;
    this.length = end - from;
    for (let i = from; i < end; i++) this.bytes[i - from] = bytes[i];
    this.response = response;
  }
}
