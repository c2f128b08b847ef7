/**
 * The message that was parsed last, byte for byte. Clients repeat their requests, and servers their responses: when the same
 * bytes come again, nothing is parsed, and what was found before is right.
 */

/** Longest message that is remembered. */
const MAX_BYTES = 512;
const NOTHING = new Uint8Array(0);

export class HotMessage {
  /** Bytes of the remembered message; 0 when there is none. */
  length = 0;

  private bytes = NOTHING;

  /** Whether the bytes from `at` on begin with the remembered message. */
  matches(bytes: Uint8Array, at: number, end: number): boolean {
    const { length, bytes: own } = this;
    if (length === 0 || end - at < length) return false;
    for (let i = 0; i < length; i++) {
      if (bytes[at + i] !== own[i]) return false;
    }
    return true;
  }

  /** Copies a message that is not too long. Returns whether it is remembered; otherwise the one before still is. */
  remember(bytes: Uint8Array, from: number, end: number): boolean {
    const length = end - from;
    if (length > MAX_BYTES) return false;
    if (this.bytes === NOTHING) this.bytes = new Uint8Array(new ArrayBuffer(MAX_BYTES));
    this.length = length;
    for (let i = 0; i < length; i++) this.bytes[i] = bytes[from + i];
    return true;
  }
}

/** A request that was answered from memory, with its response. */
export class HotRequest extends HotMessage {
  response: Uint8Array = NOTHING;

  rememberAnswered(bytes: Uint8Array, from: number, end: number, response: Uint8Array): void {
    if (this.remember(bytes, from, end)) this.response = response;
  }
}
