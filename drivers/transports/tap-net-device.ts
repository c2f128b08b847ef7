/**
 * A tap interface as a network device: the program is at one end, the kernel of this machine at the other, as with
 * DPDK's net_tap. So `curl` reaches a stack without a switch.
 *
 * Each frame costs one read(2) or write(2), so this is no fast path. Frames are read into the packet buffers, and
 * written from where they lie.
 */
import { BufferPool, FRAME_OFFSET, frameCapacity, NO_BUFFER } from '../../rings/buffer-pool.js';
import { PacketTable } from '../../rings/packet-table.js';
import { abi, closeFile, isInterfaceUp, Reactor, readTo, setInterfaceAddress, writeFrom } from '../libc/index.js';
import { messageOf } from '../log/message-of.js';
import { type HugepagePolicy, PacketMemory } from '../memory/index.js';
import { type DeviceCounters, MAX_RX_BURST, type NetDevice } from '../net-device.js';
import type { OffloadPolicy } from '../offloads.js';
import { randomMac } from '../virtio/net-config.js';
import { bufferShift, DEFAULT_MTU, FRAME_OVERHEAD, memoryBytes } from '../virtio/net-options.js';
import { downLine, openTap } from './tap-file.js';

export interface TapNetOptions {
  /** Our MAC address, six bytes. Default: a random one. */
  readonly mac?: Uint8Array | undefined;
  /** Longest IP packet in bytes. Default 1500. */
  readonly mtu?: number | undefined;
  readonly buffers: number;
  readonly hugepages?: HugepagePolicy | undefined;
  /** Whether the kernel does checksums and segmentation, and packets may lie in several buffers. Default: `off`. */
  readonly offloads?: OffloadPolicy | undefined;
  /** The kernel's address on the interface, which is brought up. Default: the interface stays as it is. */
  readonly host?: { readonly address: number; readonly prefixLength: number } | undefined;
}

export class TapNetDevice implements NetDevice {
  readonly name: string;
  readonly pollOnly = false;
  readonly notice: string;
  readonly pool: BufferPool;
  readonly table: PacketTable;
  readonly offloads = 0;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly rxHandles = new Uint32Array(MAX_RX_BURST);
  readonly rxLengths = new Uint32Array(MAX_RX_BURST);
  onWake: (() => void) | null = null;
  onLink: ((state: 'up' | 'down', reason: string) => void) | null = null;
  onAnnounce: (() => void) | null = null;
  isUp = true;

  private readonly reactor = new Reactor();
  private readonly base: number;
  private readonly maxFrame: number;
  /** Where a frame goes that finds no free buffer. */
  private readonly spare: number;
  /** Whether frames may be waiting: set by readiness, cleared when a read finds nothing. */
  private readable = false;
  private interruptWanted = false;
  private closed = false;
  private rxPackets = 0;
  private rxBytes = 0;
  private rxNoBuffer = 0;
  private rxTooLong = 0;
  private txPackets = 0;
  private txBytes = 0;
  private errors = 0;

  private constructor(
    private readonly fd: number,
    private readonly ifname: string,
    readonly memory: PacketMemory,
    shift: number,
    options: TapNetOptions,
  ) {
    const { buffers } = options;
    this.name = `tap:${ifname}`;
    this.mac = options.mac ?? randomMac();
    this.mtu = options.mtu ?? DEFAULT_MTU;
    this.table = new PacketTable(buffers);
    this.pool = new BufferPool({ count: buffers, shift, base: memory.allocate(buffers << shift, 1 << shift) });
    this.base = memory.address;
    // A read may be one byte longer, to notice a frame that is too long.
    this.maxFrame = Math.min(this.mtu + FRAME_OVERHEAD, frameCapacity(shift) - 1);
    this.spare = memory.address + memory.allocate(1 << shift, 64);
    const down = isInterfaceUp(ifname) === false ? downLine(ifname) : '';
    this.notice = [memory.notice, down].filter((line) => line !== '').join('; ');
    this.awaitFrames();
  }

  /**
   * Opens the interface: creates it, or attaches to one that exists.
   * @throws Error with one line; then nothing is left behind
   */
  static open(ifname: string, options: TapNetOptions): TapNetDevice {
    const name = `tap:${ifname}`;
    const shift = bufferShift(name, options.mtu ?? DEFAULT_MTU);
    const fd = openTap(ifname);
    try {
      const { host } = options;
      if (host !== undefined) setInterfaceAddress(ifname, host.address, host.prefixLength);
      const memory = PacketMemory.create(memoryBytes(name, 0, options.buffers, shift), options.hugepages);
      try {
        return new TapNetDevice(fd, ifname, memory, shift, options);
      } catch (error) {
        memory.dispose();
        throw error;
      }
    } catch (error) {
      closeFile(fd);
      throw new Error(`${name}: ${messageOf(error)}`, { cause: error });
    }
  }

  get sent(): BufferPool {
    return this.pool;
  }

  rxBurst(max: number): number {
    const { pool, base, maxFrame, rxHandles, rxLengths } = this;
    const limit = Math.min(max, MAX_RX_BURST);
    let count = 0;
    // Reads are limited, not frames: a flood of frames that are dropped must not keep the core here.
    for (let reads = 0; this.readable && reads < limit; reads++) {
      const handle = pool.get();
      const to = handle === NO_BUFFER ? this.spare : base + pool.offsetOf(handle) + FRAME_OFFSET;
      const bytes = readTo(this.fd, to, maxFrame + 1);
      if (handle !== NO_BUFFER && bytes > 0 && bytes <= maxFrame) {
        rxHandles[count] = handle;
        rxLengths[count] = bytes;
        count++;
        this.rxBytes += bytes;
        continue;
      }
      if (handle !== NO_BUFFER) pool.put(handle);
      if (bytes < 0) this.readFailed(-bytes);
      else if (handle === NO_BUFFER) this.rxNoBuffer++;
      else this.rxTooLong++;
    }
    this.rxPackets += count;
    return count;
  }

  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    const { pool, base } = this;
    if (!this.isUp) return 0;
    for (let i = 0; i < count; i++) {
      const bytes = writeFrom(this.fd, base + pool.offsetOf(handles[i]) + FRAME_OFFSET, lengths[i]);
      // The kernel's queue is full.
      if (bytes === -abi.EAGAIN) return i;
      pool.put(handles[i]);
      if (bytes < 0) {
        // EIO: the interface is down.
        this.errors++;
        continue;
      }
      this.txPackets++;
      this.txBytes += bytes;
    }
    return count;
  }

  /** A frame is sent when it was written. */
  reclaimTx(): void {}

  enableRxInterrupt(): boolean {
    this.interruptWanted = !this.readable;
    return this.interruptWanted;
  }

  disableRxInterrupt(): void {
    this.interruptWanted = false;
  }

  keepAlive(on: boolean): void {
    this.reactor.keepAlive(on);
  }

  counters(): DeviceCounters {
    return {
      rx_packets: this.rxPackets,
      rx_bytes: this.rxBytes,
      rx_dropped_no_buffer: this.rxNoBuffer,
      rx_dropped_too_long: this.rxTooLong,
      tx_packets: this.txPackets,
      tx_bytes: this.txBytes,
      device_errors: this.errors,
    };
  }

  /** Detaches from the interface. One that was created by {@link open} disappears. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.detach();
    this.reactor.close();
    this.memory.dispose();
  }

  private detach(): void {
    if (!this.isUp) return;
    this.isUp = false;
    this.readable = false;
    this.reactor.unwatch(this.fd);
    closeFile(this.fd);
  }

  /** The file descriptor is watched only while no frame is waiting, so that a busy tap causes no event per frame. */
  private awaitFrames(): void {
    this.reactor.watch(this.fd, abi.EPOLLIN, () => {
      this.reactor.unwatch(this.fd);
      this.readable = true;
      if (this.interruptWanted) this.onWake?.();
    });
  }

  private readFailed(errno: number): void {
    if (errno === abi.EINTR) return;
    this.readable = false;
    if (errno === abi.EAGAIN) {
      this.awaitFrames();
      return;
    }
    this.errors++;
    this.detach();
    this.onLink?.('down', `the interface ${this.ifname} is gone (errno ${errno}); was it deleted? Start again`);
  }
}
