/**
 * A tap device: an Ethernet interface of the kernel whose other end is a file descriptor (Linux,
 * Documentation/networking/tuntap.rst). As a port of the switch it makes the kernel a peer, for `ping` and `curl`.
 *
 * Each frame costs one read(2) or writev(2), so this is no fast path. Frames are read into a staging area in the window
 * that vhost-user peers share, and are written from where they lie. A virtio-net header before each frame says what is
 * left to its receiver. The kernel takes whatever such a header can say, so nothing is finished for it in software.
 */
import { abi, addressOf, closeFile, IoVector, isInterfaceUp, type Reactor, readTo } from '../libc/index.js';
import type { MemoryViews, WindowAllocator, WindowRange } from '../memory/index.js';
import { OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6, PORT_OFFLOADS } from '../offloads.js';
import type { PacketEndpoint } from '../packet-endpoint.js';
import { writeOffloads } from '../virtio/device/offload-header.js';
import { OffloadReader } from '../virtio/device/offload-reader.js';
import { MAX_BURST, MAX_SEGMENTS_PER_PACKET, type PacketBurst } from '../virtio/device/packet-burst.js';
import { MAX_FRAME_BYTES } from '../virtio/device/tx-queue.js';
import { NET_HEADER_BYTES } from '../virtio/net-header.js';
import { downLine, openTap, setTapOffloads } from './tap-file.js';

/** Where a frame begins in its buffer: 2 mod 4, so that the IP header has the alignment that most drivers give it. */
const BUFFER_OFFSET = 62;
/** The longest frame that is taken, in bytes: an MTU of 9000 and more, with Ethernet header and VLAN tags. */
export const MAX_TAP_FRAME_BYTES = 10175;
/** Bytes in the staging area before the buffers: the header of a frame that is written. */
const HEADER_ROOM = 64;
/** A piece of a frame that is written comes after the header. */
const MAX_PIECES = 1 + MAX_SEGMENTS_PER_PACKET;
const TUN_BITS: readonly (readonly [offload: number, bit: number])[] = [
  [OFFLOAD_CSUM, abi.TUN_F_CSUM],
  [OFFLOAD_TSO4, abi.TUN_F_TSO4],
  [OFFLOAD_TSO6, abi.TUN_F_TSO6],
  [OFFLOAD_ECN, abi.TUN_F_TSO_ECN],
];

interface TapOptions {
  readonly reactor: Reactor;
  /** Provides the staging area: the allocator that the peers of the switch use, too. */
  readonly windows: WindowAllocator;
  /** MAC address for the interface, six octets. Without it the interface keeps its own, or gets a random one. */
  readonly mac?: Uint8Array | null;
  /** OFFLOAD_ bits: which unfinished packets the kernel may send. Default: none. */
  readonly offloads?: number;
}

export class TapDevice implements PacketEndpoint {
  readonly name: string;
  readonly pollOnly = false;
  onKick: (() => void) | null = null;
  refused = 0;

  private readonly memory: MemoryViews;
  /** Where the buffers begin in the memory, and their address; bytes per buffer; the longest frame that is taken. */
  private readonly base: number;
  private readonly baseAddress: number;
  private readonly bufferBytes: number;
  private readonly reader = new OffloadReader(PORT_OFFLOADS, true);
  /** The header of a frame that is written, and the pieces after it. */
  private readonly header: number;
  private readonly pieces = new IoVector(MAX_PIECES);
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
  private inBadOffload = 0;
  private inErrors = 0;
  private outPackets = 0;
  private outBytes = 0;
  private outNoBuffer = 0;
  private outInterfaceDown = 0;
  private outErrors = 0;

  private constructor(
    private readonly fd: number,
    /** Name of the interface. */
    readonly ifname: string,
    private readonly range: WindowRange,
    private readonly longestFrame: number,
    private readonly options: TapOptions,
  ) {
    this.name = `tap:${ifname}`;
    this.memory = range.window;
    this.header = range.offset;
    this.base = range.offset + HEADER_ROOM;
    this.bufferBytes = bufferBytes(longestFrame);
    this.lastMemory = range.window;
    this.lastAddress = addressOf(range.window.u8);
    this.baseAddress = this.lastAddress + this.base;
    this.pieces.set(0, this.lastAddress + this.header, NET_HEADER_BYTES);
    this.awaitFrames();
  }

  /**
   * Creates the interface `ifname`, which disappears with this device, or attaches to an existing one, which stays. The
   * caller brings it up (`ip link set … up`) and gives it addresses. Throws an Error that says what is missing.
   */
  static open(ifname: string, options: TapOptions): TapDevice {
    const { offloads = 0 } = options;
    const longestFrame = (offloads & (OFFLOAD_TSO4 | OFFLOAD_TSO6)) === 0 ? MAX_TAP_FRAME_BYTES : MAX_FRAME_BYTES;
    const fd = openTap(ifname, options.mac, true);
    try {
      const bits = TUN_BITS.reduce((all, [offload, bit]) => all | ((offloads & offload) === 0 ? 0 : bit), 0);
      setTapOffloads(fd, ifname, bits);
      const range = options.windows.allocate(HEADER_ROOM + MAX_BURST * bufferBytes(longestFrame));
      try {
        return new TapDevice(fd, ifname, range, longestFrame, options);
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
    const { bufferBytes, longestFrame } = this;
    const limit = Math.min(max, MAX_BURST);
    // Reads are limited, not frames: a flood of frames that are too long must not keep the worker here.
    for (let reads = 0; this.readable && reads < limit; reads++) {
      const at = burst.count * bufferBytes + BUFFER_OFFSET;
      // One byte more than allowed: the kernel has cut a frame that fills it.
      const room = NET_HEADER_BYTES + longestFrame + 1;
      const bytes = readTo(this.fd, this.baseAddress + at - NET_HEADER_BYTES, room);
      if (bytes < 0) this.readFailed(-bytes);
      else if (bytes === room) this.inTooLong++;
      else this.accept(burst, this.base + at, bytes - NET_HEADER_BYTES);
    }
    return burst.count;
  }

  /** The staging area is free again. The kernel need not be told. */
  complete(): void {}

  put(burst: PacketBurst, indices: Uint8Array, count: number): number {
    let delivered = 0;
    if (!this.attached) {
      this.outInterfaceDown += count;
      this.refused = -1;
      return 0;
    }
    if (burst.memory !== this.lastMemory) {
      this.lastMemory = burst.memory;
      this.lastAddress = addressOf(burst.memory.u8);
    }
    this.refused = 0;
    for (let i = 0; i < count; i++) {
      const packet = indices[i];
      if (this.write(burst, packet)) {
        delivered++;
        this.outBytes += burst.length[packet];
      } else {
        this.refused |= 1 << i;
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
      in_badOffload: this.inBadOffload,
      in_errors: this.inErrors,
      out_packets: this.outPackets,
      out_bytes: this.outBytes,
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
    if (!this.reader.read(this.memory.u8, offset - NET_HEADER_BYTES, burst)) {
      burst.retract();
      this.inBadOffload++;
      return;
    }
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
    const { pieces, header } = this;
    const { u8 } = this.memory;
    u8.fill(0, header, header + NET_HEADER_BYTES);
    if (burst.offloaded !== 0) writeOffloads(u8, header, burst, packet, burst.flags[packet]);
    let count = 1;
    for (let s = burst.firstSegment[packet]; s < burst.firstSegment[packet + 1]; s++) {
      pieces.set(count++, this.lastAddress + burst.segmentOffset[s], burst.segmentLength[s]);
    }
    const bytes = pieces.writeTo(this.fd, count);
    if (bytes >= 0) return true;
    // EAGAIN: the kernel's queue is full. EIO: the interface is down. EINVAL: not a frame, or longer than the kernel
    // takes, or a header that does not fit it.
    if (bytes === -abi.EAGAIN) this.outNoBuffer++;
    else if (bytes === -abi.EIO) this.outInterfaceDown++;
    else this.outErrors++;
    return false;
  }
}

/** Bytes of a buffer for a frame of up to `longest` bytes, and one more. A multiple of 64. */
function bufferBytes(longest: number): number {
  return Math.ceil((BUFFER_OFFSET + longest + 1) / 64) * 64;
}
