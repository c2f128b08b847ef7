/**
 * One capture, in one thread that handles packets: which packets it wants, and the ring for their copies. The thread of the
 * observer reads the ring (`session.ts`), so whoever reads slowly loses copies, and never delays a packet.
 */
import { copyBetween, type MemoryViews } from '../../drivers/memory/index.js';
import { makeRecordRing, RecordWriter, RING_BYTES } from '../../rings/record-ring.js';
import type { Match } from './filter/frame.js';
import { compileFilter } from './filter/parse.js';

/** Direction bits: packets that are received, and packets that are sent. */
export const DIRECTION_IN = 1;
export const DIRECTION_OUT = 2;

/** What a capture wants. Can be sent to other threads. */
export interface CaptureWish {
  /** Number of the capture, among those of the process. */
  readonly id: number;
  /** Empty: all packets. */
  readonly filter: string;
  /** DIRECTION_ bits. */
  readonly directions: number;
  /** Whether it wants the packets that were dropped, and no others. */
  readonly drops: boolean;
  /** The most bytes that are kept of a packet; 0: all. */
  readonly snaplen: number;
  /** Only this port of a switch; null: all. */
  readonly port: string | null;
}

/** A wish, with the ring of the thread that gets it. */
export interface CaptureOrder extends CaptureWish {
  readonly ring: SharedArrayBuffer;
}

// The tag of a record: the direction, the number of the interface, and how many packets the record stands for.
const INTERFACE_SHIFT = 2;
const INTERFACE_MASK = 0xfff;
const EVERY_SHIFT = 14;
export const MAX_INTERFACES = INTERFACE_MASK + 1;
/** How many packets a record may stand for at most. */
export const MAX_EVERY = 0xffff;

export const directionOf = (tag: number): number => tag & 3;
export const interfaceOf = (tag: number): number => (tag >>> INTERFACE_SHIFT) & INTERFACE_MASK;
export const everyOf = (tag: number): number => tag >>> EVERY_SHIFT;

/** {@link CaptureSink.begin} for a packet that was not dropped. */
export const NO_REASON = -1;

const ALL: Match = () => true;
/** Longer frames are cut: no device has any. */
const MAX_FRAME = 65_600;

/**
 * Bursts until the next one, when one of `every` is wanted: by chance, `every` on average. Bursts come in turns (in and out, port
 * by port), and a fixed spacing would meet the same one in every turn.
 */
const spacing = (every: number): number => (every === 1 ? 1 : 1 + Math.floor(Math.random() * (2 * every - 1)));

/** A look at the clock costs as much as the filter of a packet: {@link CaptureSink.time}. */
const NOT_YET = -1;

export class CaptureSink {
  readonly id: number;
  readonly drops: boolean;
  readonly port: string | null;
  private readonly directions: number;
  private readonly match: Match;
  private readonly snaplen: number;
  private readonly writer: RecordWriter;
  /** Bursts until the next one that is copied. */
  private skip = 0;
  private every = 1;
  /** When the burst came; {@link NOT_YET}: nobody has looked at the clock, because no packet was wanted yet. */
  private time = NOT_YET;
  /** Where the next bytes of the packet go; {@link left}: how many of them are still wanted. */
  private to = 0;
  private left = 0;

  /** @throws FilterError */
  constructor({ id, filter, directions, drops, snaplen, port, ring }: CaptureOrder) {
    this.id = id;
    this.drops = drops;
    this.port = port;
    this.directions = directions;
    this.match = filter === '' ? ALL : compileFilter(filter).match;
    this.snaplen = snaplen === 0 ? MAX_FRAME : Math.min(snaplen, MAX_FRAME);
    this.writer = new RecordWriter(ring, performance.timeOrigin);
  }

  /** Whether it wants a burst of packets of this direction. To be called once per burst. */
  takesBurst(direction: number): boolean {
    if (this.drops || (this.directions & direction) === 0) return false;
    const { every } = this.writer;
    if (every !== this.every) {
      this.every = every;
      this.skip = spacing(every);
    }
    if (--this.skip > 0) return false;
    this.skip = spacing(every);
    this.time = NOT_YET;
    return true;
  }

  /** Whether it wants dropped packets of this direction. */
  takesDrop(direction: number): boolean {
    if (!this.drops || (this.directions & direction) === 0) return false;
    this.time = NOT_YET;
    return true;
  }

  /**
   * Begins a copy, if the filter wants the packet and there is room for it. Then each part of the packet is given to
   * {@link add}.
   * @param at where the first `length` bytes of the packet lie in `u8`
   * @param total bytes of the packet
   * @param reason why it was dropped; or NO_REASON
   */
  begin(u8: Uint8Array, at: number, length: number, total: number, where: number, reason: number): boolean {
    if (!this.match(u8, at, length)) return false;
    const { writer } = this;
    writer.see();
    if (this.time === NOT_YET) this.time = performance.now();
    const kept = Math.min(total, this.snaplen);
    const tag = where | (this.every << EVERY_SHIFT);
    const to = writer.reserve(tag, reason, total, this.time, kept, at);
    if (to < 0) return false;
    this.to = to;
    this.left = kept;
    return true;
  }

  /** Copies the next part of the packet, as far as it is wanted. */
  add(memory: MemoryViews, at: number, length: number): void {
    const bytes = Math.min(length, this.left);
    if (bytes <= 0) return;
    copyBetween(this.writer.views, this.to, memory, at, bytes);
    this.to += bytes;
    this.left -= bytes;
  }

  /** Shows what was copied to the reader. */
  publish(): void {
    this.writer.publish();
  }
}

/** Direction and interface, as {@link CaptureSink.begin} takes them. */
export const whereOf = (direction: number, number: number): number => direction | (number << INTERFACE_SHIFT);

/** The captures of one thread. */
export class CaptureSinks {
  /** Whether there is any. Asked once per burst. */
  isOn = false;
  /** Whether there is one that wants dropped packets. */
  wantsDrops = false;
  /** Read-only for others. */
  all: readonly CaptureSink[] = [];

  /** Begins a capture, and returns its ring. @throws FilterError */
  open(wish: CaptureWish): SharedArrayBuffer[] {
    const ring = makeRecordRing(RING_BYTES);
    this.add({ ...wish, ring });
    return [ring];
  }

  /** Begins a capture whose ring another thread has made. @throws FilterError */
  add(order: CaptureOrder): void {
    this.set([...this.all, new CaptureSink(order)]);
  }

  /** Ends a capture. */
  close(id: number): void {
    this.set(this.all.filter((sink) => sink.id !== id));
  }

  private set(all: readonly CaptureSink[]): void {
    this.all = all;
    this.isOn = all.length > 0;
    this.wantsDrops = all.some(({ drops }) => drops);
  }
}
