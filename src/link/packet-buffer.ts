/**
 * What the stack holds: a packet in its buffer. Made once a pool buffer and handed out again and again, so that a packet
 * costs no allocation. It says who owns the buffer, so that one that is given back twice is noticed at once.
 */

import type { MemoryViews } from '../../drivers/memory/index.js';
import type { Layer } from '../config.js';
import { OwnershipError } from '../errors.js';
import { INSPECT, packetText } from '../inspect.js';

/** The layer, the device or the pool has the buffer. */
export const OWNER_LAYER = 0;

let owners = OWNER_LAYER;

/**
 * A number for one more stack: it is the owner from getBufferRx or getBufferTx on until release or addBufferToRing. Each
 * core's is its own, so that one comparison finds a buffer given back twice and another port's.
 */
export function newOwner(): number {
  return ++owners;
}

/** The core that a buffer belongs to: it knows where the packet lies, and its hash. */
export interface PacketHashes {
  readonly memory: MemoryViews;
  readonly layer: Layer;
  hashOf(handle: number): number;
}

/** A packet in its buffer. The stack owns it from `getBufferRx` or `getBufferTx` until `release` or `addBufferToRing`. */
export class PacketBuffer {
  /** Bytes of the packet (the frame, with layer `ethernet`). The stack sets it before it sends. */
  length = 0;
  /** OWNER_LAYER or the number of a stack. The layer alone changes it, as an `Ownable`. */
  readonly owner: number = OWNER_LAYER;
  /** The stack's own, to know by what it has put into the buffer earlier. The layer never looks at it. */
  mark = 0;
  private view: Uint8Array | null = null;

  /** For the layer alone: the stack gets its buffers from a {@link Core}. */
  constructor(
    /** Number of the buffer in its pool. */
    readonly handle: number,
    /** Where the IP header (with layer `ethernet` the frame) begins in the core's memory, in bytes. Never changes. */
    readonly offset: number,
    /** Bytes that there is room for. */
    readonly capacity: number,
    private readonly hashes: PacketHashes,
  ) {}

  /**
   * The hash of the received packet's flow, signed 32 bits: by it the packet came to this core, so that a stack need not
   * hash again. 0 where it has no flow. Valid until the packet is changed.
   */
  get rssHash(): number {
    return this.hashes.hashOf(this.handle);
  }

  /** The room of this buffer, from {@link offset} on, {@link capacity} bytes long. Made at the first use, then kept. */
  get bytes(): Uint8Array {
    if (this.view === null) this.view = this.hashes.memory.u8.subarray(this.offset, this.offset + this.capacity);
    return this.view;
  }

  /** For `console.log`: a line, instead of the core with all of its buffers. */
  [INSPECT](): string {
    const { hashes, owner } = this;
    return packetText(hashes.memory, this, hashes.layer === 'ip', owner !== OWNER_LAYER);
  }
}

/** A buffer in the hands of the layer. The type alone is another: a check would cost every packet. */
export interface Ownable {
  owner: number;
}

/** The error for a buffer that is not the stack's, or not this core's. */
export function notOwned(call: string, { handle, owner }: PacketBuffer): OwnershipError {
  return new OwnershipError(
    owner === OWNER_LAYER
      ? `${call}: buffer ${handle} is not yours (it was released or sent before)`
      : `${call}: buffer ${handle} is another port's: copy the packet into one of getBufferTx`,
  );
}
