/** A network device without hardware. A test injects the frames that it receives, and reads the frames that it sent. */
import { MAX_RX_BURST } from '../../drivers/net-device.js';
import { BufferPool, FRAME_OFFSET, frameCapacity } from '../../rings/buffer-pool.js';
import { CHAIN, ENTRY_SHIFT, LAST, NEXT, PacketTable } from '../../rings/packet-table.js';
import type { DeviceCounters, MemoryViews, NetDevice } from '../index.js';
import { ETH_HEADER_BYTES } from '../wire/ethernet.js';
import { describeReceived, type InjectOptions, PART_OFFSET, readSent, sizesOfParts } from './fake-entries.js';
import { finishFrames, type SentPacket } from './fake-wire.js';

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
  /**
   * What the device does for packets to send: OFFLOAD_ bits of `tspmd`. A device with any of them delivers long frames
   * in several buffers, and must have OFFLOAD_CHAIN. Default 0.
   */
  offloads?: number;
  /**
   * Whether {@link FakeDevice.frames} gets the frames as they go onto the wire, with their checksums and cut into
   * segments. Default false: as the layer gave them.
   */
  finish?: boolean;
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
  /** What the device does for packets to send. A test changes it as another backend would. */
  offloads: number;
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
  /** All packets that were sent, with what they ask for, in order. */
  readonly packets: SentPacket[] = [];
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
  private readonly finish: boolean;
  /** The buffers of the packets that are being sent, and how many packets these are. */
  private readonly inFlight: Uint32Array;
  private inRing = 0;
  private inFlightCount = 0;
  private isLost = false;
  private readonly received: { handle: number; length: number; parts: readonly number[] }[] = [];

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
    this.offloads = options.offloads ?? 0;
    this.finish = options.finish ?? false;
    this.inFlight = new Uint32Array(count);
  }

  /** How many buffers the device holds: they have received a frame that was not polled yet, or they are being sent. */
  get held(): number {
    return this.received.reduce((sum, { parts }) => sum + parts.length, this.inFlightCount);
  }

  /** Returns the handles of the buffers that {@link held} counts. */
  heldBuffers(): number[] {
    return [...this.received.flatMap(({ parts }) => parts), ...this.inFlight.subarray(0, this.inFlightCount)];
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
   * @param how the length that the device reports to the core, in bytes; or, with offloads, what it says of the packet
   * @returns false when there were not enough free buffers, and the frame is lost
   */
  inject(frame: Uint8Array, how: number | InjectOptions = {}): boolean {
    const options = typeof how === 'number' ? { length: how } : how;
    const room = frameCapacity(this.pool.geometry.shift);
    const sizes = this.offloads === 0 ? [Math.min(frame.length, room)] : sizesOfParts(frame.length, room, options);
    if (this.pool.available < sizes.length) return false;
    const handles = sizes.map(() => this.pool.get());
    let done = 0;
    for (const [i, bytes] of sizes.entries()) {
      const at = this.pool.offsetOf(handles[i]) + (i === 0 ? FRAME_OFFSET : PART_OFFSET);
      this.memory.u8.set(frame.subarray(done, done + bytes), at);
      done += bytes;
    }
    const length = sizes.length > 1 ? sizes[0] : (options.length ?? frame.length);
    if (this.offloads !== 0) describeReceived(this.table, handles, sizes, options);
    this.received.push({ handle: handles[0], length, parts: handles });
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
    const taken = Math.min(count, this.txRing - this.inRing);
    for (let i = 0; i < taken; i++) {
      if (!this.quiet) this.record(handles[i], lengths[i]);
      this.takeParts(handles[i]);
    }
    this.inRing += taken;
    this.txPackets += taken;
    if (!this.quiet) this.txBursts.push(taken);
    if (!this.holdTx) this.complete();
    return taken;
  }

  /** The buffers of a packet go into the transmit ring. */
  private takeParts(handle: number): void {
    const { words } = this.table;
    const flags = this.offloads === 0 ? 0 : words[handle << ENTRY_SHIFT];
    words[handle << ENTRY_SHIFT] = 0;
    for (let part = handle; part !== LAST; ) {
      this.inFlight[this.inFlightCount++] = part;
      part = (flags & CHAIN) === 0 ? LAST : words[(part << ENTRY_SHIFT) + NEXT];
    }
  }

  /** Keeps copies of a packet that is sent. */
  private record(handle: number, length: number): void {
    const packet = readSent(this, handle, length);
    this.packets.push(packet);
    for (const frame of this.finish ? finishFrames(packet) : [packet.frame]) {
      this.frames.push(frame);
      this.onFrame?.(frame);
    }
  }

  /** Completes all frames in the transmit ring: their buffers become free. */
  complete(): void {
    if (this.isLost) return;
    for (let i = 0; i < this.inFlightCount; i++) this.sent.put(this.inFlight[i]);
    this.inFlightCount = 0;
    this.inRing = 0;
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
