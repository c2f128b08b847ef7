/**
 * A network device without hardware: frames that a test injects are received, and frames that are sent are recorded. It has
 * a transmit ring of bounded size and keeps buffers in flight, as a real device does, so that exhaustion can be tested.
 */
import { MAX_RX_BURST } from '../../drivers/net-device.js';
import { BufferPool, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../rings/buffer-pool.js';
import type { DeviceCounters, MemoryViews, NetDevice } from '../index.js';
import { ETH_HEADER_BYTES } from '../wire/ethernet.js';

export interface FakeDeviceOptions {
  /** Packet buffers. Default 256. */
  buffers?: number;
  /** Six bytes. Default 52:54:00:00:00:01. */
  mac?: ArrayLike<number>;
  /** Longest IP packet in bytes. Default 1500. */
  mtu?: number;
  /** log2 of the bytes that a buffer takes. Default: as the MTU needs, 11 at least. */
  bufferShift?: number;
  /** Places in the transmit ring. Default 256. */
  txRing?: number;
  /** What is sent stays in the transmit ring until {@link FakeDevice.complete}. */
  holdTx?: boolean;
  /** Do not record what is sent: for long runs. */
  quiet?: boolean;
  /** Buffers that the device itself begins with; the others belong to the caller: for a port with several cores. Default: all. */
  ownBuffers?: number;
  /** Put sent buffers into a pool of their own: for a port with several cores. */
  separateSent?: boolean;
}

/** Bytes of an IP packet. */
const DEFAULT_MTU = 1500;
/** log2 of the bytes of the smallest buffer. */
const MIN_SHIFT = 11;

export class FakeDevice implements NetDevice {
  readonly name = 'fake';
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

  /** All frames that were sent, ARP included, as copies, in order. */
  readonly frames: Uint8Array[] = [];
  /** How many frames each txBurst took. */
  readonly txBursts: number[] = [];
  txPackets = 0;
  rxPolls = 0;
  interruptsOn = false;
  /** Called with each frame that is sent, a copy, before the core goes on. It must not call the core. */
  onFrame: ((frame: Uint8Array) => void) | null = null;
  /** Called inside enableRxInterrupt before it looks: the place for a frame that comes while arming. */
  whileArming: (() => void) | null = null;

  private readonly txRing: number;
  private readonly holdTx: boolean;
  private readonly quiet: boolean;
  private readonly inFlight: Uint32Array;
  private inFlightCount = 0;
  private isLost = false;
  private readonly received: { handle: number; length: number }[] = [];

  constructor(options: FakeDeviceOptions = {}) {
    const count = options.buffers ?? 256;
    this.mtu = options.mtu ?? DEFAULT_MTU;
    let shift = options.bufferShift ?? MIN_SHIFT;
    if (options.bufferShift === undefined) while (frameCapacity(shift) < this.mtu + ETH_HEADER_BYTES) shift++;
    // Not 0, so that a buffer's number and its place differ.
    const base = 2 << shift;
    const buffer = new SharedArrayBuffer(base + (count << shift));
    this.memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    const geometry = { count, shift, base };
    this.pool = new BufferPool(geometry, 0, options.ownBuffers ?? count);
    this.sent = options.separateSent === true ? new BufferPool(geometry, 0, 0) : this.pool;
    this.mac = Uint8Array.from(options.mac ?? [0x52, 0x54, 0, 0, 0, 1]);
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

  /** The backend is gone: what was in the transmit ring stays there until {@link restore}. */
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

  /**
   * A frame arrives; the interrupt fires if the core asked for it.
   * @param length what the device says that the frame is long, in bytes
   * @returns false when no buffer was free: the frame is lost
   */
  inject(frame: Uint8Array, length = frame.length): boolean {
    const handle = this.pool.get();
    if (handle === NO_BUFFER) return false;
    this.memory.u8.set(
      frame.subarray(0, frameCapacity(this.pool.geometry.shift)),
      this.pool.offsetOf(handle) + FRAME_OFFSET,
    );
    this.received.push({ handle, length });
    this.interrupt();
    return true;
  }

  /** The device raises its interrupt if it is on. */
  interrupt(): void {
    if (this.interruptsOn) this.onWake?.();
  }

  /** The link goes or comes back. */
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
      const handle = handles[i];
      if (!this.quiet) {
        const frame = this.pool.offsetOf(handle) + FRAME_OFFSET;
        const copy = this.memory.u8.slice(frame, frame + lengths[i]);
        this.frames.push(copy);
        this.onFrame?.(copy);
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
    for (let i = 0; i < this.inFlightCount; i++) this.sent.put(this.inFlight[i]);
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
