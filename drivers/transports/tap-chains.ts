/**
 * Frames of a tap interface with virtio-net headers (Linux, Documentation/networking/tuntap.rst, IFF_VNET_HDR): packets of
 * up to 64 KB, in several buffers, whose checksums the kernel leaves to us, and we to the kernel.
 *
 * One readv(2) or writev(2) per packet. A read does not know how long the packet will be, so there are always buffers for
 * the longest one. Those that a packet does not need stay for the next one.
 */
import { type BufferPool, ETHERNET_HEADER_BYTES, FRAME_OFFSET, NO_BUFFER } from '../../rings/buffer-pool.js';
import * as table from '../../rings/packet-table.js';
import { abi, IoVector, writeFrom } from '../libc/index.js';
import type { PacketMemory } from '../memory/index.js';
import type { DeviceCounters } from '../net-device.js';
import * as offload from '../offloads.js';
import { MAX_PARTS } from '../virtio/driver/chains/indirect-tables.js';
import { hasHeaders } from '../virtio/driver/chains/ip-headers.js';
import { postedBytes } from '../virtio/driver/chains/rx-assembly.js';
import { BAD, RxHeaderReader } from '../virtio/driver/chains/rx-header.js';
import { TxPackets } from '../virtio/driver/chains/tx-packets.js';
import { GUEST_CSUM, GUEST_ECN, GUEST_TSO4, GUEST_TSO6 } from '../virtio/driver/offload-bits.js';
import { makeQueueCounts, QueueCount } from '../virtio/driver/queue-counts.js';
import { NET_HEADER_BYTES } from '../virtio/net-header.js';

// V8 folds local constants: docs/v8.md, "Local constants".
const { CHAIN, CHECKSUM_VERIFIED, ENTRY_SHIFT, FLAGS, GSO, GSO_SIZE, LAST, LENGTH, NEXT, START, TOTAL } = table;
const HEADER = NET_HEADER_BYTES;
const HEADER_OFFSET = FRAME_OFFSET - NET_HEADER_BYTES;
const SHORTEST = NET_HEADER_BYTES + ETHERNET_HEADER_BYTES;
const { droppedBadLength, droppedBadOffload, droppedNoBuffer, droppedTooLong } = QueueCount;

/** What the kernel does for packets that we send, and what it may leave to us. */
export const TAP_DOES =
  offload.OFFLOAD_CSUM | offload.OFFLOAD_TSO4 | offload.OFFLOAD_TSO6 | offload.OFFLOAD_ECN | offload.OFFLOAD_CHAIN;
const FEATURES = TAP_DOES | GUEST_CSUM | GUEST_TSO4 | GUEST_TSO6 | GUEST_ECN;

/** Bytes for the end of a packet that has no buffers: enough for the kernel to take the packet out of its queue. */
const SPARE_BYTES = 64;
/** A read holds at most this share of the buffers. */
const HELD_SHARE = 4;

/** What {@link TapChains.read} returns beside handles: there is no packet for the caller. */
export const DROPPED = -1;
/** What {@link TapChains.read} returns when read(2) fails: {@link TapChains.errno}. */
export const FAILED = -2;

export class TapChains {
  /** Of the packet that was read last: bytes of the frame in its first buffer, and in all of them. */
  length = 0;
  total = 0;
  errno = 0;
  // Only the drops are counted here.
  private readonly rxCounts = makeQueueCounts();
  private readonly txCounts = makeQueueCounts();
  private readonly words: Int32Array;
  private readonly base: number;
  private readonly headers: RxHeaderReader;
  private readonly packets: TxPackets;
  private readonly pieces = new IoVector(MAX_PARTS);
  /** Bytes of each buffer that a read may fill. */
  private readonly room: number;
  /** The most buffers that a read is given, and the buffers that the next one has already. */
  private readonly most: number;
  private readonly into: IoVector;
  private readonly handles: Int32Array;
  private posted = 0;

  /**
   * @param spare a place in the memory for what has no buffer, 64 bytes
   * @param longestFrame bytes of the longest frame that is no GSO packet
   */
  constructor(
    private readonly fd: number,
    private readonly memory: PacketMemory,
    private readonly pool: BufferPool,
    private readonly table: table.PacketTable,
    private readonly spare: number,
    private readonly longestFrame: number,
  ) {
    const { count, shift } = pool.geometry;
    this.words = table.words;
    this.base = memory.address;
    this.headers = new RxHeaderReader(memory, table.words);
    this.headers.features = FEATURES;
    this.packets = new TxPackets(memory, pool, table.words, this.txCounts);
    this.packets.start(MAX_PARTS, longestFrame, FEATURES);
    this.room = postedBytes(shift, true);
    const needed = Math.ceil((HEADER + offload.MAX_GSO_FRAME_BYTES) / this.room);
    this.most = Math.max(1, Math.min(needed, Math.floor(count / HELD_SHARE)));
    this.handles = new Int32Array(new ArrayBuffer(this.most * Int32Array.BYTES_PER_ELEMENT));
    this.into = new IoVector(this.most + 1);
    this.into.set(this.most, this.base + spare, SPARE_BYTES);
  }

  /**
   * Reads one packet. Returns the handle of its first buffer; its entry in the packet table says the rest. Otherwise
   * {@link DROPPED} or {@link FAILED}.
   */
  read(): number {
    while (this.posted < this.most && this.post(this.posted)) this.posted++;
    const { posted, room, rxCounts } = this;
    if (posted < this.most) this.into.set(posted, this.base + this.spare, SPARE_BYTES);
    const bytes = this.into.readFrom(this.fd, posted + 1);
    if (bytes < 0) {
      this.errno = -bytes;
      return FAILED;
    }
    if (bytes > posted * room) {
      rxCounts[posted < this.most ? droppedNoBuffer : droppedTooLong]++;
      return DROPPED;
    }
    if (bytes < SHORTEST) {
      rxCounts[droppedBadLength]++;
      return DROPPED;
    }
    return this.accept(bytes);
  }

  /** Puts a free buffer in place `index` of the next read. False when there is none. */
  private post(index: number): boolean {
    const handle = this.pool.get();
    if (handle === NO_BUFFER) return false;
    this.place(index, handle);
    return true;
  }

  private place(index: number, handle: number): void {
    this.handles[index] = handle;
    this.into.set(index, this.base + this.pool.offsetOf(handle) + HEADER_OFFSET, this.room);
  }

  /** The kernel has put `bytes` into the first buffers, header included. */
  private accept(bytes: number): number {
    const { words, room } = this;
    const handle = this.handles[0];
    const buffer = this.pool.offsetOf(handle);
    const entry = handle << ENTRY_SHIFT;
    const isChain = bytes > room;
    const total = bytes - HEADER;
    const length = isChain ? room - HEADER : total;
    const flags = this.headers.read(buffer, entry, length, isChain);
    const isGso = flags !== BAD && (flags & GSO) !== 0;
    if (flags === BAD || (isGso && words[entry + GSO_SIZE] > total)) return this.drop(droppedBadOffload);
    if (isChain && !hasHeaders(this.memory.u8, buffer + FRAME_OFFSET, length)) return this.drop(droppedBadOffload);
    if (!isGso && total > this.longestFrame) return this.drop(droppedTooLong);
    this.length = length;
    this.total = total;
    words[entry + FLAGS] = flags;
    if (isChain) this.link(entry, flags, bytes);
    this.replace(Math.ceil(bytes / room));
    return handle;
  }

  private drop(reason: number): number {
    this.rxCounts[reason]++;
    return DROPPED;
  }

  /** Makes a chain of the first buffers. */
  private link(first: number, flags: number, bytes: number): void {
    const { words, handles, room } = this;
    words[first + FLAGS] = flags | CHAIN;
    words[first + TOTAL] = bytes - HEADER;
    words[first + START] = FRAME_OFFSET;
    words[first + LENGTH] = room - HEADER;
    let entry = first;
    let left = bytes - room;
    for (let i = 1; left > 0; i++) {
      words[entry + NEXT] = handles[i];
      entry = handles[i] << ENTRY_SHIFT;
      words[entry + START] = HEADER_OFFSET;
      words[entry + LENGTH] = left < room ? left : room;
      left -= room;
    }
    words[entry + NEXT] = LAST;
  }

  /** The first `count` buffers are the caller's now: others take their places. */
  private replace(count: number): void {
    for (let i = count - 1; i >= 0; i--) {
      if (this.post(i)) continue;
      this.posted--;
      if (i < this.posted) this.place(i, this.handles[this.posted]);
    }
  }

  /**
   * Writes a packet, and frees its buffers unless the kernel's queue is full.
   * @param length bytes of the frame in its first buffer
   * @returns bytes of the frame, or minus the errno; 0 when the packet was dropped and counted
   */
  write(handle: number, length: number): number {
    const { words, base, pool } = this;
    const entry = handle << ENTRY_SHIFT;
    const flags = words[entry];
    const header = pool.offsetOf(handle) + HEADER_OFFSET;
    let bytes: number;
    if ((flags & ~CHECKSUM_VERIFIED) === 0) {
      this.memory.u8.fill(0, header, header + HEADER);
      bytes = writeFrom(this.fd, base + header, HEADER + length);
    } else {
      const parts = this.packets.prepare(handle, length);
      if (parts === 0) return 0;
      this.pieces.set(0, base + header, HEADER + length);
      let part = entry;
      for (let i = 1; i < parts; i++) {
        const next = words[part + NEXT];
        part = next << ENTRY_SHIFT;
        this.pieces.set(i, base + pool.offsetOf(next) + words[part + START], words[part + LENGTH]);
      }
      bytes = this.pieces.writeTo(this.fd, parts);
    }
    if (bytes !== -abi.EAGAIN) this.table.free(handle, pool);
    return bytes < 0 ? bytes : bytes - HEADER;
  }

  /** What was dropped, and why. */
  counters(): DeviceCounters {
    const { rxCounts, txCounts } = this;
    return {
      rx_dropped_no_buffer: rxCounts[droppedNoBuffer],
      rx_dropped_bad_length: rxCounts[droppedBadLength],
      rx_dropped_too_long: rxCounts[droppedTooLong],
      rx_dropped_bad_offload: rxCounts[droppedBadOffload],
      tx_dropped_bad_length: txCounts[droppedBadLength],
      tx_dropped_bad_offload: txCounts[droppedBadOffload],
    };
  }

  /** Gives back the buffers of the next read. There is none. */
  stop(): void {
    const { pool, handles, posted } = this;
    for (let i = 0; i < posted; i++) pool.put(handles[i]);
    this.posted = 0;
  }
}
