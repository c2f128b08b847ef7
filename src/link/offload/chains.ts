/**
 * Between the packet table, which knows packets by the handles of their buffers, and the {@link PacketBuffer}s that a
 * stack holds. While a stack owns a packet, its entry in the table is clear, and the objects say what is known of it.
 */
import { type BufferGeometry, bufferStart, FRAME_OFFSET } from '../../../rings/buffer-pool.js';
import {
  CHAIN,
  CHECKSUM_PARTIAL,
  CSUM_OFFSET,
  CSUM_START,
  ENTRY_SHIFT,
  FLAGS,
  GSO,
  GSO_SIZE,
  LAST,
  LENGTH,
  NEXT,
  type PacketTable,
  START,
  TOTAL,
} from '../../../rings/packet-table.js';
import type { Layer } from '../../config.js';
import type { BufferReturn } from '../lower-layer.js';
import { OWNER_CHAIN, OWNER_LAYER, type Ownable, type PacketBuffer, packetAt } from '../packet-buffer.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const SHIFT = ENTRY_SHIFT;

export class Chains {
  private readonly words: Int32Array;
  private readonly base: number;
  private readonly shift: number;

  /** From the beginning of the frame to what the stack sees. */
  private readonly headerBytes: number;
  /** How many buffers the received packets had until now beyond their first ones, modulo 2^32. */
  moreReceived = 0;

  /** @param buffers one object per buffer */
  constructor(
    private readonly buffers: readonly PacketBuffer[],
    table: PacketTable,
    geometry: BufferGeometry,
    layer: Layer,
  ) {
    this.headerBytes = packetAt(layer);
    this.words = table.words;
    this.base = geometry.base;
    this.shift = geometry.shift;
  }

  /**
   * Says in `buffer`, which a stack is about to get, what the table knows of the packet, and clears the entry.
   * @param flags of the entry, not 0
   */
  receive(buffer: PacketBuffer, flags: number): void {
    const { words } = this;
    const self = buffer as Ownable;
    const at = buffer.handle << SHIFT;
    words[at] = 0;
    self.flags = flags;
    if ((flags & GSO) !== 0) self.segmentSize = words[at + GSO_SIZE];
    if ((flags & CHECKSUM_PARTIAL) !== 0) {
      self.checksumStart = words[at + CSUM_START] - this.headerBytes;
      self.checksumOffset = words[at + CSUM_OFFSET];
    }
    if ((flags & CHAIN) !== 0) this.link(self, words[at + NEXT]);
  }

  /**
   * Writes the entry of a packet that is to be sent. Its flags say which of the words mean something.
   * @param total bytes of the packet
   */
  describe(buffer: PacketBuffer, total: number): void {
    const { words, headerBytes } = this;
    const { flags } = buffer;
    const at = buffer.handle << SHIFT;
    words[at + GSO_SIZE] = buffer.segmentSize;
    words[at + CSUM_START] = buffer.checksumStart + headerBytes;
    words[at + CSUM_OFFSET] = buffer.checksumOffset;
    words[at + TOTAL] = total + headerBytes;
    if ((flags & CHAIN) !== 0) {
      for (let part: PacketBuffer | null = buffer; part !== null; part = part.next) {
        const { handle, next } = part;
        const entry = handle << SHIFT;
        words[entry + NEXT] = next === null ? LAST : next.handle;
        words[entry + START] = part.offset - this.beginningOf(handle);
        words[entry + LENGTH] = part.length;
      }
      words[at + START] = FRAME_OFFSET;
      words[at + LENGTH] = buffer.length + headerBytes;
    }
    words[at + FLAGS] = flags;
  }

  /** The layer keeps the packet no longer: takes back {@link describe}. */
  withdraw(buffer: PacketBuffer): void {
    this.words[buffer.handle << SHIFT] = 0;
  }

  /** The stack has given up the packet: its buffers are the layer's, and their objects as new. */
  forget(buffer: PacketBuffer): void {
    for (let part: PacketBuffer | null = buffer; part !== null; ) {
      const { next }: PacketBuffer = part;
      this.renew(part);
      part = next;
    }
  }

  /** As {@link forget}, and the buffers go back to `pool`. Returns how many they were. */
  free(buffer: PacketBuffer, pool: BufferReturn): number {
    let count = 0;
    for (let part: PacketBuffer | null = buffer; part !== null; count++) {
      const { next }: PacketBuffer = part;
      this.renew(part);
      pool.put(part.handle);
      part = next;
    }
    return count;
  }

  /** Copies all parts into the first buffer, which has room for them, and gives the others back to `pool`. */
  gather(buffer: PacketBuffer, pool: BufferReturn, copy: (to: number, from: number, length: number) => void): void {
    const self = buffer as Ownable;
    for (let part = buffer.next; part !== null; part = part.next) {
      copy(buffer.offset + self.length, part.offset, part.length);
      self.length += part.length;
    }
    const rest = buffer.next;
    self.next = null;
    self.last = null;
    self.flags &= ~CHAIN;
    if (rest !== null) this.free(rest, pool);
  }

  /** Links the parts of a received packet from the handle `next` on. */
  private link(first: Ownable, next: number): void {
    const { words, buffers } = this;
    let tail = first;
    for (let handle = next; handle !== LAST; ) {
      const part = buffers[handle];
      const entry = handle << SHIFT;
      part.length = words[entry + LENGTH];
      part.beginAt(this.beginningOf(handle) + words[entry + START]);
      (part as Ownable).owner = OWNER_CHAIN;
      tail.next = part;
      tail = part as Ownable;
      handle = words[entry + NEXT];
      this.moreReceived = (this.moreReceived + 1) | 0;
    }
    first.last = tail as PacketBuffer;
  }

  private renew(buffer: PacketBuffer): void {
    const self = buffer as Ownable;
    self.owner = OWNER_LAYER;
    self.flags = 0;
    self.segmentSize = 0;
    self.next = null;
    self.last = null;
    const home = this.beginningOf(buffer.handle) + FRAME_OFFSET + this.headerBytes;
    if (buffer.offset !== home) buffer.beginAt(home);
  }

  /** Where the buffer begins in the memory. */
  private beginningOf(handle: number): number {
    return this.base + bufferStart(handle, this.shift);
  }
}
