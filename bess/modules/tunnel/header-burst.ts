/**
 * Puts a header in front of packets without copying them: makes a burst whose packets consist of a header in memory of
 * the switch, and of the segments of the original. The packets keep their numbers, by which metadata is found.
 *
 * A header stands at the end of its slot, so the next module can write its own header into the rest of the slot, right in
 * front of it ({@link Batch.headroom}). It lengthens the first segments then, and needs no burst of its own.
 */
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { MAX_BURST, MAX_SEGMENTS_PER_PACKET } from '../../../drivers/virtio/device/packet-burst.js';
import { MAX_FRAME_BYTES } from '../../../drivers/virtio/device/tx-queue.js';
import { CHECKSUM_PARTIAL } from '../../../rings/packet-table.js';
import { Batch, emptyBurst } from '../batch.js';
import type { HeaderMemory } from './header-memory.js';

/** Bytes of a slot: room for the headers of VXLAN, UDP, IPv4 and Ethernet, and a cache line. */
const SLOT_BYTES = 64;
const SLOT_SHIFT = 6;
/** Memory for the copy of a packet, with a slot in front of it. */
const COPY_BYTES = Math.ceil((SLOT_BYTES + MAX_FRAME_BYTES) / SLOT_BYTES) * SLOT_BYTES;

export class HeaderBurst {
  /** The packets with their headers. Valid after {@link finish}. */
  readonly batch = new Batch();
  /** Where the headers of the batch go. Valid after {@link begin}. */
  memory: MemoryViews;
  private readonly burst = emptyBurst();
  private readonly slotMemory: MemoryViews;
  private readonly slots: number;
  /** The packets that get headers, and whether these go right in front of the first segments. */
  private from: Batch = this.batch;
  private inPlace = false;
  /** Copies of packets that lie in another memory, made when they are needed first. */
  private copies: Batch | null = null;
  private copyRoom = 0;

  /** @param headerBytes bytes of the header, an even number */
  constructor(
    private readonly headers: HeaderMemory,
    private readonly headerBytes: number,
  ) {
    const { memory, offset } = headers.take(MAX_BURST * SLOT_BYTES);
    this.memory = memory;
    this.slotMemory = memory;
    this.slots = offset;
  }

  /** Begins an empty batch. Returns the packets that {@link add} takes: those of `batch`, or copies of them. */
  begin(batch: Batch): Batch {
    let from = batch;
    if (!this.fits(batch)) {
      if (batch.burst.memory !== this.slotMemory || hasManySegments(batch)) from = this.copiesOf(batch);
    }
    this.from = from;
    this.inPlace = this.fits(from);
    this.memory = from.burst.memory;
    if (this.inPlace) {
      this.batch.beginOver(from.burst, batch);
      this.batch.headroom = from.headroom - this.headerBytes;
    } else {
      this.burst.memory = from.burst.memory;
      this.batch.beginOver(this.burst, batch);
      this.batch.headroom = SLOT_BYTES - this.headerBytes;
    }
    return from;
  }

  /**
   * Whether the headers fit in front of the first segments. They are written by words, so they must end at a multiple of
   * 4; slots begin at one.
   */
  private fits({ headroom }: Batch): boolean {
    return headroom >= this.headerBytes && (headroom & 3) === 0;
  }

  /** Appends a packet. Returns where its header goes, in {@link memory}. */
  add(packet: number): number {
    const { batch, headerBytes } = this;
    batch.indices[batch.count++] = packet;
    if (!this.inPlace) return this.slots + ((packet + 1) << SLOT_SHIFT) - headerBytes;
    const { burst } = batch;
    const first = burst.firstSegment[packet];
    const at = burst.segmentOffset[first] - headerBytes;
    burst.segmentOffset[first] = at;
    burst.segmentLength[first] += headerBytes;
    const bytes = burst.length[packet] + headerBytes;
    burst.length[packet] = bytes;
    batch.bytes += bytes;
    return at;
  }

  /** Makes the packets of what was added. Returns how many they are. */
  finish(): number {
    if (!this.inPlace) this.prepend();
    if (this.from.burst.offloaded !== 0) this.moveOffloads();
    return this.batch.count;
  }

  /** Makes packets that begin with a segment for the header. */
  private prepend(): void {
    const { headerBytes, burst, batch } = this;
    const { indices, count } = batch;
    const { length, firstSegment, segmentOffset, segmentLength } = burst;
    const from = this.from.burst;
    const header = this.slots + SLOT_BYTES - headerBytes;
    let next = 0;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const packet = indices[i];
      const end = from.firstSegment[packet + 1];
      firstSegment[packet] = next;
      segmentOffset[next] = header + (packet << SLOT_SHIFT);
      segmentLength[next] = headerBytes;
      next++;
      for (let s = from.firstSegment[packet]; s < end; s++, next++) {
        segmentOffset[next] = from.segmentOffset[s];
        segmentLength[next] = from.segmentLength[s];
      }
      firstSegment[packet + 1] = next;
      const all = from.length[packet] + headerBytes;
      length[packet] = all;
      bytes += all;
    }
    burst.segments = next;
    burst.offloaded = 0;
    batch.bytes = bytes;
  }

  /**
   * A partial checksum stays one: it is for the bytes behind the header. Whether a checksum was verified is not passed on,
   * because a receiver would take that for the outer one.
   */
  private moveOffloads(): void {
    const { headerBytes, batch } = this;
    const { burst } = batch;
    const from = this.from.burst;
    for (let i = 0; i < batch.count; i++) {
      const packet = batch.indices[i];
      const flags = from.flags[packet] & CHECKSUM_PARTIAL;
      burst.flags[packet] = flags;
      if (flags === 0) continue;
      burst.csumStart[packet] = from.csumStart[packet] + headerBytes;
      burst.csumOffset[packet] = from.csumOffset[packet];
    }
    // Perhaps too many, but not 0: other packets of the burst may have flags, too.
    burst.offloaded = from.offloaded;
  }

  /** Copies packets, each in one piece, into the memory of the headers if that has the room. */
  private copiesOf(batch: Batch): Batch {
    this.copies ??= this.makeCopies();
    const { copies } = this;
    const { burst } = copies;
    const from = batch.burst;
    copies.beginOver(burst, batch);
    copies.headroom = SLOT_BYTES;
    burst.offloaded = from.offloaded;
    for (let i = 0; i < batch.count; i++) {
      const packet = batch.indices[i];
      const start = this.copyRoom + packet * COPY_BYTES + SLOT_BYTES;
      const bytes = from.copyTo(packet, burst.memory, start);
      burst.firstSegment[packet] = packet;
      burst.firstSegment[packet + 1] = packet + 1;
      burst.segmentOffset[packet] = start;
      burst.segmentLength[packet] = bytes;
      burst.length[packet] = bytes;
      burst.flags[packet] = from.flags[packet];
      burst.csumStart[packet] = from.csumStart[packet];
      burst.csumOffset[packet] = from.csumOffset[packet];
      copies.add(packet);
    }
    return copies;
  }

  private makeCopies(): Batch {
    const { memory, offset } = this.headers.takeLarge(MAX_BURST * COPY_BYTES);
    this.copyRoom = offset;
    const copies = new Batch();
    copies.burst = emptyBurst();
    copies.burst.memory = memory;
    return copies;
  }
}

/** Whether a packet has so many segments that one more would be too many. */
function hasManySegments({ burst, indices, count }: Batch): boolean {
  if (burst.segments < MAX_SEGMENTS_PER_PACKET) return false;
  const { firstSegment } = burst;
  for (let i = 0; i < count; i++) {
    if (firstSegment[indices[i] + 1] - firstSegment[indices[i]] >= MAX_SEGMENTS_PER_PACKET) return true;
  }
  return false;
}
