/** The events of a simulation in the order of their times: a binary heap in typed arrays. */

/** Something that events happen to. */
export interface EventTarget {
  /** @param data the number that was given with the event */
  happen(data: number): void;
}

const FIRST_CAPACITY = 64;

/** Events at the same time happen in the order in which they were added, so that a run is the same each time. */
export class EventQueue {
  private times = new Float64Array(FIRST_CAPACITY);
  private orders = new Float64Array(FIRST_CAPACITY);
  private targets = new Int32Array(FIRST_CAPACITY);
  private data = new Int32Array(FIRST_CAPACITY);
  private readonly objects: EventTarget[] = [];
  private count = 0;
  private added = 0;

  /** How many events are still to happen. */
  get size(): number {
    return this.count;
  }

  /** Time of the next event in ms; Infinity when there is none. */
  get nextTime(): number {
    return this.count === 0 ? Number.POSITIVE_INFINITY : this.times[0]!;
  }

  /** Makes a number for a target, for {@link add}. */
  register(target: EventTarget): number {
    return this.objects.push(target) - 1;
  }

  /**
   * @param time in ms
   * @param target a number of {@link register}
   * @param data given to the target
   */
  add(time: number, target: number, data: number): void {
    if (this.count === this.times.length) this.grow();
    const { times, orders } = this;
    const order = this.added++;
    let at = this.count++;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      // A new event has the highest order, so it stays below those of the same time.
      if (times[parent]! <= time) break;
      this.move(parent, at);
      at = parent;
    }
    times[at] = time;
    orders[at] = order;
    this.targets[at] = target;
    this.data[at] = data;
  }

  /** Removes the next event and lets it happen. There must be one. */
  takeNext(): void {
    const target = this.objects[this.targets[0]!]!;
    const data = this.data[0]!;
    this.removeFirst();
    target.happen(data);
  }

  private removeFirst(): void {
    const { times, orders } = this;
    const last = --this.count;
    if (last === 0) return;
    const time = times[last]!;
    const order = orders[last]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      if (child + 1 < last && this.isBefore(child + 1, times[child]!, orders[child]!)) child++;
      if (!this.isBefore(child, time, order)) break;
      this.move(child, at);
      at = child;
    }
    this.move(last, at);
  }

  private isBefore(at: number, time: number, order: number): boolean {
    const other = this.times[at]!;
    return other < time || (other === time && this.orders[at]! < order);
  }

  private move(from: number, to: number): void {
    this.times[to] = this.times[from]!;
    this.orders[to] = this.orders[from]!;
    this.targets[to] = this.targets[from]!;
    this.data[to] = this.data[from]!;
  }

  private grow(): void {
    const capacity = 2 * this.times.length;
    const longer = <T extends Float64Array | Int32Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.times = longer(new Float64Array(capacity), this.times);
    this.orders = longer(new Float64Array(capacity), this.orders);
    this.targets = longer(new Int32Array(capacity), this.targets);
    this.data = longer(new Int32Array(capacity), this.data);
  }
}
