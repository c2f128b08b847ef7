/**
 * A packet in its buffer, as the stack holds it. There is one object per buffer of the pool, handed out again and
 * again, so that a packet costs no allocation. The object knows the owner of the buffer, so a buffer that is given back
 * twice is noticed at once.
 */

import type { MemoryViews } from '../../drivers/memory/index.js';
import { type BufferGeometry, bufferStart, FRAME_OFFSET, frameCapacity } from '../../rings/buffer-pool.js';
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
import { ETH_HEADER_BYTES } from '../wire/ethernet.js';

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
/** One of {@link Checksum}. */
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
 *
 * **Received**: {@link checksum} says whether somebody has checked the checksum, {@link segmentSize} whether the packet
 * stands for many TCP segments, {@link next} whether it goes on in another buffer. **To send**: {@link requestChecksum}
 * and {@link requestSegmentation} ask for work on the way out, {@link append} adds buffers. What the device does not do
 * the layer does, so a stack may ask on every port; `core.offloads` tells what costs the stack's thread nothing.
 */
export class PacketBuffer {
  /**
   * Bytes of the packet in this buffer (with layer `ethernet` of the frame): of this part only, if there are several;
   * {@link totalLength} has the sum. The stack sets it before it sends.
   */
  length = 0;
  /** OWNER_LAYER, OWNER_CHAIN or the number of a stack. Only the layer changes it, as an `Ownable`. */
  readonly owner: number = OWNER_LAYER;
  /** For the stack, which may note here what it has written into the buffer. The layer never uses it. */
  mark = 0;
  /** What is known of the packet, or asked for: flags of `rings/packet-table.ts`. 0 for a plain packet. */
  readonly flags: number = 0;
  /**
   * Bytes of TCP payload per segment of a packet that stands for many segments; 0 for any other packet. A received packet
   * was put together by the device or the sender's host; {@link requestSegmentation} sets it for a packet to send.
   */
  readonly segmentSize: number = 0;
  /** With a partial checksum: where the sum begins, in bytes from {@link offset}. */
  readonly checksumStart: number = 0;
  /** With a partial checksum: where the sum goes, in bytes from {@link checksumStart}. */
  readonly checksumOffset: number = 0;
  /** The next part of the packet, if it lies in several buffers; null: this is the last part. */
  readonly next: PacketBuffer | null = null;
  /** Of the first of several parts: the last one. Only the layer and {@link append} change it. */
  readonly last: PacketBuffer | null = null;
  private view: Uint8Array | null = null;

  /** Only for the layer: a stack gets its buffers from a {@link Core}. */
  constructor(
    /** Number of the buffer in its pool. */
    readonly handle: number,
    /**
     * Where the packet begins in `core.memory`, in bytes: the IP header, or with layer `ethernet` the frame. Of a later
     * part of a packet: where the bytes of this part begin.
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

  /** What is known of the checksum of a received TCP or UDP packet: one of {@link Checksum}. */
  get checksum(): ChecksumState {
    const { flags } = this;
    if ((flags & CHECKSUM_PARTIAL) !== 0) return Checksum.PARTIAL;
    return (flags & CHECKSUM_VERIFIED) !== 0 ? Checksum.VERIFIED : Checksum.UNKNOWN;
  }

  /**
   * Asks for the checksum of a packet to send: over all bytes from `start` to the end of the packet. The field must have
   * the sum of the pseudo header, folded and not inverted (`ipv4PseudoHeaderSum` of `tspmd/wire`). The device does it, or
   * the layer.
   * @param start where the sum begins, in bytes from {@link offset}: the header of TCP or UDP
   * @param field where the sum goes, in bytes from `start`: 16 for TCP, 6 for UDP. It lies in this buffer
   */
  requestChecksum(start: number, field: number): void {
    const self = this as Ownable;
    self.flags |= CHECKSUM_PARTIAL;
    self.checksumStart = start;
    self.checksumOffset = field;
  }

  /**
   * Asks that a TCP packet leaves in segments of `size` bytes of payload. The device cuts it, or the layer. Each segment
   * gets the packet's headers with the right length, identification, sequence number and checksum; FIN and PSH only the
   * last one has. To be called after {@link requestChecksum}, whose `start` is the TCP header. The length in the IP
   * header is that of the whole packet, at most 65535, and so is the length in the sum of the pseudo header.
   * @param size 1 or more bytes; headers and `size` bytes must fit into the MTU
   * @param ecn whether the packet has CWR, which then only the first segment has (RFC 3168, 6.1.2)
   * @throws ArgumentError when no checksum was asked for
   */
  requestSegmentation(size: number, ipVersion: 4 | 6 = 4, ecn = false): void {
    const self = this as Ownable;
    if ((self.flags & CHECKSUM_PARTIAL) === 0) {
      throw new ArgumentError('requestSegmentation: call requestChecksum first');
    }
    self.flags = (self.flags & ~(GSO | GSO_ECN)) | (ipVersion === 4 ? GSO_TCP4 : GSO_TCP6) | (ecn ? GSO_ECN : 0);
    self.segmentSize = size;
  }

  /**
   * Takes back what was asked for, and forgets what is known of a received packet: it will be sent as its bytes are. For
   * a stack that writes another packet into the buffer of a received one. The parts of a packet stay together.
   */
  requestNothing(): void {
    const self = this as Ownable;
    self.flags &= CHAIN;
    self.segmentSize = 0;
  }

  /**
   * Appends another packet of the same core, in one buffer or in several: its bytes follow the bytes of this packet.
   * From then on all of it is owned, sent and released as one, by its first buffer. All headers must lie in the first
   * buffer. What was asked for or known of the appended packet is forgotten.
   * @param part the first buffer of the other packet, with its length set: at least 1
   * @param skip where in `part` its bytes begin, in bytes from its offset. A switch copies fastest when the offset of
   * byte n of the packet equals the first buffer's offset + n, modulo 8, in every part
   * @throws OwnershipError when the caller does not own both; ArgumentError when they are the same
   */
  append(part: PacketBuffer, skip = 0): void {
    if (part === this) throw new ArgumentError(`append: buffer ${this.handle} cannot follow itself`);
    if (this.owner <= OWNER_LAYER) throw notOwned('append', this);
    if (part.owner !== this.owner) throw notOwned('append', part);
    const self = this as Ownable;
    const added = part as Ownable;
    if (skip !== 0) part.beginAt(part.offset + skip);
    ((self.last ?? self) as Ownable).next = part;
    self.last = added.last ?? part;
    self.flags |= CHAIN;
    added.last = null;
    added.flags = 0;
    added.segmentSize = 0;
    added.owner = OWNER_CHAIN;
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
    const most = Math.min(length, target.length - at);
    let skip = from;
    let done = 0;
    for (let part: PacketBuffer | null = this; part !== null && done < most; part = part.next) {
      if (skip >= part.length) {
        skip -= part.length;
        continue;
      }
      const begin = part.offset + skip;
      const bytes = Math.min(part.length - skip, most - done);
      target.set(u8.subarray(begin, begin + bytes), at + done);
      done += bytes;
      skip = 0;
    }
    return done;
  }

  /**
   * For the layer: moves the beginning of a later part, or back to where packets begin.
   * @param offset within the buffer
   */
  beginAt(offset: number): void {
    const self = this as Ownable;
    self.capacity += self.offset - offset;
    self.offset = offset;
    this.view = null;
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
export type Ownable = {
  -readonly [K in Exclude<keyof PacketBuffer, 'handle' | 'bytes' | 'rssHash'>]: PacketBuffer[K];
};

/** How far from the beginning of the frame the packet begins that a stack sees, in bytes. */
export const packetAt = (layer: Layer): number => (layer === 'ip' ? ETH_HEADER_BYTES : 0);

/** The objects of all buffers of a port. */
export function createBuffers({ base, count, shift }: BufferGeometry, core: PacketHashes): PacketBuffer[] {
  const buffers: PacketBuffer[] = [];
  const header = packetAt(core.layer);
  const headroom = FRAME_OFFSET + header;
  const capacity = frameCapacity(shift) - header;
  for (let handle = 0; handle < count; handle++) {
    buffers.push(new PacketBuffer(handle, base + bufferStart(handle, shift) + headroom, capacity, core));
  }
  return buffers;
}

/** The error for a buffer that the stack does not own, or that belongs to another core. */
export function notOwned(call: string, { handle, owner }: PacketBuffer): OwnershipError {
  const buffer = `${call}: buffer ${handle}`;
  if (owner === OWNER_LAYER) return new OwnershipError(`${buffer} is not yours (it was released or sent before)`);
  return new OwnershipError(
    owner === OWNER_CHAIN
      ? `${buffer} belongs to a chain: pass the first buffer of the packet`
      : `${buffer} belongs to another port: copy the packet into a buffer of getBufferTx`,
  );
}
