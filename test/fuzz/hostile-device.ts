/**
 * A device that writes whatever a case says into the memory that it shares with the driver, for the targets of the driver's
 * side. All that it writes is written to a mirror too: what differs afterwards has been written by the driver.
 */
import type { AddressSpace, MemoryViews } from '../../drivers/memory/index.js';
import { INDIRECT_SHIFT } from '../../drivers/virtio/driver/chains/indirect-tables.js';
import { SLOT_CHAIN } from '../../drivers/virtio/driver/chains/tx-packets.js';
import { makeQueueTables, SLOT_FREE } from '../../drivers/virtio/driver/queue-tables.js';
import type { QueueLayout } from '../../drivers/virtio/transport.js';
import { BufferPool, FRAME_OFFSET } from '../../rings/buffer-pool.js';
import { ENTRY_SHIFT, FLAGS, LAST, NEXT, PacketTable } from '../../rings/packet-table.js';
import { packetOf } from '../support/offload/packets.js';
import type { Input } from './input.js';
import { check } from './target.js';

export const QUEUE_SIZE = 8;
export const BUFFERS = 16;
/** Slots of 512 bytes, which are the least for a buffer: the rings are what matters here. */
export const SHIFT = 9;
/** Between the parts of the queue, and around the buffers: what nobody may write. */
const GAP_BYTES = 128;
const DESC = GAP_BYTES;
const AVAIL = DESC + 16 * QUEUE_SIZE + GAP_BYTES;
const USED = AVAIL + 32 + GAP_BYTES;
const POOL = 1024;
const POOL_END = POOL + (BUFFERS << SHIFT);
/** The tables of indirect descriptors, of a driver with offloads. */
const INDIRECT = POOL_END + 1024;
const INDIRECT_END = INDIRECT + (QUEUE_SIZE << INDIRECT_SHIFT);
const MEMORY_BYTES = INDIRECT_END + GAP_BYTES;
const CANARY = 0x5a5a_5a5a;
/** Marks of a packed ring's descriptor, in the word that has its id, too. */
const AVAIL_MARK = 1 << 23;
const USED_MARK = 1 << 31;
const AVAIL_USED = AVAIL_MARK | USED_MARK;
const HEADER_OFFSET = FRAME_OFFSET - 12;
/** The words that hold the header, which begins in the middle of one. */
const HEADER_START = HEADER_OFFSET & ~3;
const HEADER_END = HEADER_START + 16;
/** Overwritten in a buffer that comes back without being received (`QueueBuffers.takeBack`). */
const ETHER_TYPE_OFFSET = FRAME_OFFSET + 12;
/** Where the device sees the memory: above 32 bits. */
const IOVA = 0x7_0000_0000;

/** Frames of which a device with offloads receives the headers. */
const FRAMES = [
  packetOf(),
  packetOf({ version: 6 }),
  packetOf({ tcpOptions: 12, tags: 1 }),
  packetOf({ protocol: 'udp' }),
  packetOf({ version: 6, ipOptions: 8 }),
  packetOf({ protocol: 'udp', version: 6, ipOptions: 8 }),
];

/** What a queue keeps for itself; its tests may look at it. */
interface Queue {
  readonly slotHandle: Int32Array;
  /** Of a split ring. */
  readonly availIndex?: number;
  /** With offloads, receive: the first buffer of a packet that is not whole yet. */
  readonly assembly?: { readonly first: number; readonly left: number };
}

export class HostileDevice {
  readonly memory: MemoryViews;
  readonly layout: QueueLayout = { size: QUEUE_SIZE, descriptors: DESC, driver: AVAIL, device: USED };
  readonly space: AddressSpace = { contiguousBytes: Number.POSITIVE_INFINITY, iova: (offset) => IOVA + offset };
  /** Buffers that are with the caller of the driver. */
  readonly hand: number[] = [];
  readonly doorbell = { ring: (): void => void this.doorbells++ };
  readonly table = new PacketTable(BUFFERS);
  readonly tables;
  pool = newPool();
  doorbells = 0;
  private readonly mirror32 = new Uint32Array(MEMORY_BYTES / 4);
  private readonly mirror16 = new Uint16Array(this.mirror32.buffer);
  private readonly mirror8 = new Uint8Array(this.mirror32.buffer);
  /** Buffers that {@link checkBuffers} has found. */
  private readonly seen = new Uint8Array(BUFFERS);
  private used = 0;
  /** Of a packed ring: the wrap counter at `used`. */
  private wrap = 1;
  private taken = 0;

  /** @param chains whether the driver has offloads */
  constructor(
    private readonly packed: boolean,
    private readonly chains = false,
  ) {
    const memory = chains ? { words: this.table.words, indirect: INDIRECT } : null;
    this.tables = makeQueueTables(QUEUE_SIZE, BUFFERS, false, memory);
    const buffer = new SharedArrayBuffer(MEMORY_BYTES);
    this.memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
  }

  /** A memory with nothing in it but what shows a stray write. */
  begin(): void {
    this.memory.u32.fill(CANARY);
    this.mirror32.fill(CANARY);
    this.pool = newPool();
    this.tables.slotHandle.fill(SLOT_FREE);
    this.table.words.fill(0);
    this.hand.length = 0;
    this.used = 0;
    this.wrap = 1;
    this.taken = 0;
    this.doorbells = 0;
  }

  /** The driver has reset the queue: the used ring is zeros. */
  ringIsReset(): void {
    const words = this.packed ? 2 : (4 + 8 * QUEUE_SIZE + 2) >>> 1;
    this.mirror16.fill(0, USED >>> 1, (USED >>> 1) + words);
  }

  /** One thing that the device does. */
  act(input: Input, queue: object): void {
    const { slotHandle, availIndex = 0 } = queue as Queue;
    if (this.chains && input.below(3) === 0) {
      this.packet(input, slotHandle, availIndex);
      return;
    }
    switch (input.below(8)) {
      case 0:
      case 1:
      case 2:
        // As it should be: a chain that was offered, used with a length that fits.
        this.useNext(availIndex, () => 12 + input.u8());
        break;
      case 3:
        this.use(input.below(QUEUE_SIZE), input.u8());
        break;
      case 4:
        // Right behind the last one, or anything.
        this.use(input.bool() ? QUEUE_SIZE + input.below(4) : input.u32(), input.u32());
        break;
      case 5:
        if (this.packed) {
          this.step(input.u8());
          break;
        }
        this.used = (this.used + input.u16()) & 0xffff;
        this.set16(USED + 2, this.used);
        break;
      case 6:
        this.set16(USED, this.packed ? input.u16() : input.u8());
        if (this.packed) this.set16(USED + 2, input.u8());
        this.set16(USED + 4 + 8 * QUEUE_SIZE, input.u16());
        break;
      default: {
        const which = input.u8();
        const handle = slotHandle[which & (QUEUE_SIZE - 1)]!;
        if ((which & 0x80) !== 0) {
          // Anywhere in what it shares with the driver, rings and buffers.
          const words = (POOL_END + GAP_BYTES - 2 * GAP_BYTES) / 4;
          const at = DESC + 4 * (input.u16() % words);
          const value = input.u32();
          this.memory.u32[at >>> 2] = value;
          this.mirror32[at >>> 2] = value;
        } else if (handle >= 0) {
          this.set16(this.pool.offsetOf(handle) + HEADER_OFFSET + 10, (which & 0x40) !== 0 ? input.u16() : which >>> 3);
        }
      }
    }
  }

  /** The id of the next chain that was offered; -1 if there is none. */
  private nextOffered(availIndex: number): number {
    if (this.packed) {
      const word = this.memory.u32[(DESC >>> 2) + 4 * this.used + 3]!;
      return (word & AVAIL_USED) >>> 0 === (this.wrap === 1 ? AVAIL_MARK : USED_MARK) ? word & 0xffff : -1;
    }
    if (this.taken === availIndex) return -1;
    return this.memory.u16[((AVAIL + 4) >>> 1) + (this.taken & (QUEUE_SIZE - 1))]!;
  }

  /** Uses the next chain that was offered, if there is one. Returns whether there was. */
  private useNext(availIndex: number, written: () => number): boolean {
    const id = this.nextOffered(availIndex);
    if (id < 0) return false;
    this.taken = (this.taken + 1) & 0xffff;
    this.use(id, written());
    return true;
  }

  /**
   * A virtio-net header, and the headers of a frame, sound or not, in a buffer that the driver has posted. Perhaps it is
   * used at once, and so are all or some of its further buffers.
   */
  private packet(input: Input, slotHandle: Int32Array, availIndex: number): void {
    const shape = input.u8();
    const next = this.nextOffered(availIndex);
    const slot = (shape & 0x80) === 0 ? next : shape;
    const handle = slot < 0 ? -1 : slotHandle[slot & (QUEUE_SIZE - 1)]!;
    if (handle < 0) return;
    const { frame, headers, csumStart, csumOffset } = FRAMES[shape % FRAMES.length]!;
    const at = this.pool.offsetOf(handle) + HEADER_OFFSET;
    for (let i = 0; i < headers; i++) this.set8(at + 12 + i, frame[i]!);
    const kind = input.u8();
    const isGso = (kind & 3) === 3 && csumOffset === 16;
    const gso = frame[csumStart - 20] === 0x45 ? 1 : 4;
    const parts = 1 + ((kind >>> 2) & 3);
    this.set8(at, [0, 2, 1, 1][kind & 3]!);
    this.set8(at + 1, isGso ? gso | ((kind & 0x40) << 1) : 0);
    this.set16(at + 2, input.u8());
    this.set16(at + 4, isGso ? input.u8() << (shape & 2) : 0);
    this.set16(at + 6, csumStart);
    this.set16(at + 8, csumOffset);
    this.set16(at + 10, parts);
    if ((kind & 0x30) === 0) {
      // A lie about a field, or in the headers of the frame.
      const where = input.below(12);
      if (where < 6) this.set16(at + 2 * where, input.u16());
      else this.set8(at + 12 + (input.u8() % headers), input.u8());
    }
    if ((shape & 0xc0) !== 0) return;
    const isCut = (kind & 0x80) !== 0;
    // A further buffer has no header, and may be full.
    const written = (i: number) => () =>
      i === 0 && !isCut ? 12 + headers + (input.u8() % 320) : (2 * input.u8()) % 460;
    for (let i = 0; i < parts && this.useNext(availIndex, written(i)); i++);
  }

  /** Each buffer is in one place: free, in the ring, in a packet that is not whole yet, or in hand. */
  checkBuffers(queue: object): void {
    const { seen, hand } = this;
    const { stack, available: top } = this.pool;
    const { slotHandle, assembly } = queue as Queue;
    seen.fill(0);
    check(top + hand.length <= BUFFERS, `${top} buffers are free and ${hand.length} in hand, of ${BUFFERS}`);
    for (let i = 0; i < top; i++) {
      this.claim(stack[i]!);
      if (this.table.words[(stack[i]! << ENTRY_SHIFT) + FLAGS] !== 0) throw new Error('a free buffer with flags');
    }
    for (let i = 0; i < hand.length; i++) this.claim(hand[i]!);
    for (let slot = 0; slot < QUEUE_SIZE; slot++) {
      const what = slotHandle[slot]!;
      if (what >= 0) this.claim(what);
      else if (what <= SLOT_CHAIN) this.claimChain(SLOT_CHAIN - what);
    }
    if (assembly !== undefined) {
      check(assembly.left < QUEUE_SIZE, `a packet waits for ${assembly.left} more buffers`);
      if (assembly.first >= 0) this.claimChain(assembly.first);
    }
    for (let handle = 0; handle < BUFFERS; handle++)
      if (seen[handle] === 0) throw new Error(`buffer ${handle} is lost`);
  }

  /**
   * Nothing but descriptors, avail ring and, with `isTx`, virtio-net headers and tables of descriptors was written by the
   * driver; and the EtherType of a buffer that came back.
   */
  checkMemory(isTx: boolean): void {
    this.checkMirror(0, DESC);
    this.checkMirror(DESC + 16 * QUEUE_SIZE, AVAIL);
    for (let i = (AVAIL + 4) >>> 1; !this.packed && i < (AVAIL + 4 + 2 * QUEUE_SIZE) >>> 1; i++) {
      const head = this.memory.u16[i]!;
      check(head < QUEUE_SIZE || head === this.mirror16[i], `the driver offers descriptor ${head}`);
    }
    // flags, idx, the ring, used_event
    this.checkMirror(AVAIL + 4 + 2 * QUEUE_SIZE + 4, POOL);
    let checked = POOL;
    for (let handle = 0; handle < BUFFERS; handle++) {
      const at = this.pool.offsetOf(handle);
      if (isTx) {
        this.checkMirror(checked, at + HEADER_START);
        checked = at + HEADER_END;
      }
      if (!this.chains) continue;
      const type = (at + ETHER_TYPE_OFFSET) & ~3;
      this.checkMirror(checked, type);
      for (const half of [type >>> 1, (type >>> 1) + 1]) {
        const found = this.memory.u16[half]!;
        const isType = half === (at + ETHER_TYPE_OFFSET) >>> 1;
        check(found === this.mirror16[half] || (isType && found === 0), `the driver wrote to byte ${2 * half}`);
      }
      checked = type + 4;
    }
    this.checkMirror(checked, INDIRECT);
    if (!isTx) this.checkMirror(INDIRECT, INDIRECT_END);
    this.checkMirror(INDIRECT_END, MEMORY_BYTES);
  }

  /** How many packets are in a transmit queue. */
  packetsIn(queue: object): number {
    return (queue as Queue).slotHandle.reduce((sum, what) => sum + (what >= 0 || what <= SLOT_CHAIN ? 1 : 0), 0);
  }

  /**
   * The descriptors of the packets that a burst has added say where these lie: part by part, within their buffers. The
   * device may have written over a descriptor: then it says nothing.
   * @param before the slots before the burst
   */
  checkOffered(queue: object, before: Int32Array, indirect: boolean): void {
    const { slotHandle } = queue as Queue;
    const { u32 } = this.memory;
    const { words } = this.table;
    for (let slot = 0; slot < QUEUE_SIZE; slot++) {
      const what = slotHandle[slot]!;
      if (what > SLOT_CHAIN || what === before[slot]) continue;
      let at = (DESC >>> 2) + 4 * slot;
      if (indirect) {
        if (this.isOverwritten(at)) continue;
        check(u32[at] === (INDIRECT + (slot << INDIRECT_SHIFT)) >>> 0, `a table at ${u32[at]}`);
        check(u32[at + 1] === IOVA / 2 ** 32 && u32[at + 2]! % 16 === 0, `a table of ${u32[at + 2]} bytes`);
        at = (INDIRECT + (slot << INDIRECT_SHIFT)) >>> 2;
      }
      let place = slot;
      let parts = 0;
      for (let part = SLOT_CHAIN - what; part !== LAST; part = words[(part << ENTRY_SHIFT) + NEXT]!) {
        const begin = this.pool.offsetOf(part);
        const inside = u32[at]! >= begin && u32[at]! + u32[at + 2]! <= POOL + ((part + 1) << SHIFT);
        check(this.isOverwritten(at) || (inside && u32[at + 2]! > 0), `a part of ${u32[at + 2]} bytes at ${u32[at]}`);
        check(++parts <= QUEUE_SIZE, 'a chain longer than the queue');
        place = (place + 1) % QUEUE_SIZE;
        at = indirect ? at + 4 : (DESC >>> 2) + 4 * place;
      }
    }
  }

  /** Whether the device has written one of the words of the descriptor at `at` last. */
  private isOverwritten(at: number): boolean {
    for (let i = at; i < at + 4; i++) if (this.memory.u32[i] === this.mirror32[i]) return true;
    return false;
  }

  /** Puts bytes into a buffer as the driver's caller does. */
  fill(at: number, bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) this.set8(at + i, bytes[i]!);
  }

  private claimChain(first: number): void {
    const { words } = this.table;
    for (let part = first; part !== LAST; part = words[(part << ENTRY_SHIFT) + NEXT]!) this.claim(part);
  }

  private claim(handle: number): void {
    if (!(handle < BUFFERS) || this.seen[handle] !== 0) throw new Error(`buffer ${handle} is in two places`);
    this.seen[handle] = 1;
  }

  private checkMirror(from: number, to: number): void {
    const { mirror32 } = this;
    const { u32 } = this.memory;
    for (let i = from >>> 2; i < to >>> 2; i++) {
      if (u32[i] !== mirror32[i]) throw new Error(`the driver wrote to byte ${4 * i}`);
    }
  }

  private use(id: number, length: number): void {
    if (this.packed) {
      // A random id reaches into the flags.
      const at = (DESC >>> 2) + 4 * this.used;
      this.mirror32[at + 2] = length;
      this.mirror32[at + 3] = (id & ~AVAIL_USED) | (this.wrap === 1 ? AVAIL_USED : 0);
      this.memory.u32[at + 2] = length;
      this.memory.u32[at + 3] = this.mirror32[at + 3]!;
      this.step(1);
      return;
    }
    const at = (USED + 4 + 8 * (this.used & (QUEUE_SIZE - 1))) >>> 2;
    this.memory.u32[at] = id;
    this.memory.u32[at + 1] = length;
    this.mirror32[at] = id;
    this.mirror32[at + 1] = length;
    this.used = (this.used + 1) & 0xffff;
    this.set16(USED + 2, this.used);
  }

  private step(descriptors: number): void {
    for (let i = 0; i < descriptors; i++) {
      if (++this.used < QUEUE_SIZE) continue;
      this.used = 0;
      this.wrap ^= 1;
    }
  }

  private set8(at: number, value: number): void {
    this.memory.u8[at] = value;
    this.mirror8[at] = value;
  }

  private set16(at: number, value: number): void {
    this.memory.u16[at >>> 1] = value;
    this.mirror16[at >>> 1] = value;
  }
}

function newPool(): BufferPool {
  return new BufferPool({ count: BUFFERS, shift: SHIFT, base: POOL });
}
