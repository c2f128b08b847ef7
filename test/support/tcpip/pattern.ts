/** Bytes that follow from their place in a stream: a byte that is lost, doubled or moved is noticed. */

/** The byte at a place, from 0. */
export function patternByte(place: number): number {
  return Math.imul(place + 1, 0x9e3779b1) >>> 24;
}

/** Writes `length` bytes of the stream from `place` on to `bytes` from `offset` on. */
export function writePatternAt(bytes: Uint8Array, offset: number, length: number, place: number): void {
  let product = Math.imul(place + 1, 0x9e3779b1);
  for (let i = offset; i < offset + length; i++) {
    bytes[i] = product >>> 24;
    product = (product + 0x9e3779b1) | 0;
  }
}

/** Returns how many of the bytes are right; `length` when all are. */
export function matchPatternAt(bytes: Uint8Array, offset: number, length: number, place: number): number {
  let product = Math.imul(place + 1, 0x9e3779b1);
  for (let i = 0; i < length; i++) {
    if (bytes[offset + i] !== product >>> 24) return i;
    product = (product + 0x9e3779b1) | 0;
  }
  return length;
}
