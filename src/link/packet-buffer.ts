/**
 * A packet in its buffer, as the stack holds it. There is one object per buffer of the pool, handed out again and
 * again, so that a packet costs no allocation. The object knows the owner of the buffer, so a buffer that is given back
 * twice is noticed at once.
 */

import type { MemoryViews } from '../../drivers/memory/index.js';
import type { Layer } from '../config.js';
import { OwnershipError } from '../errors.js';
import { INSPECT, packetText } from '../inspect.js';

/** The owner of a buffer that no stack has: the layer, the device or the pool. */
export const OWNER_LAYER = 0;

let owners = OWNER_LAYER;

/**
 * A new number for a stack, which is the owner of a buffer from getBufferRx or getBufferTx until release or
 * addBufferToRing. Each core has its own number, so that one comparison finds both a buffer that is given back twice
 * and a buffer of another port.
 */
export function newOwner(): number {
  return ++owners;
}

/** What a buffer needs of its core: the memory that it lies in, and the hash of a packet. */
export interface PacketHashes {
  readonly memory: MemoryViews;
  readonly layer: Layer;
  hashOf(handle: number): number;
}

/**
 * A packet in its buffer. The stack owns it from `getBufferRx` or `getBufferTx` until `release` or `addBufferToRing`.
 */
export class PacketBuffer {
  /** Bytes of the packet (with layer `ethernet` of the frame). The stack sets it before it sends. */
  length = 0;
  /** OWNER_LAYER or the number of a stack. Only the layer changes it, as an `Ownable`. */
  readonly owner: number = OWNER_LAYER;
  /** For the stack, which may note here what it has written into the buffer. The layer never uses it. */
  mark = 0;
  private view: Uint8Array | null = null;

  /** Only for the layer: a stack gets its buffers from a {@link Core}. */
  constructor(
    /** Number of the buffer in its pool. */
    readonly handle: number,
    /** Offset of the IP header (with layer `ethernet` of the frame) in `core.memory`, in bytes. Never changes. */
    readonly offset: number,
    /** How many bytes the buffer has room for, from {@link offset}. */
    readonly capacity: number,
    private readonly hashes: PacketHashes,
  ) {}

  /**
   * The RSS hash of the flow of a received packet, signed 32 bits; 0 for a packet without a flow. The packet came to
   * this core by this hash, so a stack need not hash it again. Valid until the packet is changed.
   */
  get rssHash(): number {
    return this.hashes.hashOf(this.handle);
  }

  /** A view of the buffer, {@link capacity} bytes from {@link offset}. Made at the first use, then kept. */
  get bytes(): Uint8Array {
    if (this.view === null) this.view = this.hashes.memory.u8.subarray(this.offset, this.offset + this.capacity);
    return this.view;
  }

  /** One line for `console.log`, which would otherwise show the core with all of its buffers. */
  [INSPECT](): string {
    const { hashes, owner } = this;
    return packetText(hashes.memory, this, hashes.layer === 'ip', owner !== OWNER_LAYER);
  }
}

/** A {@link PacketBuffer} as the layer changes it. Only the type differs: a check would cost something per packet. */
export interface Ownable {
  owner: number;
}

/** The error for a buffer that the stack does not own, or that belongs to another core. */
export function notOwned(call: string, { handle, owner }: PacketBuffer): OwnershipError {
  return new OwnershipError(
    owner === OWNER_LAYER
      ? `${call}: buffer ${handle} is not yours (it was released or sent before)`
      : `${call}: buffer ${handle} belongs to another port: copy the packet into a buffer of getBufferTx`,
  );
}
