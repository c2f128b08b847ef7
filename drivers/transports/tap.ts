/**
 * A tap device: an Ethernet interface of the kernel whose other end is a file descriptor (Linux,
 * Documentation/networking/tuntap.rst). As a port of the switch it makes the kernel a peer, for `ping` and `curl`.
 *
 * Each frame costs one read(2) or write(2), so this is no fast path. Frames are read into a staging area in the window
 * that vhost-user peers share, and are written from where they lie.
 */
import { abi, addressOf, closeFile, isInterfaceUp, type Reactor, readTo, writeFrom } from '../libc/index.js';
import {
  type Copy,
  copierFor,
  copyBetween,
  type MemoryViews,
  type WindowAllocator,
  type WindowRange,
} from '../memory/index.js';
import type { PacketEndpoint } from '../packet-endpoint.js';
import { MAX_BURST, type PacketBurst } from '../virtio/device/packet-burst.js';
import { downLine, openTap } from './tap-file.js';

/** Bytes per frame in the staging area. */
const BUFFER_BYTES = 10240;
/** Where a frame begins in its buffer: 2 mod 4, so that the IP header has the alignment that most drivers give it. */
const BUFFER_OFFSET = 62;
/** The longest frame that is taken, in bytes: an MTU of 9000 and more, with Ethernet header and VLAN tags. */
export const MAX_TAP_FRAME_BYTES = BUFFER_BYTES - 64 - 1;
/** Index of the buffer after those of a burst: a frame that goes out in pieces is gathered there. */
const GATHER_BUFFER = MAX_BURST;

interface TapOptions {
  readonly reactor: Reactor;
  /** Provides the staging area: the allocator that the peers of the switch use, too. */
  readonly windows: WindowAllocator;
  /** MAC address for the interface, six octets. Without it the interface keeps its own, or gets a random one. */
  readonly mac?: Uint8Array | null;
}

export class TapDevice implements PacketEndpoint {
  readonly name: string;
  readonly pollOnly = false;
  onKick: (() => void) | null = null;

  private readonly memory: MemoryViews;
  private readonly copy: Copy;
  private readonly base: number;
  private readonly baseAddress: number;
  /** The memory whose address was looked up last. Usually all frames of a burst lie in the same memory. */
  private lastMemory: MemoryViews;
  private lastAddress: number;
  /** Whether frames may be waiting: set by readiness, cleared when a read finds nothing. */
  private readable = false;
  private kickWanted = false;
  private attached = true;
  /** The interface was deleted: the line that says so. */
  private lost: string | null = null;
  private closed = false;

  private inPackets = 0;
  private inBytes = 0;
  private inTooLong = 0;
  private inErrors = 0;
  private outPackets = 0;
  private outBytes = 0;
  private outTooLong = 0;
  private outNoBuffer = 0;
  private outInterfaceDown = 0;
  private outErrors = 0;

  private constructor(
    private readonly fd: number,
    /** Name of the interface. */
    readonly ifname: string,
    private readonly range: WindowRange,
    private readonly options: TapOptions,
  ) {
    this.name = `tap:${ifname}`;
    this.memory = range.window;
    this.copy = copierFor(range.window);
    this.base = range.offset;
    this.lastMemory = range.window;
    this.lastAddress = addressOf(range.window.u8);
    this.baseAddress = this.lastAddress + range.offset;
    this.awaitFrames();
  }

  /**
   * Creates the interface `ifname`, which disappears with this device, or attaches to an existing one, which stays. The
   * caller brings it up (`ip link set … up`) and gives it addresses. Throws an Error that says what is missing.
   */
  static open(ifname: string, options: TapOptions): TapDevice {
    const fd = openTap(ifname, options.mac);
    try {
      const range = options.windows.allocate((MAX_BURST + 1) * BUFFER_BYTES);
      try {
        return new TapDevice(fd, ifname, range, options);
      } catch (error) {
        options.windows.release(range);
        throw error;
      }
    } catch (error) {
      closeFile(fd);
      throw error;
    }
  }

  take(burst: PacketBurst, max: number): number {
    burst.clear();
    burst.memory = this.memory;
    const limit = Math.min(max, MAX_BURST);
    // Reads are limited, not frames: a flood of frames that are too long must not keep the worker here.
    for (let reads = 0; this.readable && reads < limit; reads++) {
      const at = burst.count * BUFFER_BYTES + BUFFER_OFFSET;
      // One byte more than allowed: the kernel has cut a frame that fills it.
      const bytes = readTo(this.fd, this.baseAddress + at, MAX_TAP_FRAME_BYTES + 1);
      if (bytes < 0) this.readFailed(-bytes);
      else if (bytes > MAX_TAP_FRAME_BYTES) this.inTooLong++;
      else this.accept(burst, this.base + at, bytes);
    }
    return burst.count;
  }

  /** The staging area is free again. The kernel need not be told. */
  complete(): void {}

  put(burst: PacketBurst, indices: Uint8Array, count: number): number {
    let delivered = 0;
    if (!this.attached) {
      this.outInterfaceDown += count;
      return 0;
    }
    if (burst.memory !== this.lastMemory) {
      this.lastMemory = burst.memory;
      this.lastAddress = addressOf(burst.memory.u8);
    }
    for (let i = 0; i < count; i++) {
      const packet = indices[i];
      if (this.write(burst, packet)) {
        delivered++;
        this.outBytes += burst.length[packet];
      }
    }
    this.outPackets += delivered;
    return delivered;
  }

  enableKick(): boolean {
    this.kickWanted = !this.readable;
    return this.kickWanted;
  }

  disableKick(): void {
    this.kickWanted = false;
  }

  /**
   * A line that says why the interface does not work and what to do; null while it is up. An interface that was moved
   * to another network namespace counts as up. Costs three system calls.
   */
  get problem(): string | null {
    if (this.lost !== null) return this.lost;
    if (isInterfaceUp(this.ifname) !== false) return null;
    return downLine(this.ifname);
  }

  /** Names are from the switch's view: `in_…` is what the kernel sent, `out_…` is what it was given. */
  counters(): Record<string, number> {
    return {
      in_packets: this.inPackets,
      in_bytes: this.inBytes,
      in_tooLong: this.inTooLong,
      in_errors: this.inErrors,
      out_packets: this.outPackets,
      out_bytes: this.outBytes,
      out_tooLong: this.outTooLong,
      out_noBuffer: this.outNoBuffer,
      out_interfaceDown: this.outInterfaceDown,
      out_errors: this.outErrors,
    };
  }

  /** Detaches from the interface. An interface that this device created disappears. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.detach();
    this.options.windows.release(this.range);
  }

  private detach(): void {
    if (!this.attached) return;
    this.attached = false;
    this.readable = false;
    this.options.reactor.unwatch(this.fd);
    closeFile(this.fd);
  }

  /** The file descriptor is watched only while no frame is waiting, so that a busy tap causes no event per frame. */
  private awaitFrames(): void {
    this.options.reactor.watch(this.fd, abi.EPOLLIN, () => {
      this.options.reactor.unwatch(this.fd);
      this.readable = true;
      if (this.kickWanted) this.onKick?.();
    });
  }

  private accept(burst: PacketBurst, offset: number, bytes: number): void {
    burst.push(offset, bytes);
    this.inPackets++;
    this.inBytes += bytes;
  }

  private readFailed(errno: number): void {
    if (errno === abi.EINTR) return;
    this.readable = false;
    if (errno === abi.EAGAIN) {
      this.awaitFrames();
      return;
    }
    this.inErrors++;
    // The staging area stays, because frames of this burst may lie in it.
    this.detach();
    this.lost = `the interface ${this.ifname} is gone (errno ${errno}); was it deleted? Start the switch again`;
  }

  private write(burst: PacketBurst, packet: number): boolean {
    const length = burst.length[packet];
    const first = burst.firstSegment[packet];
    let address = this.lastAddress + burst.segmentOffset[first];
    if (burst.firstSegment[packet + 1] - first > 1) {
      if (length > MAX_TAP_FRAME_BYTES) {
        this.outTooLong++;
        return false;
      }
      address = this.gather(burst, packet);
    }
    const bytes = writeFrom(this.fd, address, length);
    if (bytes >= 0) return true;
    // EAGAIN: the kernel's queue is full. EIO: the interface is down. EINVAL: not a frame, or longer than the kernel
    // takes.
    if (bytes === -abi.EAGAIN) this.outNoBuffer++;
    else if (bytes === -abi.EIO) this.outInterfaceDown++;
    else this.outErrors++;
    return false;
  }

  /** Copies the pieces of a frame into one place; returns its address. */
  private gather(burst: PacketBurst, packet: number): number {
    const start = GATHER_BUFFER * BUFFER_BYTES + BUFFER_OFFSET;
    let at = this.base + start;
    for (let s = burst.firstSegment[packet]; s < burst.firstSegment[packet + 1]; s++) {
      const length = burst.segmentLength[s];
      if (burst.memory === this.memory) this.copy(at, burst.segmentOffset[s], length);
      else copyBetween(this.memory, at, burst.memory, burst.segmentOffset[s], length);
      at += length;
    }
    return this.baseAddress + start;
  }
}
