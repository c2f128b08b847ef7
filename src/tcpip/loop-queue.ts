/**
 * Packets that a stack has sent to its own address. They come back to the same stack, and the layer below never sees
 * them: it would have to drop them (RFC 1122, 3.3.1.1 leaves local delivery to the host).
 */
import type { PacketBuffer } from '../link/packet-buffer.js';

/** Most packets that wait; a power of two. */
const CAPACITY = 128;
const MASK = CAPACITY - 1;

export class LoopQueue {
  private readonly buffers: (PacketBuffer | null)[] = new Array(CAPACITY).fill(null);
  private head = 0;
  /** How many packets wait. */
  count = 0;

  /** Takes a packet over. Returns false when too many wait: it is the caller's then. */
  push(buffer: PacketBuffer): boolean {
    if (this.count === CAPACITY) return false;
    this.buffers[(this.head + this.count) & MASK] = buffer;
    this.count++;
    return true;
  }

  /** Gives the packet that has waited longest to the caller; null when none waits. */
  take(): PacketBuffer | null {
    if (this.count === 0) return null;
    const buffer = this.buffers[this.head];
    this.buffers[this.head] = null;
    this.head = (this.head + 1) & MASK;
    this.count--;
    return buffer;
  }
}
