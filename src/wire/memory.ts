/** The memory that holds headers, as bytes and as 16-bit words. */

/**
 * Two views of the same bytes, which begin at the same byte. `core.memory` is one; the first byte of a packet is at
 * `packet.offset`. {@link wireMemory} makes one for other bytes, such as those of a test.
 */
export interface WireMemory {
  /** The bytes. */
  readonly u8: Uint8Array;
  /** The same bytes as 16-bit words in the byte order of the host. */
  readonly u16: Uint16Array;
}

/** The same bytes as 32-bit words in the byte order of the host, for the functions that ask for them. */
export interface WireWords {
  readonly u32: Uint32Array;
}

/**
 * Makes the views of bytes that are not in a core's memory. It copies nothing: the views show later changes of the
 * bytes.
 *
 * @param bytes any length; the first byte must be at an even offset of the underlying buffer
 * @throws RangeError when the first byte is at an odd offset; `bytes.slice()` moves it to offset 0 of a new buffer
 * @example
 * const memory = wireMemory(new Uint8Array(28));
 * writeIpv4Header(memory, 0, 28, IP_PROTOCOL_UDP, parseIpv4('10.0.0.1'), parseIpv4('10.0.0.2'));
 */
export function wireMemory(bytes: Uint8Array): WireMemory {
  const { buffer, byteOffset, length } = bytes;
  if ((byteOffset & 1) !== 0) {
    throw new RangeError(
      `wireMemory: the bytes begin at the odd offset ${byteOffset} of their buffer; use bytes.slice()`,
    );
  }
  return { u8: bytes, u16: new Uint16Array(buffer, byteOffset, length >>> 1) };
}
