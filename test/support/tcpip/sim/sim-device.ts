/** A network device whose frames travel over the paths of a simulation. */

import type { MemoryViews } from '../../../../drivers/memory/index.js';
import { type DeviceCounters, MAX_RX_BURST, type NetDevice } from '../../../../drivers/net-device.js';
import { BufferPool, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../../../rings/buffer-pool.js';
import { PacketTable } from '../../../../rings/packet-table.js';
import { copyFrame } from './frame-pool.js';
import { OffloadEngine } from './offload-engine.js';
import type { Endpoint, Path, Wires } from './path.js';

export interface SimDeviceOptions {
  readonly mac: Uint8Array;
  /** Longest IP packet in bytes. */
  readonly mtu: number;
  /** log2 of the size of a buffer. */
  readonly shift: number;
  readonly buffers: number;
  /** Places in the receive ring. */
  readonly rxRing: number;
  /** What the device does for packets to send (OFFLOAD_ bits). With any, it also merges and splits what it receives. */
  readonly offloads?: number;
}

export class SimDevice implements NetDevice, Endpoint {
  readonly name = 'sim';
  readonly notice = '';
  readonly pollOnly = false;
  readonly memory: MemoryViews;
  readonly pool: BufferPool;
  readonly sent: BufferPool;
  readonly table: PacketTable;
  /** A test may change the bits, as another backend does, but not to or from 0. */
  offloads: number;
  /** With offloads. */
  readonly engine: OffloadEngine | null;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly rxHandles = new Uint32Array(MAX_RX_BURST);
  readonly rxLengths = new Uint32Array(MAX_RX_BURST);
  isUp = true;
  onWake: (() => void) | null = null;
  onLink: ((state: 'up' | 'down', reason: string) => void) | null = null;
  onAnnounce: (() => void) | null = null;
  /** Where frames go. */
  path: Path | null = null;
  /** Called when a frame has arrived. */
  onArrival: (() => void) | null = null;
  /** Called when the path has refused a frame, with the time in ms at which it takes it. */
  onHeld: ((roomAt: number) => void) | null = null;

  private readonly views: Uint8Array[] = [];
  private readonly ringHandles: Int32Array;
  private readonly ringLengths: Int32Array;
  private ringHead = 0;
  private ringCount = 0;
  private rxPackets = 0;
  private rxBytes = 0;
  private rxNoBuffer = 0;
  private txPackets = 0;
  private txBytes = 0;
  /** Frames of packets that were cut, which wait until the path takes them. */
  private readonly cut: number[] = [];

  constructor(
    private readonly wires: Wires,
    options: SimDeviceOptions,
  ) {
    const { buffers: count, shift } = options;
    // Not 0, so that a stack that takes a handle for an offset is noticed.
    const base = 2 << shift;
    const buffer = new ArrayBuffer(base + (count << shift));
    this.memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    this.table = new PacketTable(count);
    this.pool = new BufferPool({ count, shift, base });
    this.sent = this.pool;
    this.offloads = options.offloads ?? 0;
    this.engine = this.offloads === 0 ? null : new OffloadEngine(this.memory, this.table, this.pool, options.mac[5]!);
    this.mac = options.mac;
    this.mtu = options.mtu;
    this.ringHandles = new Int32Array(options.rxRing);
    this.ringLengths = new Int32Array(options.rxRing);
    this.views.length = count;
  }

  /** Frames that have arrived and were not polled yet. */
  get waiting(): number {
    return this.ringCount;
  }

  arrive(slot: number): void {
    const { frames } = this.wires;
    const length = frames.lengths[slot]!;
    if (this.engine !== null && this.isUp && this.ringCount > 0) {
      const last = (this.ringHead + this.ringCount - 1) % this.ringHandles.length;
      const handle = this.ringHandles[last]!;
      if (this.engine.merge(handle, this.ringLengths[last]!, frames.views[slot]!, length)) {
        this.rxBytes += length;
        frames.release(slot);
        this.onArrival?.();
        return;
      }
    }
    const handle = this.isUp && this.ringCount < this.ringHandles.length ? this.pool.get() : NO_BUFFER;
    if (handle === NO_BUFFER) {
      this.rxNoBuffer++;
    } else {
      copyFrame(this.viewOf(handle), frames.views[slot]!, length);
      const at = (this.ringHead + this.ringCount++) % this.ringHandles.length;
      this.ringHandles[at] = handle;
      this.ringLengths[at] = this.engine === null ? length : this.engine.treat(handle, length);
      this.rxPackets++;
      this.rxBytes += length;
    }
    frames.release(slot);
    this.onArrival?.();
  }

  rxBurst(max: number): number {
    this.sendCut();
    const count = Math.min(max, this.ringCount);
    for (let i = 0; i < count; i++) {
      this.rxHandles[i] = this.ringHandles[this.ringHead]!;
      this.rxLengths[i] = this.ringLengths[this.ringHead]!;
      if (++this.ringHead === this.ringHandles.length) this.ringHead = 0;
    }
    this.ringCount -= count;
    return count;
  }

  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    const { path, wires, engine } = this;
    if (engine !== null) return this.txOffloaded(engine, handles, lengths, count);
    const { frames } = wires;
    for (let i = 0; i < count; i++) {
      const handle = handles[i]!;
      const length = lengths[i]!;
      if (path !== null) {
        if (path.mustHold(length)) {
          this.onHeld?.(path.roomAt(length));
          return i;
        }
        const slot = frames.take(length);
        copyFrame(frames.views[slot]!, this.viewOf(handle), length);
        path.send(slot);
      }
      this.txPackets++;
      this.txBytes += length;
      this.pool.put(handle);
    }
    return count;
  }

  private txOffloaded(engine: OffloadEngine, handles: Uint32Array, lengths: Uint32Array, count: number): number {
    const { frames } = this.wires;
    for (let i = 0; i < count; i++) {
      if (!this.sendCut()) return i;
      for (const frame of engine.framesOf(handles[i]!, lengths[i]!)) {
        const slot = frames.take(frame.length);
        frames.views[slot]!.set(frame);
        this.cut.push(slot);
        this.txBytes += frame.length;
      }
      this.txPackets++;
      this.table.free(handles[i]!, this.pool);
    }
    this.sendCut();
    return count;
  }

  /** Sends the frames that wait, as far as the path takes them. Returns whether none is left. */
  private sendCut(): boolean {
    const { path, cut, wires } = this;
    while (cut.length > 0) {
      const slot = cut[0]!;
      const length = wires.frames.lengths[slot]!;
      if (path === null) {
        wires.frames.release(slot);
      } else if (path.mustHold(length)) {
        this.onHeld?.(path.roomAt(length));
        return false;
      } else {
        path.send(slot);
      }
      cut.shift();
    }
    return true;
  }

  reclaimTx(): void {}

  enableRxInterrupt(): boolean {
    return this.ringCount === 0;
  }

  disableRxInterrupt(): void {}

  counters(): DeviceCounters {
    return {
      ...{ rx_packets: this.rxPackets, rx_bytes: this.rxBytes, rx_dropped_no_buffer: this.rxNoBuffer },
      ...{ tx_packets: this.txPackets, tx_bytes: this.txBytes },
    };
  }

  async close(): Promise<void> {
    this.isUp = false;
  }

  /** The frame of a buffer; the view is made when it is needed first. */
  private viewOf(handle: number): Uint8Array {
    const view = this.views[handle];
    if (view !== undefined) return view;
    const at = this.pool.offsetOf(handle) + FRAME_OFFSET;
    const made = this.memory.u8.subarray(at, at + frameCapacity(this.pool.geometry.shift));
    this.views[handle] = made;
    return made;
  }
}
