/**
 * The device's side of a virtqueue, as a model for tests: plain, slow and suspicious. It shares no code with the
 * driver, reads the memory byte by byte through a DataView, and notes every driver MUST that it sees broken, with its
 * clause (virtio 1.2). This file has what both layouts have in common; the layouts have files of their own.
 */
import type { PacketMemory } from '../../../drivers/memory/index.js';
import type { QueueLayout } from '../../../drivers/virtio/transport.js';

/** Where the model's device sees the packet memory. Above 32 bits, so that both address words count. */
export const MODEL_IOVA_BASE = 0x7_0000_0000;

export const F_NEXT = 1;
export const F_WRITE = 2;
export const F_INDIRECT = 4;
const HEADER_BYTES = 12;

export type Direction = 'receive' | 'transmit' | 'control';

export interface Segment {
  /** In the packet memory, in bytes. */
  offset: number;
  length: number;
  writable: boolean;
}

/** A descriptor chain that the device holds. */
export interface Chain {
  id: number;
  segments: Segment[];
  /** Descriptors of the ring that it takes: with an indirect table one. */
  places: number;
  /** The descriptors as they were when the device took them. */
  snapshot: string;
}

export abstract class DeviceModel {
  /** Chains that the device has taken and not used yet, oldest first. */
  readonly held = new Map<number, Chain>();
  /** Doorbells that were rung. */
  notifications = 0;
  /** VIRTIO_F_INDIRECT_DESC was negotiated. */
  indirect = false;
  protected readonly view: DataView;
  protected readonly bytes: Uint8Array;

  constructor(
    memory: PacketMemory,
    readonly layout: QueueLayout,
    protected readonly direction: Direction,
    protected readonly eventIdx: boolean,
    private readonly violations: string[],
  ) {
    this.view = new DataView(memory.window.buffer, memory.window.start, memory.size);
    this.bytes = memory.u8;
  }

  /** Takes the next chain, or null. */
  abstract take(): Chain | null;
  /** Returns a held chain as used, with `written` bytes of it filled. */
  abstract use(chain: Chain, written: number): void;
  /** Writes any used entry, as a broken device might. */
  abstract pushUsed(id: number, written: number): void;
  /** Asks for a notification of the next buffer that is made available, or for none. */
  abstract setNotify(wanted: boolean): void;

  /** Where the driver goes on, by what it has made available until now: 16 bits, as in 2.9. */
  abstract nextPlace(): number;

  protected demand(condition: boolean, clause: string): void {
    if (!condition) this.violations.push(clause);
  }

  protected u16(offset: number): number {
    return this.view.getUint16(offset, true);
  }

  /** The doorbell. */
  notify(): void {
    this.notifications++;
  }

  takeAll(): Chain[] {
    const chains: Chain[] = [];
    for (let chain = this.take(); chain !== null; chain = this.take()) chains.push(chain);
    return chains;
  }

  /** The descriptor at `offset` of the memory, checked as a part of a chain. */
  protected segmentAt(offset: number, flags: number, last: Segment | undefined): Segment {
    const length = this.view.getUint32(offset + 8, true);
    const segment = {
      offset: Number(this.view.getBigUint64(offset, true)) - MODEL_IOVA_BASE,
      length,
      writable: (flags & F_WRITE) !== 0,
    };
    const inside = segment.offset >= 0 && length > 0 && segment.offset + length <= this.view.byteLength;
    this.demand(inside, `2.7.5: a descriptor covers ${length} bytes at ${segment.offset}, not in the memory`);
    this.demand(!last?.writable || segment.writable, '2.7.4.2: a readable descriptor after a writable one');
    return segment;
  }

  /** Where the indirect table of the descriptor at `offset` lies, and how many descriptors it has. */
  protected tableAt(offset: number, flags: number): { at: number; count: number } {
    const bytes = this.view.getUint32(offset + 8, true);
    const at = Number(this.view.getBigUint64(offset, true)) - MODEL_IOVA_BASE;
    this.demand(this.indirect, '2.7.5.3.1: an indirect descriptor, which was not negotiated');
    this.demand((flags & (F_NEXT | F_WRITE)) === 0, `2.7.5.3.1: an indirect descriptor with flags ${flags}`);
    this.demand(bytes > 0 && bytes % 16 === 0, `2.7.5.3.2: an indirect table of ${bytes} bytes`);
    const inside = at >= 0 && at + bytes <= this.view.byteLength;
    this.demand(inside && at % 16 === 0, `2.7.5.3: an indirect table at ${at}`);
    // A test may have overwritten the descriptor.
    if (!inside) return { at: 0, count: 0 };
    const count = bytes / 16;
    this.demand(count <= this.layout.size, `2.7.5.3.1: a chain of ${count} in a queue of ${this.layout.size}`);
    return { at, count };
  }

  protected checkDirection(segments: readonly Segment[]): void {
    const isMixed = this.direction === 'control';
    const wrong = !isMixed && segments.some((segment) => segment.writable !== (this.direction === 'receive'));
    this.demand(!wrong, `5.1.6: a ${this.direction} queue with a descriptor of the other direction`);
  }

  protected hex(offset: number): string {
    return Buffer.from(this.bytes.subarray(offset, offset + 16)).toString('hex');
  }

  /** All bytes of a chain. */
  read(chain: Chain): Uint8Array {
    return Buffer.concat(chain.segments.map(({ offset, length }) => this.bytes.subarray(offset, offset + length)));
  }

  /** Puts a frame into a held chain, behind a virtio-net header, and uses the chain. */
  deliverInto(
    chain: Chain,
    frame: Uint8Array,
    buffers = 1,
    header: Partial<{ flags: number; csum: number }> = {},
  ): void {
    const { offset, length } = chain.segments[0] as Segment;
    if (HEADER_BYTES + frame.length > length) throw new Error(`the test delivers ${frame.length} bytes into ${length}`);
    this.bytes.fill(0, offset, offset + HEADER_BYTES);
    this.bytes[offset] = header.flags ?? 0;
    this.view.setUint16(offset + 6, header.csum ?? 0, true);
    this.view.setUint16(offset + 10, buffers, true);
    this.bytes.set(frame, offset + HEADER_BYTES);
    this.use(chain, HEADER_BYTES + frame.length);
  }

  /** Takes the next receive buffer and delivers a frame in it. False when the driver has posted none. */
  deliver(frame: Uint8Array): boolean {
    const chain = this.take();
    if (chain === null) return false;
    this.deliverInto(chain, frame);
    return true;
  }

  /** Takes all that the driver sends and uses it, in order. Returns the frames, without their headers. */
  drain(): Uint8Array[] {
    return this.takeAll().map((chain) => {
      const bytes = Uint8Array.from(this.read(chain));
      const header = bytes.subarray(0, HEADER_BYTES);
      this.demand(
        header.every((byte) => byte === 0),
        `5.1.6.2.1: a transmit header of ${Buffer.from(header).toString('hex')} with no offload negotiated`,
      );
      this.use(chain, 0);
      return bytes.subarray(HEADER_BYTES);
    });
  }
}
