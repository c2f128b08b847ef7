/** The device's side of a packed virtqueue (virtio 1.2, 2.8), as a model for tests. */
import { type Chain, DeviceModel, F_INDIRECT, F_NEXT, F_WRITE, type Segment } from './device-model.js';

const F_AVAIL = 0x80;
const F_USED = 0x8000;
const ENABLE = 0;
const DISABLE = 1;
const DESC = 2;

interface Place {
  index: number;
  wrap: boolean;
}

export class PackedDeviceModel extends DeviceModel {
  /** The next descriptor to look at, and the next to write a used one to. */
  readonly nextAvail: Place = { index: 0, wrap: true };
  readonly nextUsed: Place = { index: 0, wrap: true };
  /** Descriptors used, and taken, since the reset. */
  used = 0;
  taken = 0;
  private event = 0;

  constructor(...shared: ConstructorParameters<typeof DeviceModel>) {
    super(...shared);
    const { descriptors, driver, device, size } = this.layout;
    this.demand(descriptors % 16 === 0, '2.8.10.1: the descriptor ring is not aligned to 16');
    this.demand(driver % 4 === 0, '2.8.10.1: the driver event suppression is not aligned to 4');
    this.demand(device % 4 === 0, '2.8.10.1: the device event suppression is not aligned to 4');
    this.demand(size > 0 && size <= 32768, `2.8: a queue of ${size}`);
    this.demand(this.view.getUint32(device, true) === 0, '2.8.14: the device event suppression is not zeroed');
    // 2.8.13: the ring begins as zeros. What a driver has put into it since then, no device may see before DRIVER_OK.
    this.demand((this.u16(descriptors + 14) & (F_AVAIL | F_USED)) === 0, '2.8.13: the first descriptor is marked');
  }

  /** A place of the device, with this ring's size, moved on by `count` descriptors. */
  private moved({ index, wrap }: Place, count: number): Place {
    const next = index + count;
    return next < this.layout.size ? { index: next, wrap } : { index: next - this.layout.size, wrap: !wrap };
  }

  private at(index: number): number {
    return this.layout.descriptors + 16 * index;
  }

  private isAvailable({ index, wrap }: Place): boolean {
    const flags = this.u16(this.at(index) + 14);
    return ((flags & F_AVAIL) !== 0) === wrap && ((flags & F_USED) !== 0) !== wrap;
  }

  nextPlace(): number {
    let place: Place = this.nextAvail;
    while (this.isAvailable(place)) place = this.moved(place, 1);
    return place.index | (place.wrap ? 0x8000 : 0);
  }

  /** The driver's event suppression. */
  get driverEvent(): { flags: number; index: number; wrap: boolean } {
    const off = this.u16(this.layout.driver);
    return { flags: this.u16(this.layout.driver + 2), index: off & 0x7fff, wrap: off >= 0x8000 };
  }

  private checkAreas(): void {
    const { flags } = this.driverEvent;
    this.demand(flags <= (this.eventIdx ? DESC : DISABLE), `2.8.10: driver event flags ${flags}`);
    this.demand(
      this.view.getUint32(this.layout.device, true) === this.event,
      '2.8.10: the driver wrote the device area',
    );
  }

  take(): Chain | null {
    this.checkAreas();
    if (!this.isAvailable(this.nextAvail)) return null;
    const segments: Segment[] = [];
    const parts: string[] = [];
    let place: Place = this.nextAvail;
    let id = 0;
    let places = 0;
    for (let more = true; more; ) {
      const at = this.at(place.index);
      const flags = this.u16(at + 14);
      const isIndirect = (flags & F_INDIRECT) !== 0;
      const extra = flags & ~(F_NEXT | F_WRITE | F_INDIRECT | F_AVAIL | F_USED);
      this.demand(extra === 0, `2.8.19: descriptor ${place.index} has flags ${flags}`);
      this.demand(this.isAvailable(place), `2.8.17: descriptor ${place.index} of a list is not available`);
      parts.push(this.hex(at));
      if (isIndirect) {
        this.demand(places === 0, '2.8.19: an indirect descriptor in a list');
        const table = this.tableAt(at, flags & ~(F_AVAIL | F_USED));
        for (let i = 0; i < table.count; i++) {
          const entry = table.at + 16 * i;
          parts.push(this.hex(entry));
          segments.push(this.segmentAt(entry, this.u16(entry + 14), segments.at(-1)));
        }
      } else {
        segments.push(this.segmentAt(at, flags, segments.at(-1)));
      }
      places++;
      id = this.u16(at + 12);
      more = (flags & F_NEXT) !== 0 && places < this.layout.size;
      this.demand((flags & F_NEXT) === 0 || more, '2.8.17: the descriptor list is a loop');
      place = this.moved(place, 1);
    }
    this.taken += places;
    this.demand(this.taken - this.used <= this.layout.size, '2.8.17: more descriptors are available than there are');
    Object.assign(this.nextAvail, place);
    this.demand(!this.held.has(id), `3.3.1: buffer id ${id} is made available twice`);
    this.checkDirection(segments);
    const chain = { id, segments, places, snapshot: parts.join() };
    this.held.set(id, chain);
    return chain;
  }

  use(chain: Chain, written: number): void {
    this.held.delete(chain.id);
    this.writeUsed(this.nextUsed, chain.id, written);
    this.skip(chain.places);
  }

  /** Uses chains as a device may that writes them in any order and shows them at once: the first one last (2.8.12). */
  useTogether(chains: readonly Chain[], written: number): void {
    const places = chains.map((chain) => {
      const place = { ...this.nextUsed };
      this.held.delete(chain.id);
      this.skip(chain.places);
      return place;
    });
    for (let i = chains.length - 1; i >= 0; i--) this.writeUsed(places[i]!, chains[i]!.id, written);
  }

  /** Uses chains that were taken one after the other with one descriptor, as a device may with IN_ORDER (2.8.8). */
  useBatch(chains: readonly Chain[]): void {
    for (const chain of chains) this.held.delete(chain.id);
    this.writeUsed(this.nextUsed, chains.at(-1)!.id, 0);
    this.skip(chains.reduce((sum, chain) => sum + chain.places, 0));
  }

  pushUsed(id: number, written: number): void {
    this.writeUsed(this.nextUsed, id & 0xffff, written);
    this.skip(1);
  }

  private skip(count: number): void {
    this.used += count;
    Object.assign(this.nextUsed, this.moved(this.nextUsed, count));
  }

  private writeUsed({ index, wrap }: Place, id: number, written: number): void {
    const at = this.at(index);
    this.view.setUint32(at + 8, written, true);
    this.view.setUint16(at + 12, id, true);
    this.view.setUint16(at + 14, (wrap ? F_AVAIL | F_USED : 0) | (written > 0 ? F_WRITE : 0), true);
  }

  setNotify(wanted: boolean): void {
    this.setEvent(wanted ? ENABLE : DISABLE, this.nextAvail);
  }

  /** What the device wants to be notified of: flags, and with DESC (2.8.10) the descriptor. */
  setEvent(flags: number, { index, wrap }: Place = { index: 0, wrap: false }): void {
    this.event = (index | (wrap ? 0x8000 : 0) | (flags << 16)) >>> 0;
    this.view.setUint32(this.layout.device, this.event, true);
  }

  /** Whether the driver wants an interrupt for `count` descriptors used from `from` on, one by one. */
  wantsInterrupt(from: Place, count: number): boolean {
    const { flags, index, wrap } = this.driverEvent;
    if (flags !== DESC) return flags === ENABLE;
    for (let i = 0; i < count; i++) {
      const place = this.moved(from, i);
      if (place.index === index && place.wrap === wrap) return true;
    }
    return false;
  }

  /** Whether this device wants a notification of `count` descriptors made available from `from` on, one by one. */
  wantsNotification(from: Place, count: number): boolean {
    const flags = this.event >>> 16;
    if (flags !== DESC || !this.eventIdx) return flags !== DISABLE;
    for (let i = 0; i < count; i++) {
      const place = this.moved(from, i);
      if ((place.index | (place.wrap ? 0x8000 : 0)) === (this.event & 0xffff)) return true;
    }
    return false;
  }
}
