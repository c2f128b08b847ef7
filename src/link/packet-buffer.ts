/**
 * A packet in its buffer, as the stack holds it. There is one object per buffer of the pool, handed out again and
 * again, so that a packet costs no allocation. The object knows the owner of the buffer, so a buffer that is given back
 * twice is noticed at once.
 */

import type { MemoryViews } from '../../drivers/memory/index.js';
import {
  CHAIN,
  CHECKSUM_PARTIAL,
  CHECKSUM_VERIFIED,
  GSO,
  GSO_ECN,
  GSO_TCP4,
  GSO_TCP6,
} from '../../rings/packet-table.js';
import type { Layer } from '../config.js';
import { ArgumentError, OwnershipError } from '../errors.js';
import { INSPECT, packetText } from '../inspect.js';

/** The owner of a buffer that no stack has: the layer, the device or the pool. */
export const OWNER_LAYER = 0;
/** The owner of a buffer that is part of a chain: the chain is owned by its first buffer. */
export const OWNER_CHAIN = -1;

/** What is known of the checksum of a packet: {@link PacketBuffer.checksum}. */
export const Checksum = {
  /** Nobody has checked it. */
  UNKNOWN: 0,
  /** The device has checked it, and it is right. */
  VERIFIED: 1,
  /**
   * It is not computed yet: the field has the sum of the pseudo header. The packet comes from this host, so its bytes are
   * right. It may be sent on as it is, and is then completed where it leaves the host.
   */
  PARTIAL: 2,
} as const;
export type ChecksumState = (typeof Checksum)[keyof typeof Checksum];

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
  /** OWNER_LAYER, OWNER_CHAIN or the number of a stack. Only the layer changes it, as an `Ownable`. */
  readonly owner: number = OWNER_LAYER;
  /** For the stack, which may note here what it has written into the buffer. The layer never uses it. */
  mark = 0;
  /** Flags of rings/packet-table: what is known of the packet, or asked for. 0 for a plain packet. */
  readonly flags: number = 0;
  /**
   * Bytes of TCP payload per segment of a packet that stands for many segments; 0 for any other packet. A received packet
   * was put together by the device or the sender's host; {@link requestSegmentation} sets it for a packet to send.
   */
  readonly segmentSize: number = 0;
  /** With a partial checksum: where the sum begins, in bytes from {@link offset}; and the field, from there. */
  readonly checksumStart: number = 0;
  readonly checksumOffset: number = 0;
  /** The next part of the packet, if it lies in several buffers; null: this is the last part. */
  readonly next: PacketBuffer | null = null;
  private last: PacketBuffer | null = null;
  private view: Uint8Array | null = null;

  /** Only for the layer: a stack gets its buffers from a {@link Core}. */
  constructor(
    /** Number of the buffer in its pool. */
    readonly handle: number,
    /**
     * Where the packet begins in `core.memory`, in bytes: the IP header, or with layer `ethernet` the frame. Of a later
     * part of a packet: where its bytes begin.
     */
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

  /** Bytes of the whole packet: of this part and those after it. */
  get totalLength(): number {
    let total = this.length;
    for (let part = this.next; part !== null; part = part.next) total += part.length;
    return total;
  }

  /** What is known of the checksum of a received TCP or UDP packet. */
  get checksum(): ChecksumState {
    if ((this.flags & CHECKSUM_PARTIAL) !== 0) return Checksum.PARTIAL;
    return (this.flags & CHECKSUM_VERIFIED) !== 0 ? Checksum.VERIFIED : Checksum.UNKNOWN;
  }

  /**
   * Asks for the checksum of a packet to send: over all bytes from `start` on. The field must have the sum of the pseudo
   * header, folded and not inverted. The device does it, or the layer.
   * @param start where the sum begins, in bytes from {@link offset}: the header of TCP or UDP
   * @param field where the sum goes, in bytes from `start`: 16 for TCP, 6 for UDP
   */
  requestChecksum(start: number, field: number): void {
    const self = this as Writable;
    self.flags |= CHECKSUM_PARTIAL;
    self.checksumStart = start;
    self.checksumOffset = field;
  }

  /**
   * Asks that a TCP packet leaves in segments of `size` bytes of payload. The device cuts it, or the layer. Each segment
   * gets the packet's headers with the right length, identification, sequence number and checksum; FIN and PSH only the
   * last one has. To be called after {@link requestChecksum}, whose `start` is the TCP header. The length in the IP
   * header is that of the whole packet.
   * @param size 1 or more bytes; headers and `size` bytes must fit into the MTU
   * @param ecn whether the packet has CWR, which then only the first segment has (RFC 3168)
   */
  requestSegmentation(size: number, ipVersion: 4 | 6 = 4, ecn = false): void {
    if ((this.flags & CHECKSUM_PARTIAL) === 0)
      throw new ArgumentError('requestSegmentation: call requestChecksum first');
    const self = this as Writable;
    self.flags = (self.flags & ~(GSO | GSO_ECN)) | (ipVersion === 4 ? GSO_TCP4 : GSO_TCP6) | (ecn ? GSO_ECN : 0);
    self.segmentSize = size;
  }

  /**
   * Appends another buffer of the same core: its {@link length} bytes follow the bytes of this packet. From then on the
   * packet is owned, sent and released as one, by its first buffer. All headers must lie in the first buffer.
   * @param part from `getBufferTx`, with its length set
   */
  append(part: PacketBuffer): void {
    if (part.owner !== this.owner || part.owner <= OWNER_LAYER) throw notOwned('append', part);
    const tail = this.last ?? this;
    (tail as Writable).next = part;
    this.last = part;
    (this as Writable).flags |= CHAIN;
    (part as Writable).owner = OWNER_CHAIN;
  }

  /**
   * Copies bytes of the packet, whatever buffers they lie in. To read without a copy, go from part to part:
   * `for (let part = packet; part !== null; part = part.next)`, each with its `offset` and `length`.
   * @param target where they go, from `at` on
   * @param from first byte of the packet to copy
   * @param length at most so many bytes
   * @returns how many bytes were copied: fewer than `length` if the packet or the target ends before
   */
  copyTo(target: Uint8Array, at = 0, from = 0, length = Number.MAX_SAFE_INTEGER): number {
    const { u8 } = this.hashes.memory;
    let skip = from;
    let done = 0;
    const most = Math.min(length, target.length - at);
    for (let part: PacketBuffer | null = this; part !== null && done < most; part = part.next) {
      if (skip >= part.length) {
        skip -= part.length;
        continue;
      }
      const bytes = Math.min(part.length - skip, most - done);
      target.set(u8.subarray(part.offset + skip, part.offset + skip + bytes), at + done);
      done += bytes;
      skip = 0;
    }
    return done;
  }

  /** For the layer: the links of a chain, as it sets or forgets them. `last` is null for one buffer. */
  setLast(last: PacketBuffer | null): void {
    this.last = last;
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

/** A {@link PacketBuffer} as its own methods and the layer change it. */
type Writable = {
  -readonly [K in
    | 'owner'
    | 'flags'
    | 'segmentSize'
    | 'checksumStart'
    | 'checksumOffset'
    | 'next'
    | 'offset']: PacketBuffer[K];
};

/** A {@link PacketBuffer} as the layer changes it. Only the type differs: a check would cost something per packet. */
export type Ownable = Writable;

/** The error for a buffer that the stack does not own, or that belongs to another core. */
export function notOwned(call: string, { handle, owner }: PacketBuffer): OwnershipError {
  return new OwnershipError(
    owner === OWNER_LAYER
      ? `${call}: buffer ${handle} is not yours (it was released or sent before)`
      : `${call}: buffer ${handle} belongs to another port: copy the packet into a buffer of getBufferTx`,
  );
}
