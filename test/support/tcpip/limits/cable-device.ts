/** A network device that allocates nothing per frame: its frames go to another one at once, or to a function of the test. */
import { copyBetween, type MemoryViews } from '../../../../drivers/memory/index.js';
import { type DeviceCounters, MAX_RX_BURST, type NetDevice } from '../../../../drivers/net-device.js';
import { BufferPool, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../../../rings/buffer-pool.js';
import {
  CHAIN,
  CSUM_OFFSET,
  CSUM_START,
  ENTRY_SHIFT,
  FLAGS,
  GSO_SIZE,
  LAST,
  LENGTH,
  NEXT,
  PacketTable,
  START,
  TOTAL,
} from '../../../../rings/packet-table.js';
import { ETH_HEADER_BYTES } from '../../../../src/wire/ethernet.js';

export interface CableOptions {
  readonly mac: Uint8Array;
  /** Longest IP packet in bytes. Default 1500. */
  readonly mtu?: number;
  /** Packet buffers. Default 1024. */
  readonly buffers?: number;
  /**
   * What the device does for packets to send: OFFLOAD_ bits. It passes GSO packets and partial checksums on to the other
   * end, which must have them, too. Default 0.
   */
  readonly offloads?: number;
}

const MIN_SHIFT = 11;
/** With offloads, a packet of 64 KB lies in 18 buffers. */
const MIN_SHIFT_OFFLOADED = 12;
/** Where a later part of a packet begins in its buffer: where a first one has the header of virtio. */
const PART_OFFSET = FRAME_OFFSET - 12;

export class CableDevice implements NetDevice {
  readonly name = 'cable';
  readonly notice = '';
  readonly pollOnly = false;
  readonly memory: MemoryViews;
  readonly pool: BufferPool;
  readonly sent: BufferPool;
  readonly table: PacketTable;
  readonly offloads: number;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly rxHandles = new Uint32Array(MAX_RX_BURST);
  readonly rxLengths = new Uint32Array(MAX_RX_BURST);
  isUp = true;
  onWake: (() => void) | null = null;
  onLink: ((state: 'up' | 'down', reason: string) => void) | null = null;
  onAnnounce: (() => void) | null = null;
  /** The other end: frames that are sent arrive there. */
  peer: CableDevice | null = null;
  /** Called with each frame that is sent, where it lies in {@link memory}. It is valid during the call. */
  onFrame: ((at: number, length: number) => void) | null = null;
  /** Whether the transmit ring takes nothing. */
  isBlocked = false;
  /** How many of the next frames get lost. */
  dropNext = 0;
  /** Frames that were sent. */
  frames = 0;
  /** Frames that the other end had no buffer for. */
  overruns = 0;
  private readonly handles: Int32Array;
  private readonly lengths: Int32Array;
  private head = 0;
  private count = 0;

  constructor(options: CableOptions) {
    const { buffers = 1024, mtu = 1500, offloads = 0, mac } = options;
    let shift = offloads === 0 ? MIN_SHIFT : MIN_SHIFT_OFFLOADED;
    while (frameCapacity(shift) < mtu + ETH_HEADER_BYTES) shift++;
    // Not 0, so that a stack that takes a handle for an offset is noticed.
    const base = 2 << shift;
    const buffer = new ArrayBuffer(base + (buffers << shift));
    this.memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    this.table = new PacketTable(buffers);
    this.pool = new BufferPool({ count: buffers, shift, base });
    this.sent = this.pool;
    this.offloads = offloads;
    this.mac = mac;
    this.mtu = mtu;
    this.handles = new Int32Array(new ArrayBuffer(4 * (buffers >>> 1)));
    this.lengths = new Int32Array(new ArrayBuffer(4 * (buffers >>> 1)));
  }

  /** Frames that have arrived and were not polled yet. */
  get waiting(): number {
    return this.count;
  }

  /** Receives a frame. Returns false when no buffer was free. */
  arrive(from: MemoryViews, at: number, length: number): boolean {
    const handle = this.count < this.handles.length ? this.pool.get() : NO_BUFFER;
    if (handle === NO_BUFFER) {
      this.overruns++;
      return false;
    }
    copyBetween(this.memory, this.pool.offsetOf(handle) + FRAME_OFFSET, from, at, length);
    this.enter(handle, length);
    return true;
  }

  /** Receives a packet of a device with offloads, in as many buffers as it takes. Returns false when it has none. */
  arriveFrom(from: CableDevice, handle: number, length: number): boolean {
    const { pool, memory, table } = this;
    const source = from.table.words;
    const sent = handle << ENTRY_SHIFT;
    const flags = source[sent + FLAGS]!;
    if (flags === 0) return this.arrive(from.memory, from.pool.offsetOf(handle) + FRAME_OFFSET, length);
    const room = frameCapacity(pool.geometry.shift);
    const total = (flags & CHAIN) === 0 ? length : source[sent + TOTAL]!;
    // All of them, and one for what is left.
    if (this.count === this.handles.length || pool.available < total / room + 1) {
      this.overruns++;
      return false;
    }
    const { words } = table;
    const first = pool.get();
    const at = first << ENTRY_SHIFT;
    words[at + FLAGS] = (flags & ~CHAIN) | (total > room ? CHAIN : 0);
    words[at + GSO_SIZE] = source[sent + GSO_SIZE]!;
    words[at + CSUM_START] = source[sent + CSUM_START]!;
    words[at + CSUM_OFFSET] = source[sent + CSUM_OFFSET]!;
    words[at + TOTAL] = total;
    words[at + NEXT] = LAST;
    words[at + START] = FRAME_OFFSET;
    words[at + LENGTH] = Math.min(room, total);
    let part = handle;
    let skip = 0;
    let to = first;
    let filled = 0;
    for (let left = total; left > 0; ) {
      const entry = part << ENTRY_SHIFT;
      const start = (flags & CHAIN) === 0 ? FRAME_OFFSET : source[entry + START]!;
      const has = ((flags & CHAIN) === 0 ? length : source[entry + LENGTH]!) - skip;
      if (has === 0) {
        part = source[entry + NEXT]!;
        skip = 0;
        continue;
      }
      const target = to << ENTRY_SHIFT;
      const wanted = words[target + LENGTH]! - filled;
      if (wanted === 0) {
        const next = pool.get();
        words[target + NEXT] = next;
        to = next;
        filled = 0;
        words[(to << ENTRY_SHIFT) + NEXT] = LAST;
        words[(to << ENTRY_SHIFT) + START] = PART_OFFSET;
        words[(to << ENTRY_SHIFT) + LENGTH] = Math.min(room, left);
        continue;
      }
      const bytes = Math.min(has, wanted);
      const into = pool.offsetOf(to) + words[target + START]! + filled;
      copyBetween(memory, into, from.memory, from.pool.offsetOf(part) + start + skip, bytes);
      skip += bytes;
      filled += bytes;
      left -= bytes;
    }
    this.enter(first, words[at + LENGTH]!);
    return true;
  }

  private enter(handle: number, length: number): void {
    let place = this.head + this.count++;
    if (place >= this.handles.length) place -= this.handles.length;
    this.handles[place] = handle;
    this.lengths[place] = length;
  }

  rxBurst(max: number): number {
    const count = Math.min(max, this.count);
    for (let i = 0; i < count; i++) {
      this.rxHandles[i] = this.handles[this.head]!;
      this.rxLengths[i] = this.lengths[this.head]!;
      if (++this.head === this.handles.length) this.head = 0;
    }
    this.count -= count;
    return count;
  }

  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    if (this.isBlocked) return 0;
    const { pool, peer, onFrame, offloads } = this;
    for (let i = 0; i < count; i++) {
      const handle = handles[i]!;
      const at = pool.offsetOf(handle) + FRAME_OFFSET;
      if (this.dropNext > 0) this.dropNext--;
      else if (peer !== null && offloads !== 0) peer.arriveFrom(this, handle, lengths[i]!);
      else if (peer !== null) peer.arrive(this.memory, at, lengths[i]!);
      if (onFrame !== null) onFrame(at, lengths[i]!);
      if (offloads !== 0) this.table.free(handle, pool);
      else pool.put(handle);
    }
    this.frames += count;
    return count;
  }

  reclaimTx(): void {}

  enableRxInterrupt(): boolean {
    return this.count === 0;
  }

  disableRxInterrupt(): void {}

  counters(): DeviceCounters {
    return { tx_packets: this.frames };
  }

  async close(): Promise<void> {
    this.isUp = false;
  }
}
