/**
 * A NetDevice without a device: frames that a test injects come out of rxBurst, frames that are sent are recorded. It
 * keeps rings of a bounded size and buffers in flight, as a real one does, so that exhaustion can be tested.
 */

import type { MemoryViews } from '../../drivers/memory/index.js';
import { type DeviceCounters, MAX_RX_BURST, type NetDevice } from '../../drivers/net-device.js';
import { BufferPool, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../rings/buffer-pool.js';

export interface MockOptions {
  buffers?: number;
  mac?: number[];
  mtu?: number;
  /** Places in the transmit ring. */
  txRing?: number;
  /** Don't complete transmissions until {@link MockDevice.complete}. */
  holdTx?: boolean;
  /** Don't record sent frames (for long runs). */
  quiet?: boolean;
  /** The buffers that the device itself begins with, from 0 on; the others belong to the caller. Default: all. */
  ownBuffers?: number;
  /** Put sent buffers into a pool of their own. */
  separateSent?: boolean;
}

export class MockDevice implements NetDevice {
  readonly name = 'mock';
  readonly notice = '';
  pollOnly = false;
  readonly memory: MemoryViews;
  readonly pool: BufferPool;
  readonly sent: BufferPool;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly rxHandles = new Uint32Array(MAX_RX_BURST);
  readonly rxLengths = new Uint32Array(MAX_RX_BURST);
  isUp = true;
  onWake: (() => void) | null = null;
  onLink: ((state: 'up' | 'down', reason: string) => void) | null = null;
  onAnnounce: (() => void) | null = null;
  closed = false;

  /** Frames that were sent, as copies, in order. */
  readonly frames: Uint8Array[] = [];
  /** How many frames each txBurst took. */
  readonly txBursts: number[] = [];
  txPackets = 0;
  rxPolls = 0;
  interruptsOn = false;
  /** Called inside enableRxInterrupt before it looks: the place for a frame that comes while arming. */
  whileArming: (() => void) | null = null;

  private readonly txRing: number;
  private readonly holdTx: boolean;
  private readonly quiet: boolean;
  private readonly inFlight: Uint32Array;
  private inFlightCount = 0;
  private isLost = false;
  private readonly received: { handle: number; length: number }[] = [];

  constructor(options: MockOptions = {}) {
    const count = options.buffers ?? 256;
    const base = 4096;
    const buffer = new SharedArrayBuffer(base + count * 2048);
    this.memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    const geometry = { count, shift: 11, base };
    this.pool = new BufferPool(geometry, 0, options.ownBuffers ?? count);
    this.sent = options.separateSent === true ? new BufferPool(geometry, 0, 0) : this.pool;
    this.mac = Uint8Array.from(options.mac ?? [0x52, 0x54, 0, 0, 0, 1]);
    this.mtu = options.mtu ?? 1500;
    this.txRing = options.txRing ?? 256;
    this.holdTx = options.holdTx ?? false;
    this.quiet = options.quiet ?? false;
    this.inFlight = new Uint32Array(this.txRing);
  }

  /** Buffers that are neither free nor with the layer: received and not yet polled, or being sent. */
  get held(): number {
    return this.received.length + this.inFlightCount;
  }

  /** The buffers of {@link held}. */
  heldBuffers(): number[] {
    return [...this.received.map(({ handle }) => handle), ...this.inFlight.subarray(0, this.inFlightCount)];
  }

  /** The device is gone: what was in the transmit ring stays there until {@link restore}. */
  lose(): void {
    this.isLost = true;
    this.setLink(false);
  }

  /** It is back, and what was in the ring was lost. */
  restore(): void {
    this.isLost = false;
    this.complete();
    this.setLink(true);
  }

  /** A frame arrives: the interrupt fires if it was asked for. Returns false when there is no buffer. */
  inject(frame: Uint8Array, length = frame.length): boolean {
    const handle = this.pool.get();
    if (handle === NO_BUFFER) return false;
    this.memory.u8.set(frame.subarray(0, frameCapacity(11)), this.pool.offsetOf(handle) + FRAME_OFFSET);
    this.received.push({ handle, length });
    this.interrupt();
    return true;
  }

  /** The device raises its interrupt if it is on. */
  interrupt(): void {
    if (this.interruptsOn) this.onWake?.();
  }

  setLink(up: boolean): void {
    this.isUp = up;
    this.onLink?.(up ? 'up' : 'down', up ? 'the backend came' : 'the backend went');
    this.onWake?.();
  }

  rxBurst(max: number): number {
    const { rxHandles: handles, rxLengths: lengths } = this;
    this.rxPolls++;
    if (!this.isUp) return 0;
    let n = 0;
    while (n < max && this.received.length > 0) {
      const { handle, length } = this.received.shift()!;
      handles[n] = handle;
      lengths[n] = length;
      n++;
    }
    return n;
  }

  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    if (!this.isUp) return 0;
    const taken = Math.min(count, this.txRing - this.inFlightCount);
    for (let i = 0; i < taken; i++) {
      const handle = handles[i]!;
      if (!this.quiet) {
        const frame = this.pool.offsetOf(handle) + FRAME_OFFSET;
        this.frames.push(this.memory.u8.slice(frame, frame + lengths[i]!));
      }
      this.inFlight[this.inFlightCount++] = handle;
    }
    this.txPackets += taken;
    if (!this.quiet) this.txBursts.push(taken);
    if (!this.holdTx) this.complete();
    return taken;
  }

  /** The device has read all that was sent: the buffers can be reclaimed (here they are at once). */
  complete(): void {
    if (this.isLost) return;
    for (let i = 0; i < this.inFlightCount; i++) this.sent.put(this.inFlight[i]!);
    this.inFlightCount = 0;
  }

  reclaimTx(): void {
    if (!this.holdTx) this.complete();
  }

  enableRxInterrupt(): boolean {
    this.interruptsOn = true;
    this.whileArming?.();
    if (this.received.length === 0) return true;
    this.interruptsOn = false;
    return false;
  }

  disableRxInterrupt(): void {
    this.interruptsOn = false;
  }

  counters(): DeviceCounters {
    return { tx_packets: this.txPackets };
  }

  /** For threads of a port with several cores. */
  readonly counts = { publish: () => {} };

  async close(): Promise<void> {
    this.closed = true;
    this.isUp = false;
  }
}
