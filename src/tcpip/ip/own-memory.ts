/** Memory of the stack's own for packets that are longer than a buffer. */
import type { MemoryViews } from '../../../drivers/memory/index.js';

/**
 * Makes zeroed memory with the views that packet memory has. Pages that were never written take no memory.
 * @param bytes a multiple of 4
 */
export function ownMemory(bytes: number): MemoryViews {
  const buffer = new ArrayBuffer(bytes);
  return { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}
