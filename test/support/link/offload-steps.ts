/** Steps of the tests of offloads: a stack that sends a packet in several buffers, and asks for something. */
import type { Core } from '../../../src/link/core.js';
import type { PacketBuffer } from '../../../src/link/packet-buffer.js';

/** Writes a packet into buffers of `sizes` bytes; what is left fills further buffers. */
export function writeParts(core: Core, bytes: ArrayLike<number>, sizes: readonly number[] = []): PacketBuffer {
  const all = Array.from(bytes);
  let first: PacketBuffer | null = null;
  for (let done = 0, n = 0; done < all.length || first === null; n++) {
    const part = core.getBufferTx();
    if (part === null) throw new Error('no buffer');
    // A part of an odd number begins somewhere else in its buffer.
    const skip = first === null ? 0 : n % 3;
    const length = Math.min(all.length - done, part.capacity - skip, sizes[n] ?? part.capacity - skip);
    part.bytes.set(all.slice(done, done + length), skip);
    part.length = length;
    if (first === null) first = part;
    else first.append(part, skip);
    done += length;
  }
  return first;
}

/** All bytes of a packet. */
export function bytesOf(packet: PacketBuffer): number[] {
  const bytes = new Uint8Array(packet.totalLength);
  packet.copyTo(bytes);
  return [...bytes];
}

/** All buffers of a packet. */
export function partsOf(packet: PacketBuffer): PacketBuffer[] {
  const parts: PacketBuffer[] = [];
  for (let part: PacketBuffer | null = packet; part !== null; part = part.next) parts.push(part);
  return parts;
}
