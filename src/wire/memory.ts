/** The memory that headers lie in, as bytes and as 16-bit words. */

/**
 * Two views of the same bytes, from the same first byte on. A core's `core.memory` is one, with a packet's first byte at
 * `packet.offset`. For bytes of your own, such as those of a test, use {@link wireMemory}.
 */
export interface WireMemory {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
}

/**
 * The views of bytes that lie outside of a core's memory. Nothing is copied: what is written there is seen here.
 *
 * @param bytes any length; their first byte must lie at an even offset of their buffer
 * @throws RangeError where it does not: `bytes.slice()` has a buffer of its own
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
