/** A network device that allocates nothing per frame: its frames go to another one at once, or to a function of the test. */
import { copyBetween, type MemoryViews } from '../../../../drivers/memory/index.js';
import { type DeviceCounters, MAX_RX_BURST, type NetDevice } from '../../../../drivers/net-device.js';
import { BufferPool, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../../../rings/buffer-pool.js';
import { PacketTable } from '../../../../rings/packet-table.js';
import { ETH_HEADER_BYTES } from '../../../../src/wire/ethernet.js';

export interface CableOptions {
  readonly mac: Uint8Array;
  /** Longest IP packet in bytes. Default 1500. */
  readonly mtu?: number;
  /** Packet buffers. Default 1024. */
  readonly buffers?: number;
}

const MIN_SHIFT = 11;

export class CableDevice implements NetDevice {
  readonly name = 'cable';
  readonly notice = '';
  readonly pollOnly = false;
  readonly memory: MemoryViews;
  readonly pool: BufferPool;
  readonly sent: BufferPool;
  readonly table: PacketTable;
  readonly offloads = 0;
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
    const { buffers = 1024, mtu = 1500, mac } = options;
    let shift = MIN_SHIFT;
    while (frameCapacity(shift) < mtu + ETH_HEADER_BYTES) shift++;
    // Not 0, so that a stack that takes a handle for an offset is noticed.
    const base = 2 << shift;
    const buffer = new ArrayBuffer(base + (buffers << shift));
    this.memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    this.table = new PacketTable(buffers);
    this.pool = new BufferPool({ count: buffers, shift, base });
    this.sent = this.pool;
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
    let place = this.head + this.count++;
    if (place >= this.handles.length) place -= this.handles.length;
    this.handles[place] = handle;
    this.lengths[place] = length;
    return true;
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
    const { pool, peer, onFrame } = this;
    for (let i = 0; i < count; i++) {
      const handle = handles[i]!;
      const at = pool.offsetOf(handle) + FRAME_OFFSET;
      if (this.dropNext > 0) this.dropNext--;
      else if (peer !== null) peer.arrive(this.memory, at, lengths[i]!);
      if (onFrame !== null) onFrame(at, lengths[i]!);
      pool.put(handle);
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
