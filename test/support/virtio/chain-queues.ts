/**
 * Both queues of a driver with offloads, without a device around them: a model plays the device, the test writes headers
 * byte by byte and fills the entries of the packet table as a layer above does.
 */
import { expect } from 'vitest';
import { LinearAddressSpace, PacketMemory } from '../../../drivers/memory/index.js';
import { allocateIndirect, indirectBytes } from '../../../drivers/virtio/driver/chains/indirect-tables.js';
import { rxQueueFor, splitQueues, txQueueFor } from '../../../drivers/virtio/driver/make-queues.js';
import type { RxQueue, TxQueue } from '../../../drivers/virtio/driver/queue.js';
import { makeQueueTables } from '../../../drivers/virtio/driver/queue-tables.js';
import { allocateSplitQueue } from '../../../drivers/virtio/driver/split-queue.js';
import { BufferPool, FRAME_OFFSET, NO_BUFFER } from '../../../rings/buffer-pool.js';
import * as t from '../../../rings/packet-table.js';
import { type Chain, type DeviceModel, MODEL_IOVA_BASE } from './device-model.js';
import { PackedDeviceModel } from './packed-device-model.js';
import { countsOf, type NamedCounts } from './queue-counts.js';
import { buffersIn, linkedFrom } from './slots.js';
import { SplitDeviceModel } from './split-device-model.js';

export interface ChainQueuesOptions {
  readonly packed?: boolean;
  /** Bits of offload-bits.ts. */
  readonly features?: number;
  readonly mergeable?: boolean;
  readonly eventIdx?: boolean;
  readonly inOrder?: boolean;
  readonly indirect?: boolean;
  readonly size?: number;
  readonly buffers?: number;
  readonly shift?: number;
  readonly longest?: number;
}

/** Fields of struct virtio_net_hdr (virtio 1.2, 5.1.6). */
export interface NetHeader {
  readonly flags?: number;
  readonly gsoType?: number;
  readonly hdrLen?: number;
  readonly gsoSize?: number;
  readonly csumStart?: number;
  readonly csumOffset?: number;
  readonly numBuffers?: number;
}

export function headerBytes(header: NetHeader): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  bytes[0] = header.flags ?? 0;
  bytes[1] = header.gsoType ?? 0;
  view.setUint16(2, header.hdrLen ?? 0, true);
  view.setUint16(4, header.gsoSize ?? 0, true);
  view.setUint16(6, header.csumStart ?? 0, true);
  view.setUint16(8, header.csumOffset ?? 0, true);
  view.setUint16(10, header.numBuffers ?? 0, true);
  return bytes;
}

export function readHeader(bytes: Uint8Array): Required<NetHeader> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    flags: view.getUint8(0),
    gsoType: view.getUint8(1),
    hdrLen: view.getUint16(2, true),
    gsoSize: view.getUint16(4, true),
    csumStart: view.getUint16(6, true),
    csumOffset: view.getUint16(8, true),
    numBuffers: view.getUint16(10, true),
  };
}

/** A packet as the receiver sees it. */
export interface ReceivedPacket {
  readonly handle: number;
  readonly flags: number;
  readonly frame: Uint8Array;
  /** Bytes in each of its buffers. */
  readonly parts: readonly number[];
  readonly gsoSize: number;
  readonly csumStart: number;
  readonly csumOffset: number;
}

/** What a packet to send asks for. */
export interface Request {
  readonly flags?: number;
  readonly gsoSize?: number;
  readonly csumStart?: number;
  readonly csumOffset?: number;
}

export class ChainQueues {
  readonly memory: PacketMemory;
  readonly pool: BufferPool;
  readonly table: t.PacketTable;
  readonly violations: string[] = [];
  /** Buffers that the test holds. */
  readonly inHand = new Set<number>();
  rx: RxQueue;
  tx: TxQueue;
  rxModel!: DeviceModel;
  txModel!: DeviceModel;
  private readonly options: Required<ChainQueuesOptions>;

  constructor(options: ChainQueuesOptions) {
    this.options = {
      packed: false,
      features: 0,
      mergeable: true,
      eventIdx: false,
      inOrder: false,
      indirect: false,
      size: 8,
      buffers: 48,
      shift: 11,
      longest: 1518,
      ...options,
    };
    const { size, buffers, shift } = this.options;
    this.memory = PacketMemory.create((buffers << shift) + indirectBytes(size) + 65536, 'never');
    const { memory } = this;
    const layouts = [allocateSplitQueue(memory, size), allocateSplitQueue(memory, size)] as const;
    this.table = new t.PacketTable(buffers);
    const chains = allocateIndirect(memory, size, this.table);
    this.pool = new BufferPool({ count: buffers, shift, base: memory.allocate(buffers << shift, 1 << shift) });
    const tables = [0, 1].map(() => makeQueueTables(size, buffers, false, chains)) as [
      ReturnType<typeof makeQueueTables>,
      ReturnType<typeof makeQueueTables>,
    ];
    ({ rx: this.rx, tx: this.tx } = splitQueues('test', memory, layouts, this.pool, this.pool, tables));
    this.start();
  }

  /** As at a start of the device, perhaps in another layout: both queues begin anew, with a new device. */
  start(change: Partial<ChainQueuesOptions> = {}): void {
    Object.assign(this.options, change);
    const { packed, eventIdx, inOrder, indirect, features, mergeable, longest } = this.options;
    const { memory, pool, violations } = this;
    this.rx = rxQueueFor(packed, this.rx, memory, pool);
    this.tx = txQueueFor(packed, this.tx, memory, pool);
    const space = new LinearAddressSpace(MODEL_IOVA_BASE);
    this.tx.start(space, eventIdx, longest, inOrder, features);
    expect(this.rx.start(space, eventIdx, mergeable, inOrder, features)).toBe(true);
    const Model = packed ? PackedDeviceModel : SplitDeviceModel;
    this.rxModel = new Model(memory, this.rx.layout, 'receive', eventIdx, violations);
    this.txModel = new Model(memory, this.tx.layout, 'transmit', eventIdx, violations);
    this.txModel.indirect = indirect;
    this.rx.attach({ ring: () => this.rxModel.notify() });
    this.tx.attach({ ring: () => this.txModel.notify() });
    this.rx.open();
  }

  /** Demands that the device has seen nothing that a driver must not do, and that no buffer is lost. */
  close(): void {
    this.account();
    expect(this.violations).toEqual([]);
    this.memory.dispose();
  }

  get rxCounts(): NamedCounts {
    return countsOf(this.rx);
  }

  get txCounts(): NamedCounts {
    return countsOf(this.tx);
  }

  /** Writes these bytes into the next receive buffer. Returns it, not yet used. */
  fill(bytes: Uint8Array): { chain: Chain; written: number } {
    const chain = this.rxModel.take();
    if (chain === null) throw new Error('the driver has posted no buffer');
    const { offset, length } = chain.segments[0]!;
    if (bytes.length > length) throw new Error(`${bytes.length} bytes do not fit into ${length}`);
    this.memory.u8.set(bytes, offset);
    return { chain, written: bytes.length };
  }

  /**
   * Delivers a frame in pieces, one per receive buffer; the header comes before the first one. numBuffers is right unless
   * it is given.
   */
  deliver(pieces: readonly Uint8Array[], header: NetHeader = {}): void {
    const first = headerBytes({ numBuffers: pieces.length, ...header });
    pieces.forEach((piece, i) => {
      const { chain, written } = this.fill(i === 0 ? Buffer.concat([first, piece]) : piece);
      this.rxModel.use(chain, written);
    });
  }

  /** Receives a burst. The buffers are in hand then. */
  receive(max = 32): ReceivedPacket[] {
    const { rx, table, memory, pool } = this;
    const count = rx.burst(max);
    return Array.from({ length: count }, (_, i) => {
      const handle = rx.received.handles[i]!;
      const entry = handle << t.ENTRY_SHIFT;
      const word = (index: number): number => table.words[entry + index]!;
      const flags = word(t.FLAGS);
      const parts: number[] = [];
      const bytes: Uint8Array[] = [];
      const add = (part: number, start: number, length: number): void => {
        if (this.inHand.has(part)) throw new Error(`buffer ${part} was received, but the test has it`);
        this.inHand.add(part);
        parts.push(length);
        bytes.push(memory.u8.slice(pool.offsetOf(part) + start, pool.offsetOf(part) + start + length));
      };
      const length = rx.received.lengths[i]!;
      if ((flags & t.CHAIN) === 0) add(handle, FRAME_OFFSET, length);
      else {
        expect([word(t.START), word(t.LENGTH)]).toEqual([FRAME_OFFSET, length]);
        for (let part = handle; part !== t.LAST; part = table.words[(part << t.ENTRY_SHIFT) + t.NEXT]!) {
          const at = part << t.ENTRY_SHIFT;
          add(part, table.words[at + t.START]!, table.words[at + t.LENGTH]!);
        }
        expect(word(t.TOTAL)).toBe(parts.reduce((sum, part) => sum + part, 0));
      }
      const [gsoSize, csumStart, csumOffset] = [word(t.GSO_SIZE), word(t.CSUM_START), word(t.CSUM_OFFSET)];
      return { handle, flags, frame: Buffer.concat(bytes), parts, gsoSize, csumStart, csumOffset };
    });
  }

  /** Gives back packets that were received. */
  release(packets: readonly ReceivedPacket[]): void {
    const returned: number[] = [];
    for (const { handle } of packets) this.table.free(handle, { put: (part) => returned.push(part) });
    for (const part of returned) {
      this.inHand.delete(part);
      this.pool.put(part);
    }
  }

  /** Receives a burst and gives it back. */
  receiveAll(max = 32): ReceivedPacket[] {
    const packets = this.receive(max);
    this.release(packets);
    return packets;
  }

  /** Makes a packet of these pieces, one per buffer: as a layer above does. Returns its first buffer. */
  packet(pieces: readonly Uint8Array[], request: Request = {}, starts: readonly number[] = []): number {
    const { pool, table, memory } = this;
    const handles = pieces.map(() => {
      const handle = pool.get();
      if (handle === NO_BUFFER) throw new Error('no free buffer');
      this.inHand.add(handle);
      return handle;
    });
    const [first] = handles as [number];
    const word = (handle: number, index: number, value: number): void => {
      table.words[(handle << t.ENTRY_SHIFT) + index] = value;
    };
    let flags = request.flags ?? 0;
    pieces.forEach((piece, i) => {
      const start = i === 0 ? FRAME_OFFSET : (starts[i] ?? FRAME_OFFSET - 12);
      memory.u8.set(piece, pool.offsetOf(handles[i]!) + start);
      if (pieces.length === 1) return;
      flags |= t.CHAIN;
      word(handles[i]!, t.START, start);
      word(handles[i]!, t.LENGTH, piece.length);
      word(handles[i]!, t.NEXT, handles[i + 1] ?? t.LAST);
    });
    if (pieces.length > 1)
      word(
        first,
        t.TOTAL,
        pieces.reduce((sum, { length }) => sum + length, 0),
      );
    if (request.gsoSize !== undefined) word(first, t.GSO_SIZE, request.gsoSize);
    if (request.csumStart !== undefined) word(first, t.CSUM_START, request.csumStart);
    if (request.csumOffset !== undefined) word(first, t.CSUM_OFFSET, request.csumOffset);
    word(first, t.FLAGS, flags);
    return first;
  }

  /** Sends packets whose first buffers have these frame bytes; returns how many were taken. The rest stays in hand. */
  send(packets: readonly { handle: number; length: number }[]): number {
    const handles = Uint32Array.from(packets, ({ handle }) => handle);
    const parts = packets.map(({ handle }) => this.buffersOf(handle));
    const taken = this.tx.burst(
      handles,
      Uint32Array.from(packets, ({ length }) => length),
      packets.length,
    );
    for (const list of parts.slice(0, taken)) for (const part of list) this.inHand.delete(part);
    return taken;
  }

  /** Makes and sends one packet. */
  sendOne(pieces: readonly Uint8Array[], request: Request = {}, starts: readonly number[] = []): number {
    return this.send([{ handle: this.packet(pieces, request, starts), length: pieces[0]!.length }]);
  }

  /** What the device finds in a chain that was sent. */
  read(chain: Chain): { header: Required<NetHeader>; frame: Uint8Array } {
    const bytes = Uint8Array.from(this.txModel.read(chain));
    return { header: readHeader(bytes), frame: bytes.slice(12) };
  }

  private buffersOf(handle: number): number[] {
    const { words } = this.table;
    if ((words[handle << t.ENTRY_SHIFT]! & t.CHAIN) === 0) return [handle];
    return linkedFrom(handle, words);
  }

  /** How many buffers are where. Throws when one is in two places or in none, or a free one has an entry. */
  account(): { pool: number; rx: number; tx: number; hand: number; waiting: number } {
    const place = new Map<number, string>();
    const claim = (handle: number, where: string): void => {
      const other = place.get(handle);
      if (other !== undefined) throw new Error(`buffer ${handle} is in ${other} and in ${where}`);
      place.set(handle, where);
    };
    const { pool, table } = this;
    for (const handle of pool.stack.subarray(0, pool.available)) {
      claim(handle, 'pool');
      if (table.words[handle << t.ENTRY_SHIFT] !== 0) throw new Error(`buffer ${handle} is free, but has flags`);
    }
    for (const handle of this.inHand) claim(handle, 'hand');
    for (const handle of buffersIn(this.rx)) claim(handle, 'rx');
    for (const handle of buffersIn(this.tx)) claim(handle, 'tx');
    const { first } = (this.rx as unknown as { assembly: { first: number } }).assembly;
    if (first >= 0) for (const part of linkedFrom(first, table.words)) claim(part, 'waiting');
    const { count } = pool.geometry;
    if (place.size !== count) throw new Error(`${count - place.size} buffers are lost`);
    const of = (where: string): number => [...place.values()].filter((found) => found === where).length;
    return { pool: of('pool'), rx: of('rx'), tx: of('tx'), hand: of('hand'), waiting: of('waiting') };
  }
}
