/**
 * The device's side of one virtqueue, whatever its layout: what the transmit and the receive queue build on. Chains are
 * looked at in the order in which they were made available, taken, and used in that order.
 *
 * Everything in the driver's memory is hostile. Each field is read once, checked, and used only after that; the walk of a
 * chain ends after {@link MAX_DESCRIPTORS}, whatever the driver wrote.
 */
import { type Copy, copierFor, type MemoryViews } from '../../memory/index.js';
import { QueueCounter } from './queue-counters.js';
import { SignalPacer } from './signal-pacer.js';

/** The driver's memory, as the transport maps it. */
export interface GuestMemory {
  /** Where it lies. Rings and buffers of one driver are all in here. */
  readonly memory: MemoryViews;
  /** Offset in `memory` of `length` (at least 1) bytes at an address of the driver; -1 when they are not all mapped. */
  translate(low: number, high: number, length: number): number;
}

/** Where a ring lies: offsets in the memory, in bytes. */
export interface RingPlace {
  readonly desc: number;
  /** The driver area: avail ring, or driver event suppression. */
  readonly avail: number;
  /** The device area: used ring, or device event suppression. */
  readonly used: number;
}

/** What was negotiated for a ring. */
export interface RingOptions {
  /** Descriptors; of a split ring a power of two (2.7). */
  readonly size: number;
  /**
   * Where to begin. Split: the avail index; the used index is taken from the ring itself. Packed: position and wrap counter
   * (bit 15) of the next available descriptor, in the upper 16 bits those of the next used one.
   */
  readonly base: number;
  readonly packed: boolean;
  readonly eventIdx: boolean;
  readonly indirect: boolean;
  /** Bytes of the virtio-net header before each frame: 12 or, for a legacy driver, 10. */
  readonly headerBytes: number;
  readonly mergeable: boolean;
  /** Eventfd that tells the driver of used buffers; -1 when it polls. */
  readonly callFd: number;
  /** Signals it, shared by all rings of a peer. One of its own where nothing is said. */
  readonly signals?: SignalPacer;
  /** Where the queue counts (as `makeQueueCounters` makes it); it may outlive the queue. */
  readonly counts: Float64Array;
}

/** Segments of which a chain (or, with MRG_RXBUF, the chains for one frame) may consist. */
export const MAX_CHAIN_SEGMENTS = 64;
/**
 * Descriptors that are looked at for one frame, empty ones included. The queue's size would be a bound as well (2.7.5.3.1),
 * but a driver that offers 32768 times one chain of 32768 empty descriptors would have all other ports wait for seconds.
 */
export const MAX_DESCRIPTORS = 2 * MAX_CHAIN_SEGMENTS;

export abstract class DeviceRing {
  readonly size: number;
  readonly counts: Float64Array;
  /** Segments that {@link walk} has collected: offsets in the memory and bytes. */
  segments = 0;
  readonly segmentOffset = new Uint32Array(MAX_CHAIN_SEGMENTS);
  readonly segmentLength = new Uint32Array(MAX_CHAIN_SEGMENTS);
  /** The chain that {@link single} or {@link walk} has looked at last: what it is given back by, and its places in the ring. */
  chainId = 0;
  /** 0: there is nothing to give back, the entry names no chain. */
  chainSpan = 0;

  memory: MemoryViews;
  /** Copies inside the memory. */
  copy: Copy;
  /** Eventfd that tells the driver of used buffers; -1 when it polls. Belongs to the transport. */
  callFd: number;
  /** False once the ring is stopped or broken; nothing of the driver's memory is touched then. */
  live = true;
  /** Called once when the driver broke the ring beyond repair, with a line that says how. */
  onBroken: ((reason: string) => void) | null = null;

  protected guest: GuestMemory;
  private readonly signals: SignalPacer;
  /** Descriptors that {@link walk} has looked at for this frame. */
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

  /** The ring lies elsewhere from now on (a new memory table), with the same contents. */
  move(guest: GuestMemory, _place: RingPlace): void {
    this.guest = guest;
    this.memory = guest.memory;
    this.copy = copierFor(guest.memory);
  }

  /** Where a ring that stops is to be gone on with: {@link RingOptions.base} of the next one. */
  protected abstract base(): number;

  /** Looks for chains: before {@link hasChain}, once a burst. One atomic load. False when there are none. */
  abstract look(): boolean;
  /** Whether there is a chain at the cursor. */
  abstract hasChain(): boolean;
  /**
   * The frequent case of {@link walk} without its loop: the chain at the cursor is one descriptor. Returns the offset of its
   * bytes, whose number is then in segmentLength[0]; -1 when walk must look at it.
   * @param wanted VIRTQ_DESC_F_WRITE or 0: what the WRITE flag must be.
   */
  abstract single(wanted: number): number;
  /**
   * Collects the segments of the chain at the cursor after those already collected, until they have `enough` bytes. Returns
   * their bytes, or minus the index of the counter that says what is wrong with the chain.
   * @param wanted VIRTQ_DESC_F_WRITE or 0: what the WRITE flag of every descriptor must be.
   */
  abstract walk(wanted: number, enough: number): number;
  /** Moves the cursor behind the chain that was looked at last. */
  abstract advance(): void;
  /** Takes the chains before the cursor: they are to be used. */
  abstract commit(): void;
  /** Moves the cursor back to the first chain that was not taken. */
  abstract rewind(): void;
  /** Uses a chain that was taken, in the order of taking; the driver sees it at the next {@link publish}. */
  abstract use(id: number, span: number, bytes: number): void;
  /** Shows the driver what was used since the last time, and signals it if it wants that. */
  abstract publish(): void;
  /**
   * Asks the driver to notify at the next chain. Returns false when one waits already: notifications are off again then,
   * and the caller goes on polling. No chain is missed in between.
   */
  abstract enableKick(): boolean;
  /** The ring is polled: no notifications wanted. */
  abstract disableKick(): void;

  /** Stops for good: the memory may be unmapped afterwards. Returns where to go on from. */
  stop(): number {
    this.live = false;
    return this.base();
  }

  /** Forgets the segments collected: what {@link walk} collects next is for another frame. */
  beginFrame(): void {
    this.segments = 0;
    this.visited = 0;
  }

  /** Adds a segment; returns 0, or minus the counter of what is wrong with it. Empty ones are left out. */
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

  /** Where the table of an indirect descriptor lies, or minus the counter of what is wrong with it. */
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
