/** A network device without hardware. A test injects the frames that it receives, and reads the frames that it sent. */
import { MAX_RX_BURST } from '../../drivers/net-device.js';
import { BufferPool, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../rings/buffer-pool.js';
import { PacketTable } from '../../rings/packet-table.js';
import type { DeviceCounters, MemoryViews, NetDevice } from '../index.js';
import { ETH_HEADER_BYTES } from '../wire/ethernet.js';

/** Options of {@link FakeDevice}. */
export interface FakeDeviceOptions {
  /** Number of packet buffers. Default 256. */
  buffers?: number;
  /** MAC address, six bytes. Default 52:54:00:00:00:01. */
  mac?: ArrayLike<number>;
  /** Longest IP packet in bytes. Default 1500. */
  mtu?: number;
  /** log2 of the size of a buffer in bytes. Default: as the MTU needs, at least 11. */
  bufferShift?: number;
  /** Number of places in the transmit ring. Default 256. */
  txRing?: number;
  /** Whether sent frames stay in the transmit ring until {@link FakeDevice.complete}. Default false. */
  holdTx?: boolean;
  /** Whether sent frames are not recorded, which saves memory in long runs. Default false. */
  quiet?: boolean;
  /**
   * Number of buffers that the device owns at first. The others belong to the caller, as with several cores. Default:
   * all.
   */
  ownBuffers?: number;
  /** Whether sent buffers go to a pool of their own, as with several cores. Default false. */
  separateSent?: boolean;
}

/** Longest IP packet in bytes. */
const DEFAULT_MTU = 1500;
/** log2 of the size of the smallest buffer in bytes. */
const MIN_SHIFT = 11;

/**
 * A fake {@link NetDevice}. As a real device does, it has a transmit ring of bounded size and keeps buffers in flight,
 * so that a test can run out of either.
 */
export class FakeDevice implements NetDevice {
  readonly name = 'fake';
  readonly notice = '';
  pollOnly = false;
  readonly memory: MemoryViews;
  readonly pool: BufferPool;
  readonly sent: BufferPool;
  readonly table: PacketTable;
  readonly offloads: number = 0;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly rxHandles = new Uint32Array(MAX_RX_BURST);
  readonly rxLengths = new Uint32Array(MAX_RX_BURST);
  isUp = true;
  onWake: (() => void) | null = null;
  onLink: ((state: 'up' | 'down', reason: string) => void) | null = null;
  onAnnounce: (() => void) | null = null;
  /** Whether the port has closed the device. */
  closed = false;

  /** Copies of all frames that were sent, ARP included, in order. */
  readonly frames: Uint8Array[] = [];
  /** How many frames each call of txBurst took. */
  readonly txBursts: number[] = [];
  /** How many frames were sent. */
  txPackets = 0;
  /** How often the core has polled. */
  rxPolls = 0;
  /** Whether the core has enabled the receive interrupt. */
  interruptsOn = false;
  /** Called with a copy of each frame when it is sent. It must not call the core. */
  onFrame: ((frame: Uint8Array) => void) | null = null;
  /** Called while the core enables the interrupt: a test can inject a frame at this moment. */
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
    // Not 0, so that a test notices when a handle is taken for an offset.
    const base = 2 << shift;
    const buffer = new SharedArrayBuffer(base + (count << shift));
    this.memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    const geometry = { count, shift, base };
    this.table = new PacketTable(count);
    this.pool = new BufferPool(geometry, 0, options.ownBuffers ?? count);
    this.sent = options.separateSent === true ? new BufferPool(geometry, 0, 0) : this.pool;
    this.mac = Uint8Array.from(options.mac ?? [0x52, 0x54, 0, 0, 0, 1]);
    this.txRing = options.txRing ?? 256;
    this.holdTx = options.holdTx ?? false;
    this.quiet = options.quiet ?? false;
    this.inFlight = new Uint32Array(this.txRing);
  }

  /** How many buffers the device holds: they have received a frame that was not polled yet, or they are being sent. */
  get held(): number {
    return this.received.length + this.inFlightCount;
  }

  /** Returns the handles of the buffers that {@link held} counts. */
  heldBuffers(): number[] {
    return [...this.received.map(({ handle }) => handle), ...this.inFlight.subarray(0, this.inFlightCount)];
  }

  /** Simulates the loss of the backend. Frames in the transmit ring stay there until {@link restore}. */
  lose(): void {
    this.isLost = true;
    this.setLink(false);
  }

  /** Simulates the return of the backend. Frames that were in the transmit ring are lost. */
  restore(): void {
    this.isLost = false;
    this.complete();
    this.setLink(true);
  }

  /**
   * Receives a frame, and raises the interrupt if the core has enabled it.
   * @param frame it is copied
   * @param length of the frame in bytes, as the device reports it to the core
   * @returns false when no buffer was free, and the frame is lost
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

  /** Raises the interrupt if the core has enabled it. */
  interrupt(): void {
    if (this.interruptsOn) this.onWake?.();
  }

  /** Takes the link up or down, and tells the port. */
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

  /** Completes all frames in the transmit ring: their buffers become free. */
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

  /**
   * The threads of a port with several cores publish counters.
   * @internal
   */
  readonly counts = { publish: () => {} };

  async close(): Promise<void> {
    this.closed = true;
    this.isUp = false;
  }
}
