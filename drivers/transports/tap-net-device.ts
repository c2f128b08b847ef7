/**
 * A tap interface as a network device: the program is at one end, the kernel of this machine at the other, as with
 * DPDK's net_tap. So `curl` reaches a stack without a switch.
 *
 * Each packet costs one read(2) or write(2), so this is no fast path. Packets are read into the packet buffers, and
 * written from where they lie. With offloads a packet may be 64 KB long: `tap-chains.ts`.
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
import { FAILED, TAP_DOES, TapChains } from './tap-chains.js';
import { downLine, openTap, setTapOffloads, TAP_OFFLOADS } from './tap-file.js';

export interface TapNetOptions {
  /** Our MAC address, six bytes. Default: a random one. */
  readonly mac?: Uint8Array | undefined;
  /** Longest IP packet in bytes. Default 1500. */
  readonly mtu?: number | undefined;
  readonly buffers: number;
  readonly hugepages?: HugepagePolicy | undefined;
  /** With `auto`, packets have virtio-net headers: checksums and segmentation are left to the kernel, and to us. */
  readonly offloads?: OffloadPolicy | undefined;
  /** Whether each burst looks for frames by a read(2), and not only when the event loop has told of some. Default false. */
  readonly spin?: boolean | undefined;
  /** The kernel's address on the interface, which is brought up. Default: the interface stays as it is. */
  readonly host?: { readonly address: number; readonly prefixLength: number } | undefined;
}

export class TapNetDevice implements NetDevice {
  readonly name: string;
  readonly pollOnly = false;
  readonly notice: string;
  readonly pool: BufferPool;
  readonly table: PacketTable;
  readonly offloads: number;
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
  /** With offloads: all that is not the same without. */
  private readonly chains: TapChains | null = null;
  /** Where a frame goes that finds no free buffer. */
  private readonly spare: number;
  private readonly spins: boolean;
  /** Whether frames may be waiting: set by readiness, cleared when a read finds nothing. */
  private readable = false;
  private isWatched = false;
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
    this.spins = options.spin ?? false;
    this.table = new PacketTable(buffers);
    this.pool = new BufferPool({ count: buffers, shift, base: memory.allocate(buffers << shift, 1 << shift) });
    this.base = memory.address;
    // A read may be one byte longer, to notice a frame that is too long.
    this.maxFrame = Math.min(this.mtu + FRAME_OVERHEAD, frameCapacity(shift) - 1);
    const spare = memory.allocate(1 << shift, 64);
    this.spare = memory.address + spare;
    this.offloads = options.offloads === 'auto' ? TAP_DOES : 0;
    if (this.offloads !== 0) {
      this.chains = new TapChains(fd, memory, this.pool, this.table, spare, this.mtu + FRAME_OVERHEAD);
    }
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
    const { host, buffers, mtu = DEFAULT_MTU, offloads = 'off' } = options;
    const shift = bufferShift(name, mtu, offloads);
    const fd = openTap(ifname, null, offloads === 'auto');
    try {
      if (host !== undefined) setInterfaceAddress(ifname, host.address, host.prefixLength);
      const memory = PacketMemory.create(memoryBytes(name, 0, buffers, shift), options.hugepages);
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
    const { chains, pool, base, maxFrame, rxHandles, rxLengths } = this;
    const limit = Math.min(max, MAX_RX_BURST);
    if (this.spins) this.readable = this.isUp;
    if (chains !== null) return this.readChains(chains, limit);
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

  private readChains(chains: TapChains, limit: number): number {
    const { rxHandles, rxLengths } = this;
    let count = 0;
    for (let reads = 0; this.readable && reads < limit; reads++) {
      const handle = chains.read();
      if (handle >= 0) {
        rxHandles[count] = handle;
        rxLengths[count] = chains.length;
        count++;
        this.rxBytes += chains.total;
      } else if (handle === FAILED) {
        this.readFailed(chains.errno);
      }
    }
    this.rxPackets += count;
    return count;
  }

  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number {
    const { chains, pool, base } = this;
    if (!this.isUp) return 0;
    if (chains !== null) return this.writeChains(chains, handles, lengths, count);
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

  private writeChains(chains: TapChains, handles: Uint32Array, lengths: Uint32Array, count: number): number {
    for (let i = 0; i < count; i++) {
      const bytes = chains.write(handles[i], lengths[i]);
      if (bytes === -abi.EAGAIN) return i;
      if (bytes < 0) this.errors++;
      if (bytes <= 0) continue;
      this.txPackets++;
      this.txBytes += bytes;
    }
    return count;
  }

  /** A frame is sent when it was written. */
  reclaimTx(): void {}

  enableRxInterrupt(): boolean {
    this.interruptWanted = !this.readable;
    if (this.interruptWanted) this.awaitFrames();
    return this.interruptWanted;
  }

  disableRxInterrupt(): void {
    this.interruptWanted = false;
  }

  async setReceiveOffloads(on: boolean): Promise<void> {
    if (this.chains !== null) {
      setTapOffloads(this.fd, this.ifname, on ? TAP_OFFLOADS : 0);
    } else if (on) {
      throw new Error(`${this.name}: receive offloads cannot be switched on: it was opened without offloads`);
    }
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
      ...this.chains?.counters(),
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
    this.chains?.stop();
    closeFile(this.fd);
  }

  /** The file descriptor is watched only while no frame is waiting, so that a busy tap causes no event per frame. */
  private awaitFrames(): void {
    if (this.isWatched || !this.isUp) return;
    this.isWatched = true;
    this.reactor.watch(this.fd, abi.EPOLLIN, () => {
      this.reactor.unwatch(this.fd);
      this.isWatched = false;
      this.readable = true;
      if (this.interruptWanted) this.onWake?.();
    });
  }

  private readFailed(errno: number): void {
    if (errno === abi.EINTR) return;
    this.readable = false;
    if (errno === abi.EAGAIN) {
      if (!this.spins) this.awaitFrames();
      return;
    }
    this.errors++;
    this.detach();
    this.onLink?.('down', `the interface ${this.ifname} is gone (errno ${errno}); was it deleted? Start again`);
  }
}
