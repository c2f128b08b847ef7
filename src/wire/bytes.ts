/**
 * Network-order integers in a byte array.
 *
 * Byte loads and shifts, not DataView: V8 inlines them, they work at any alignment, and they don't depend on the host's
 * byte order. 32-bit values come out *signed* (`| 0`): an address above 127.255.255.255 as an unsigned number is a heap
 * number as soon as it leaves a register, and that is an allocation per packet.
 */

/** The 16 bits at `offset`, 0 to 65535. */
export function readU16(u8: Uint8Array, offset: number): number {
  return (u8[offset] << 8) | u8[offset + 1];
}

/** Stores the low 16 bits of `value` at `offset`. */
export function writeU16(u8: Uint8Array, offset: number, value: number): void {
  u8[offset] = value >>> 8;
  u8[offset + 1] = value;
}

/** The 32 bits at `offset` as a signed integer. */
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

/** A memory word as the number that its bytes are in network order, and back. V8 makes two rotations of it. */
export function swapBytes(word: number): number {
  return (((word << 8) | (word >>> 24)) & 0x00ff00ff) | (((word << 24) | (word >>> 8)) & 0xff00ff00);
}
