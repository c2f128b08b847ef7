/**
 * The offloads of a {@link SimDevice}: on the way out it completes checksums, cuts GSO packets and gathers chains, so
 * that each segment travels on its own; on the way in it merges what follows each other, and cuts frames into parts at
 * places that the seed chooses.
 */
import type { MemoryViews } from '../../../../drivers/memory/index.js';
import { type BufferPool, FRAME_OFFSET, NO_BUFFER } from '../../../../rings/buffer-pool.js';
import {
  CHAIN,
  CHECKSUM_PARTIAL,
  CHECKSUM_VERIFIED,
  CSUM_OFFSET,
  CSUM_START,
  ENTRY_SHIFT,
  FLAGS,
  GSO,
  GSO_SIZE,
  GSO_TCP4,
  LAST,
  LENGTH,
  NEXT,
  type PacketTable,
  START,
  TOTAL,
} from '../../../../rings/packet-table.js';
import { Random } from '../../../fuzz/random.js';
import {
  completeChecksum,
  cutFrame,
  flagsOf,
  growHeaders,
  hasGoodChecksum,
  headersOf,
  isPlainTcp,
  mayMerge,
  packetLength,
} from './plain-offloads.js';

const TCP = 34;
const TCP_CHECKSUM = 16;
const ETHERNET = 14;
const FIN_PSH = 0x09;

/** Frames that each treatment came to. */
export interface OffloadCounters {
  cut: number;
  completed: number;
  gathered: number;
  merged: number;
  split: number;
  verified: number;
}

export class OffloadEngine {
  readonly counters: OffloadCounters = { cut: 0, completed: 0, gathered: 0, merged: 0, split: 0, verified: 0 };
  private readonly random: Random;

  constructor(
    private readonly memory: MemoryViews,
    private readonly table: PacketTable,
    private readonly pool: BufferPool,
    seed: number,
  ) {
    this.random = new Random(seed);
  }

  /** The frames on the wire that a packet to send becomes. Clears its flags, but gives no buffer back. */
  framesOf(handle: number, length: number): Uint8Array[] {
    const { words } = this.table;
    const at = handle << ENTRY_SHIFT;
    const flags = words[at + FLAGS]!;
    const frame = this.gather(handle, length);
    if ((flags & GSO) !== 0) {
      if (words[at + CSUM_START] !== TCP || words[at + CSUM_OFFSET] !== TCP_CHECKSUM) {
        throw new Error('a GSO packet whose sum is not that of TCP');
      }
      this.counters.cut++;
      return cutFrame(frame, frame.length, words[at + GSO_SIZE]!);
    }
    if ((flags & CHECKSUM_PARTIAL) !== 0) {
      this.counters.completed++;
      completeChecksum(frame, frame.length, words[at + CSUM_START]!, words[at + CSUM_OFFSET]!);
    }
    return [frame];
  }

  /** A copy of the whole frame of a packet. */
  private gather(handle: number, length: number): Uint8Array {
    const { words } = this.table;
    const { u8 } = this.memory;
    const start = this.pool.offsetOf(handle) + FRAME_OFFSET;
    if ((words[(handle << ENTRY_SHIFT) + FLAGS]! & CHAIN) === 0) return u8.slice(start, start + length);
    this.counters.gathered++;
    const frame = new Uint8Array(words[(handle << ENTRY_SHIFT) + TOTAL]!);
    let done = 0;
    for (let part = handle; part !== LAST; part = words[(part << ENTRY_SHIFT) + NEXT]!) {
      const at = part << ENTRY_SHIFT;
      const from = this.pool.offsetOf(part) + words[at + START]!;
      frame.set(u8.subarray(from, from + words[at + LENGTH]!), done);
      done += words[at + LENGTH]!;
    }
    if (done !== frame.length) throw new Error(`a chain of ${done} bytes says that it has ${frame.length}`);
    return frame;
  }

  /**
   * Appends a frame to a packet that was received and not polled yet.
   * @param handle of the packet; its first buffer has `length` bytes
   * @returns whether it did
   */
  merge(handle: number, length: number, next: Uint8Array, nextLength: number): boolean {
    const { words } = this.table;
    const { u8 } = this.memory;
    const at = handle << ENTRY_SHIFT;
    const start = this.pool.offsetOf(handle) + FRAME_OFFSET;
    const frame = u8.subarray(start, start + length);
    const flags = words[at + FLAGS]!;
    const isGso = (flags & GSO) !== 0;
    if (!isPlainTcp(next, nextLength) || !hasGoodChecksum(next)) return false;
    if (!isGso && ((flags & CHAIN) !== 0 || !isPlainTcp(frame, length) || !hasGoodChecksum(frame))) return false;
    const payload = ETHERNET + packetLength(frame) - headersOf(frame);
    const size = isGso ? words[at + GSO_SIZE]! : payload;
    if (!mayMerge(frame, size, next)) return false;
    const headers = headersOf(next);
    const more = ETHERNET + packetLength(next) - headers;
    const part = this.pool.get();
    if (part === NO_BUFFER) return false;
    if (!isGso) {
      words[at + NEXT] = LAST;
      words[at + START] = FRAME_OFFSET;
      words[at + LENGTH] = headersOf(frame) + payload;
      words[at + TOTAL] = words[at + LENGTH]!;
      words[at + GSO_SIZE] = size;
      words[at + CSUM_START] = TCP;
      words[at + CSUM_OFFSET] = TCP_CHECKSUM;
    }
    words[at + FLAGS] = CHAIN | GSO_TCP4 | CHECKSUM_PARTIAL;
    words[at + TOTAL]! += more;
    growHeaders(frame, more, flagsOf(next) & FIN_PSH);
    this.link(handle, part, next.subarray(headers, headers + more));
    this.counters.merged++;
    return true;
  }

  /**
   * A frame has arrived alone in a buffer: it may have been checked, and may lie in several buffers.
   * @returns bytes of the frame in that buffer
   */
  treat(handle: number, length: number): number {
    const { random, table, pool } = this;
    const { words } = table;
    const at = handle << ENTRY_SHIFT;
    const start = pool.offsetOf(handle) + FRAME_OFFSET;
    const frame = this.memory.u8.subarray(start, start + length);
    words[at + FLAGS] = 0;
    if (!isPlainTcp(frame, length)) return length;
    const choice = random.below(4);
    const headers = headersOf(frame);
    const data = ETHERNET + packetLength(frame) - headers;
    if (choice === 0 && hasGoodChecksum(frame)) {
      words[at + FLAGS] = CHECKSUM_VERIFIED;
      this.counters.verified++;
    }
    if (choice > 1 || data === 0 || ETHERNET + packetLength(frame) !== length) return length;
    const bytes = frame.slice();
    let from = headers + random.below(data + 1);
    const first = from;
    words[at + NEXT] = LAST;
    words[at + START] = FRAME_OFFSET;
    words[at + LENGTH] = from;
    words[at + TOTAL] = length;
    while (from < length) {
      const part = pool.get();
      if (part === NO_BUFFER) {
        // Too few buffers: it stays whole. What was linked goes back.
        words[at + FLAGS]! |= CHAIN;
        for (let other = words[at + NEXT]!; other !== LAST; other = words[(other << ENTRY_SHIFT) + NEXT]!)
          pool.put(other);
        words[at + FLAGS]! &= ~CHAIN;
        return length;
      }
      const end = random.chance(0.4) ? length : from + 1 + random.below(length - from);
      this.link(handle, part, bytes.subarray(from, end));
      from = end;
    }
    if (words[at + NEXT] === LAST) return length;
    words[at + FLAGS]! |= CHAIN;
    this.counters.split++;
    return first;
  }

  /** Puts bytes into a buffer, somewhere, and links it behind the last part of a packet. */
  private link(handle: number, part: number, bytes: Uint8Array): void {
    const { words } = this.table;
    let last = handle;
    while (words[(last << ENTRY_SHIFT) + NEXT] !== LAST) last = words[(last << ENTRY_SHIFT) + NEXT]!;
    words[(last << ENTRY_SHIFT) + NEXT] = part;
    const at = part << ENTRY_SHIFT;
    const start = FRAME_OFFSET - 12 + this.random.below(13);
    words[at + NEXT] = LAST;
    words[at + START] = start;
    words[at + LENGTH] = bytes.length;
    this.memory.u8.set(bytes, this.pool.offsetOf(part) + start);
  }
}
