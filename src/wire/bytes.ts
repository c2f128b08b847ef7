/**
 * Integers in network byte order in a byte array.
 *
 * The functions load bytes and shift them (docs/v8.md, "Typed arrays"). They work at any alignment and with any byte
 * order of the host. 32-bit values are *signed*: V8 keeps an unsigned value above 2^31 - 1 on the heap as soon as it
 * leaves a register, which would be an allocation per packet.
 */

/** Reads the 16 bits at `offset`: 0 to 65535. */
export function readU16(u8: Uint8Array, offset: number): number {
  return (u8[offset] << 8) | u8[offset + 1];
}

/** Stores the low 16 bits of `value` at `offset`. */
export function writeU16(u8: Uint8Array, offset: number, value: number): void {
  u8[offset] = value >>> 8;
  u8[offset + 1] = value;
}

/** Reads the 32 bits at `offset` as a signed integer. */
export function readI32(u8: Uint8Array, offset: number): number {
  return (u8[offset] << 24) | (u8[offset + 1] << 16) | (u8[offset + 2] << 8) | u8[offset + 3];
}

/** Stores 32 bits at `offset`; `value` may be signed or unsigned. */
export function writeI32(u8: Uint8Array, offset: number, value: number): void {
  u8[offset] = value >>> 24;
  u8[offset + 1] = value >>> 16;
  u8[offset + 2] = value >>> 8;
  u8[offset + 3] = value;
}

/**
 * Reverses the four bytes of a 32-bit memory word: on a little-endian host this converts between the word and the
 * number that its bytes are in network order. V8 compiles it to two rotations.
 */
export function swapBytes(word: number): number {
  return (((word << 8) | (word >>> 24)) & 0x00ff00ff) | (((word << 24) | (word >>> 8)) & 0xff00ff00);
}

/**
 * Copies bytes into memory whose little-endian words are known, and stores a word at once: a loop over bytes takes three
 * times as long. For short copies; long ones are faster by `set`.
 * @param words of the same memory as `target`
 * @param to offset of the first byte in `target`, `from` in `bytes`
 */
export function copyIntoWords(
  target: Uint8Array,
  words: Int32Array,
  to: number,
  bytes: Uint8Array,
  from: number,
  length: number,
): void {
  const end = to + length;
  let t = to;
  let s = from;
  while ((t & 3) !== 0 && t < end) target[t++] = bytes[s++];
  for (; t + 4 <= end; t += 4) {
    words[t >> 2] = bytes[s] | (bytes[s + 1] << 8) | (bytes[s + 2] << 16) | (bytes[s + 3] << 24);
    s += 4;
  }
  while (t < end) target[t++] = bytes[s++];
}
