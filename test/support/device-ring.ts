/**
 * The device's side of a split virtqueue, as a model for tests: plain, slow and suspicious. It shares no code with the
 * driver, reads the memory byte by byte through a DataView, and notes every driver MUST that it sees broken, with its
 * clause (virtio 1.2).
 */
import type { PacketMemory } from '../../drivers/memory/index.js';
import type { QueueLayout } from '../../drivers/virtio/transport.js';

/** Where the model's device sees the packet memory. Above 32 bits, so that both address words count. */
export const MODEL_IOVA_BASE = 0x7_0000_0000;

const F_NEXT = 1;
const F_WRITE = 2;
const HEADER_BYTES = 12;

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
  /** The descriptors as they were when the device took them. */
  snapshot: string;
}

export class DeviceRing {
  /** Chains that the device has taken and not used yet, oldest first. */
  readonly held = new Map<number, Chain>();
  /** Doorbells heard. */
  notifications = 0;
  /** Next available entry to take, and the used index, both u16. */
  nextAvailable = 0;
  usedIndex = 0;
  private usedFlags = 0;
  private availEvent = 0;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;

  constructor(
    memory: PacketMemory,
    readonly layout: QueueLayout,
    private readonly direction: 'receive' | 'transmit' | 'control',
    private readonly eventIdx: boolean,
    private readonly violations: string[],
  ) {
    this.view = new DataView(memory.window.buffer, memory.window.start, memory.size);
    this.bytes = memory.u8;
    const { descriptors, driver, device, size } = layout;
    this.demand(descriptors % 16 === 0, '2.7.1: the descriptor table is not aligned to 16');
    this.demand(driver % 2 === 0, '2.7.1: the available ring is not aligned to 2');
    this.demand(device % 4 === 0, '2.7.1: the used ring is not aligned to 4');
    this.demand(size > 0 && size <= 32768 && Number.isInteger(Math.log2(size)), `2.7: a queue of ${size}`);
    this.demand(this.u16(device) === 0, '2.7.10.1: the used ring is not initialised: flags');
    this.demand(this.u16(device + 2) === 0, '2.7.8: the used ring is not initialised: idx');
  }

  private demand(condition: boolean, clause: string): void {
    if (!condition) this.violations.push(clause);
  }

  private u16(offset: number): number {
    return this.view.getUint16(offset, true);
  }

  get availFlags(): number {
    return this.u16(this.layout.driver);
  }

  get availIndex(): number {
    return this.u16(this.layout.driver + 2);
  }

  get usedEvent(): number {
    return this.u16(this.layout.driver + 4 + 2 * this.layout.size);
  }

  /** The doorbell. */
  notify(): void {
    this.notifications++;
  }

  /** How many entries the driver has published that were not taken. Checks all that can be seen of its area. */
  available(): number {
    const { layout, availFlags } = this;
    if (this.eventIdx) this.demand(availFlags === 0, `2.7.7.1: avail flags are ${availFlags} with EVENT_IDX`);
    else this.demand(availFlags <= 1, `2.7.7.1: avail flags are ${availFlags}`);
    // What only the device writes must be as the device left it.
    this.demand(this.u16(layout.device) === this.usedFlags, '2.7.8: the driver wrote the used flags');
    this.demand(this.u16(layout.device + 2) === this.usedIndex, '2.7.8: the driver wrote the used index');
    const event = this.u16(layout.device + 4 + 8 * layout.size);
    this.demand(event === this.availEvent, '2.7.10: the driver wrote avail_event');
    const count = (this.availIndex - this.nextAvailable) & 0xffff;
    const most = layout.size - this.held.size;
    this.demand(count <= most, `2.7.6.1: avail idx moved by ${count}, where at most ${most} entries were free`);
    return Math.min(count, most);
  }

  /** Takes the next chain, or null. */
  take(): Chain | null {
    if (this.available() === 0) return null;
    const { layout } = this;
    const head = this.u16(layout.driver + 4 + 2 * (this.nextAvailable % layout.size));
    this.nextAvailable = (this.nextAvailable + 1) & 0xffff;
    this.demand(head < layout.size, `2.7.13.2: head ${head} in a queue of ${layout.size}`);
    this.demand(!this.held.has(head), `3.3.1: descriptor ${head} is made available twice`);
    const segments: Segment[] = [];
    const parts: string[] = [];
    for (let index = head, more = true; more; ) {
      const at = layout.descriptors + 16 * index;
      const flags = this.u16(at + 12);
      const length = this.view.getUint32(at + 8, true);
      const offset = Number(this.view.getBigUint64(at, true)) - MODEL_IOVA_BASE;
      const writable = (flags & F_WRITE) !== 0;
      parts.push(this.descriptor(index));
      this.demand((flags & ~(F_NEXT | F_WRITE)) === 0, `2.7.5.3.1: descriptor ${index} has flags ${flags}`);
      const inside = offset >= 0 && length > 0 && offset + length <= this.view.byteLength;
      this.demand(inside, `2.7.5: descriptor ${index} covers ${length} bytes at ${offset}, not in the memory`);
      const last = segments.at(-1);
      this.demand(!last?.writable || writable, '2.7.4.2: a readable descriptor after a writable one');
      segments.push({ offset, length, writable });
      more = (flags & F_NEXT) !== 0 && segments.length < layout.size;
      this.demand((flags & F_NEXT) === 0 || more, '2.7.5.2: the descriptor chain is a loop');
      index = this.u16(at + 14);
    }
    const isMixed = this.direction === 'control';
    const wrong = !isMixed && segments.some((segment) => segment.writable !== (this.direction === 'receive'));
    this.demand(!wrong, `5.1.6: a ${this.direction} queue with a descriptor of the other direction`);
    const chain = { id: head, segments, snapshot: parts.join() };
    this.held.set(head, chain);
    return chain;
  }

  takeAll(): Chain[] {
    const chains: Chain[] = [];
    for (let chain = this.take(); chain !== null; chain = this.take()) chains.push(chain);
    return chains;
  }

  private descriptor(index: number): string {
    const at = this.layout.descriptors + 16 * index;
    return Buffer.from(this.bytes.subarray(at, at + 16)).toString('hex');
  }

  /** All bytes of a chain. */
  read(chain: Chain): Uint8Array {
    return Buffer.concat(chain.segments.map(({ offset, length }) => this.bytes.subarray(offset, offset + length)));
  }

  /** Returns a held chain as used, `written` bytes of it filled. */
  use(chain: Chain, written: number): void {
    const now = chain.segments.length === 1 ? this.descriptor(chain.id) : chain.snapshot;
    this.demand(now === chain.snapshot, `3.3.1: descriptor ${chain.id} was altered while the device held it`);
    this.held.delete(chain.id);
    this.pushUsed(chain.id, written);
  }

  /** Writes any used entry, as a device that is broken might. */
  pushUsed(id: number, written: number): void {
    const at = this.layout.device + 4 + 8 * (this.usedIndex % this.layout.size);
    this.view.setUint32(at, id, true);
    this.view.setUint32(at + 4, written, true);
    this.setUsedIndex(this.usedIndex + 1);
  }

  setUsedIndex(index: number): void {
    this.usedIndex = index & 0xffff;
    this.view.setUint16(this.layout.device + 2, this.usedIndex, true);
  }

  /** VIRTQ_USED_F_NO_NOTIFY or 0 (2.7.10). */
  setUsedFlags(flags: number): void {
    this.usedFlags = flags;
    this.view.setUint16(this.layout.device, flags, true);
  }

  /** The available index whose entry the device wants to be notified of (2.7.10). */
  setAvailEvent(index: number): void {
    this.availEvent = index & 0xffff;
    this.view.setUint16(this.layout.device + 4 + 8 * this.layout.size, this.availEvent, true);
  }

  /** Whether publishing the entries `from` to `to` (exclusive) must notify this device (2.7.10.1), entry by entry. */
  wantsNotification(from: number, to: number): boolean {
    if (!this.eventIdx) return (this.usedFlags & 1) === 0;
    for (let i = from & 0xffff; i !== (to & 0xffff); i = (i + 1) & 0xffff) if (i === this.availEvent) return true;
    return false;
  }

  /** Whether the driver wants an interrupt for the used entries `from` to `to` (exclusive) (2.7.7.2). */
  wantsInterrupt(from: number, to: number): boolean {
    if (!this.eventIdx) return (this.availFlags & 1) === 0;
    for (let i = from & 0xffff; i !== (to & 0xffff); i = (i + 1) & 0xffff) if (i === this.usedEvent) return true;
    return false;
  }

  /** Puts a frame into a chain that is held, behind a virtio-net header, and uses it. */
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

  /** Takes all that the driver sends and uses it, in order: the frames, without their headers. */
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
