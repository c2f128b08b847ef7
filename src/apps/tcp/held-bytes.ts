/**
 * Bytes of one connection that wait: received ones that cannot be parsed yet, or ones that the send buffer had no room
 * for. Nearly always there are none, and then it has no array.
 */

/** Arrays of this size are used again. Nearly all that is held back fits. */
const SMALL_BYTES = 8192;
const MAX_SPARE = 256;
const EMPTY = new Uint8Array(0);
const spare: Uint8Array[] = [];

export class HeldBytes {
  bytes: Uint8Array = EMPTY;
  /** First byte that waits. */
  start = 0;
  end = 0;

  get length(): number {
    return this.end - this.start;
  }

  /** Copies bytes to the end. */
  append(bytes: Uint8Array, offset: number, length: number): void {
    this.makeRoom(length);
    const { bytes: own, end } = this;
    // A loop: `subarray` would allocate, and most pieces are short.
    if (length < 256) for (let i = 0; i < length; i++) own[end + i] = bytes[offset + i];
    else own.set(bytes.subarray(offset, offset + length), end);
    this.end += length;
  }

  /** Forgets bytes from the front. */
  skipTo(start: number): void {
    this.start = start;
    if (start === this.end) this.clear();
  }

  clear(): void {
    if (this.bytes.length === SMALL_BYTES && spare.length < MAX_SPARE) spare.push(this.bytes);
    this.bytes = EMPTY;
    this.start = this.end = 0;
  }

  private makeRoom(more: number): void {
    const { bytes, start, end, length } = this;
    if (end + more <= bytes.length) return;
    if (length + more <= bytes.length) {
      bytes.copyWithin(0, start, end);
    } else {
      let size = SMALL_BYTES;
      while (size < length + more) size *= 2;
      const larger = size === SMALL_BYTES ? (spare.pop() ?? new Uint8Array(size)) : new Uint8Array(size);
      larger.set(bytes.subarray(start, end));
      this.clear();
      this.bytes = larger;
    }
    this.start = 0;
    this.end = length;
  }
}
