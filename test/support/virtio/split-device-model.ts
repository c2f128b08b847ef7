/** The device's side of a split virtqueue (virtio 1.2, 2.7), as a model for tests. */
import { type Chain, DeviceModel, F_INDIRECT, F_NEXT, F_WRITE, type Segment } from './device-model.js';

export { type Chain, MODEL_IOVA_BASE } from './device-model.js';

export class SplitDeviceModel extends DeviceModel {
  /** Next available entry to take, and the used index, both u16. */
  nextAvailable = 0;
  usedIndex = 0;
  private usedFlags = 0;
  private availEvent = 0;

  constructor(...shared: ConstructorParameters<typeof DeviceModel>) {
    super(...shared);
    const { descriptors, driver, device, size } = this.layout;
    this.demand(descriptors % 16 === 0, '2.7.1: the descriptor table is not aligned to 16');
    this.demand(driver % 2 === 0, '2.7.1: the available ring is not aligned to 2');
    this.demand(device % 4 === 0, '2.7.1: the used ring is not aligned to 4');
    this.demand(size > 0 && size <= 32768 && Number.isInteger(Math.log2(size)), `2.7: a queue of ${size}`);
    this.demand(this.u16(device) === 0, '2.7.10.1: the used ring is not initialised: flags');
    this.demand(this.u16(device + 2) === 0, '2.7.8: the used ring is not initialised: idx');
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

  /**
   * How many entries the driver has published that were not taken. Checks all of the driver's area that can be checked.
   */
  nextPlace(): number {
    return this.availIndex;
  }

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
    const first = layout.descriptors + 16 * head;
    const firstFlags = this.u16(first + 12);
    const isIndirect = (firstFlags & F_INDIRECT) !== 0;
    if (isIndirect) parts.push(this.descriptor(head));
    const table = isIndirect ? this.tableAt(first, firstFlags) : { at: layout.descriptors, count: layout.size };
    for (let index = isIndirect ? 0 : head, more = true; more; ) {
      const at = table.at + 16 * index;
      const flags = this.u16(at + 12);
      parts.push(this.hex(at));
      this.demand(index < table.count, `2.7.5.3.1: next is ${index} in a table of ${table.count}`);
      if (isIndirect && index >= table.count) break;
      this.demand((flags & ~(F_NEXT | F_WRITE)) === 0, `2.7.5.3.1: descriptor ${index} has flags ${flags}`);
      segments.push(this.segmentAt(at, flags, segments.at(-1)));
      more = (flags & F_NEXT) !== 0 && segments.length < table.count;
      this.demand((flags & F_NEXT) === 0 || more, '2.7.5.2: the descriptor chain is a loop');
      index = this.u16(at + 14);
    }
    this.checkDirection(segments);
    const places = isIndirect ? 1 : segments.length;
    const chain = { id: head, segments, places, snapshot: parts.join() };
    this.held.set(head, chain);
    return chain;
  }

  private descriptor(index: number): string {
    return this.hex(this.layout.descriptors + 16 * index);
  }

  /** Returns a held chain as used, with `written` bytes of it filled. */
  use(chain: Chain, written: number): void {
    const now = chain.segments.length === 1 ? this.descriptor(chain.id) : chain.snapshot;
    this.demand(now === chain.snapshot, `3.3.1: descriptor ${chain.id} was altered while the device held it`);
    this.held.delete(chain.id);
    this.pushUsed(chain.id, written);
  }

  /** Writes any used entry, as a broken device might. */
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

  setNotify(wanted: boolean): void {
    if (this.eventIdx) this.setAvailEvent(wanted ? this.nextAvailable : this.nextAvailable - 1);
    else this.setUsedFlags(wanted ? 0 : 1);
  }

  /** VIRTQ_USED_F_NO_NOTIFY or 0 (2.7.10). */
  setUsedFlags(flags: number): void {
    this.usedFlags = flags;
    this.view.setUint16(this.layout.device, flags, true);
  }

  /** The available index of whose entry the device wants to be notified (2.7.10). */
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
}
