/**
 * The device's side of one virtqueue in either layout, on which the transmit and the receive queue build. Chains are
 * looked at, taken and used in the order in which they were made available.
 *
 * Everything in the driver's memory is hostile. Each field is read once, checked, and used only after that. The walk of
 * a chain ends after {@link MAX_DESCRIPTORS}, whatever the driver wrote.
 */
import { type Copy, copierFor, type MemoryViews } from '../../memory/index.js';
import { MAX_SEGMENTS_PER_PACKET } from './packet-burst.js';
import { QueueCounter } from './queue-counters.js';
import { SignalPacer } from './signal-pacer.js';
import type { SoftwareOffload } from './software-offload.js';

/** The driver's memory, as the transport maps it. */
export interface GuestMemory {
  /** The memory in which all rings and buffers of one driver lie. */
  readonly memory: MemoryViews;
  /**
   * Offset in `memory` of `length` (at least 1) bytes at an address of the driver; -1 when not all of them are mapped.
   */
  translate(low: number, high: number, length: number): number;
}

/** Where a ring lies: offsets in the memory, in bytes. */
export interface RingPlace {
  readonly desc: number;
  /** The driver area: available ring, or driver event suppression. */
  readonly avail: number;
  /** The device area: used ring, or device event suppression. */
  readonly used: number;
}

/** What was negotiated for a ring. */
export interface RingOptions {
  /** Number of descriptors; in a split ring a power of two (2.7). */
  readonly size: number;
  /**
   * Where to begin. Split: the avail index; the used index is read from the ring itself. Packed: position and wrap
   * counter (bit 15) of the next available descriptor, and in the upper 16 bits those of the next used one.
   */
  readonly base: number;
  readonly packed: boolean;
  readonly eventIdx: boolean;
  readonly indirect: boolean;
  /** Bytes of the virtio-net header before each frame: 12, or 10 for a legacy driver. */
  readonly headerBytes: number;
  readonly mergeable: boolean;
  /**
   * OFFLOAD_ bits (drivers/offloads.ts), 0 by default. For a transmit queue: what the driver may leave to others. For a
   * receive queue: which packets the driver takes unfinished.
   */
  readonly offloads?: number;
  /** Finishes packets for the driver of a receive queue. By default the queue has its own. */
  readonly software?: SoftwareOffload;
  /** Eventfd that tells the driver of used buffers; -1 when the driver polls. */
  readonly callFd: number;
  /** Signals {@link callFd}; shared by all rings of a peer. By default the ring has its own. */
  readonly signals?: SignalPacer;
  /** Where the queue counts (made by `makeQueueCounters`). It may outlive the queue. */
  readonly counts: Float64Array;
}

/** Largest number of segments of a chain or, with MRG_RXBUF, of all chains for one frame. */
export const MAX_CHAIN_SEGMENTS = MAX_SEGMENTS_PER_PACKET;
/**
 * Largest number of descriptors that are looked at for one frame, empty ones included. The queue's size would be a
 * bound too (2.7.5.3.1). But a driver that offers one chain of 32768 empty descriptors 32768 times would block all
 * other ports for seconds.
 */
export const MAX_DESCRIPTORS = 2 * MAX_CHAIN_SEGMENTS;

export abstract class DeviceRing {
  readonly size: number;
  readonly counts: Float64Array;
  /** The segments that {@link walk} has collected: number, offsets in the memory, and bytes. */
  segments = 0;
  readonly segmentOffset = new Uint32Array(MAX_CHAIN_SEGMENTS);
  readonly segmentLength = new Uint32Array(MAX_CHAIN_SEGMENTS);
  /** The chain that {@link single} or {@link walk} looked at last: the id by which it is given back. */
  chainId = 0;
  /** And the number of its places in the ring; 0 when the entry names no chain, so there is nothing to give back. */
  chainSpan = 0;

  memory: MemoryViews;
  /** Copies inside {@link memory}. */
  copy: Copy;
  /** Eventfd that tells the driver of used buffers; -1 when the driver polls. Belongs to the transport. */
  callFd: number;
  /** False once the ring is stopped or broken. Then nothing in the driver's memory is touched. */
  live = true;
  /** Called once, with a line that says how, when the driver broke the ring beyond repair. */
  onBroken: ((reason: string) => void) | null = null;

  protected guest: GuestMemory;
  private readonly signals: SignalPacer;
  /** Number of descriptors that {@link walk} has looked at for this frame. */
  protected visited = 0;
  protected readonly eventIdx: boolean;
  protected readonly indirect: boolean;

  constructor(guest: GuestMemory, options: RingOptions) {
    this.size = options.size;
    this.eventIdx = options.eventIdx;
    this.indirect = options.indirect;
    this.callFd = options.callFd;
    this.signals = options.signals ?? new SignalPacer();
    this.counts = options.counts;
    this.guest = guest;
    this.memory = guest.memory;
    this.copy = copierFor(guest.memory);
  }

  /** Moves to another place in memory, with the same contents, because the peer has sent a new memory table. */
  move(guest: GuestMemory, _place: RingPlace): void {
    this.guest = guest;
    this.memory = guest.memory;
    this.copy = copierFor(guest.memory);
  }

  /** Where the next ring must begin after this one has stopped: its {@link RingOptions.base}. */
  protected abstract base(): number;

  /** Looks for chains, once per burst before {@link hasChain}, by one atomic load. Returns whether there are any. */
  abstract look(): boolean;
  /** Counts the chains that are there and were not taken, up to `most`. */
  abstract waiting(most: number): number;
  /** Whether there is a chain at the cursor. */
  abstract hasChain(): boolean;
  /**
   * The frequent case of {@link walk} without its loop: the chain at the cursor is one descriptor. Returns the offset
   * of its bytes and stores their number in segmentLength[0]; returns -1 when {@link walk} must look at the chain.
   * @param wanted VIRTQ_DESC_F_WRITE or 0: the value that the WRITE flag must have
   */
  abstract single(wanted: number): number;
  /**
   * Collects the segments of the chain at the cursor, after those already collected, until they have `enough` bytes.
   * Returns the bytes of this chain's segments, or minus the index of the counter for what is wrong with the chain.
   * @param wanted VIRTQ_DESC_F_WRITE or 0: the value that the WRITE flag of every descriptor must have
   */
  abstract walk(wanted: number, enough: number): number;
  /** Moves the cursor past the chain that was looked at last. */
  abstract advance(): void;
  /** Takes the chains before the cursor: they will be used. */
  abstract commit(): void;
  /** Moves the cursor back to the first chain that was not taken. */
  abstract rewind(): void;
  /**
   * Marks a taken chain as used. Chains are used in the order of taking; the driver sees it at the next {@link
   * publish}.
   */
  abstract use(id: number, span: number, bytes: number): void;
  /** Publishes what was used since the last time, and signals the driver if it asks for that. */
  abstract publish(): void;
  /**
   * Asks the driver to notify at the next chain. Returns false, with notifications off again, when a chain is waiting
   * already: then the caller goes on polling. No chain is missed in between.
   */
  abstract enableKick(): boolean;
  /** Says that the ring is polled: no notifications are wanted. */
  abstract disableKick(): void;

  /** Stops for good. Afterwards the memory may be unmapped. Returns where the next ring must begin. */
  stop(): number {
    this.live = false;
    return this.base();
  }

  /** Forgets the collected segments, because the next {@link walk} collects for another frame. */
  beginFrame(): void {
    this.segments = 0;
    this.visited = 0;
  }

  /** Adds a segment, unless it is empty. Returns 0, or minus the counter of what is wrong with it. */
  protected collect(low: number, high: number, length: number): number {
    if (length === 0) return 0;
    const offset = this.guest.translate(low, high, length);
    if (offset < 0) return -QueueCounter.badAddress;
    const s = this.segments;
    if (s === MAX_CHAIN_SEGMENTS) return -QueueCounter.badSegments;
    this.segmentOffset[s] = offset;
    this.segmentLength[s] = length;
    this.segments = s + 1;
    return 0;
  }

  /** Returns the offset of an indirect descriptor's table, or minus the counter of what is wrong with it. */
  protected indirectTable(low: number, high: number, length: number): number {
    if (!this.indirect || length === 0 || (length & 15) !== 0) return -QueueCounter.badIndirect;
    const offset = this.guest.translate(low, high, length);
    return offset < 0 || (offset & 3) !== 0 ? -QueueCounter.badAddress : offset;
  }

  protected signal(): void {
    this.counts[QueueCounter.signals]++;
    this.signals.signal(this.callFd);
  }

  protected break(reason: string): void {
    this.live = false;
    this.onBroken?.(reason);
  }
}
