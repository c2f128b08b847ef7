/**
 * The timers of all connections: a hierarchical timing wheel (Varghese and Lauck, 1987) with ticks of 1 ms.
 *
 * It has 4 levels of 256 slots. A timer lies in the level of the highest byte in which its time differs from the time
 * of the wheel, in the slot of that byte's value. So all timers of a level are due before those of the next level. When
 * the time reaches a slot of a higher level, its timers move to lower levels.
 *
 * A timer that is set to a later time stays in its slot; only its deadline is stored. A timer that is cleared also stays.
 * When the slot is due, the timer moves on or leaves. TCP sets a timer later with almost every segment, so this
 * saves nearly all work on the lists.
 */

/** Called for timers that have expired. */
export interface TimerHandler {
  /** The timer is no longer set. The handler may set and clear any timers. */
  expired(id: number): void;
}

const SLOTS = 256;
const SLOT_MASK = SLOTS - 1;
/** Words of a bitmap of the slots of a level. */
const BITMAP_WORDS = SLOTS >> 5;
const TOP_LEVEL = 3;

// A timer has four words, so that the four timers of a connection share a cache line. Zeros: never set.
const TIMER_SHIFT = 2;
/** When it expires. */
const DEADLINE = 0;
/** The time of the slot that it is in: its deadline at that time. */
const DUE = 1;
/** Bit 0: whether it is set. Above: number of the next timer in the slot plus 1, or 0. */
const NEXT = 2;
/** Number of the previous timer in the slot plus 1; of the first timer -1 - slot; 0 when it is in no slot. */
const PREVIOUS = 3;

export class TimerWheel {
  /** How many timers are set. */
  armed = 0;
  private readonly timers: Int32Array;
  /** Per slot of each level: number of its first timer plus 1, or 0. */
  private readonly heads = new Int32Array(new ArrayBuffer(4 * SLOTS * (TOP_LEVEL + 1)));
  /** Which slots have timers. */
  private readonly bitmap = new Int32Array(new ArrayBuffer(4 * BITMAP_WORDS * (TOP_LEVEL + 1)));
  /** How many timers are in slots. */
  private linked = 0;
  /** No slot is due before this time. Valid when `linked` is not 0. */
  private next = 0;
  /** All slots up to this time have been emptied. */
  private now: number;

  /**
   * @param ids how many timers there are; numbers from 0
   * @param nowMs the time, as {@link advance} has it
   */
  constructor(ids: number, nowMs: number) {
    this.timers = new Int32Array(new ArrayBuffer(4 * (ids << TIMER_SHIFT)));
    this.now = nowMs | 0;
  }

  /**
   * Sets a timer, or sets it to another time.
   * @param deadline int32 milliseconds, at most 2^31 - 1 after the time of the last {@link advance}. A time that has
   *   passed counts as the millisecond after the last `advance`.
   */
  set(id: number, deadline: number): void {
    const timers = this.timers;
    const timer = id << TIMER_SHIFT;
    timers[timer + DEADLINE] = deadline;
    const next = timers[timer + NEXT];
    if ((next & 1) === 0) {
      timers[timer + NEXT] = next | 1;
      this.armed++;
    }
    if (timers[timer + PREVIOUS] !== 0) {
      if (((deadline - timers[timer + DUE]) | 0) >= 0) return;
      this.unlink(timer);
    }
    this.link(id);
  }

  /** Clears a timer. Nothing happens when it is not set. */
  clear(id: number): void {
    const place = (id << TIMER_SHIFT) + NEXT;
    const next = this.timers[place];
    if ((next & 1) === 0) return;
    this.timers[place] = next ^ 1;
    this.armed--;
  }

  isSet(id: number): boolean {
    return (this.timers[(id << TIMER_SHIFT) + NEXT] & 1) !== 0;
  }

  /** The time that the timer was last set to. */
  deadline(id: number): number {
    return this.timers[(id << TIMER_SHIFT) + DEADLINE];
  }

  /**
   * Brings the wheel to a time, and calls the handler for each timer whose deadline has come, in the order of the
   * deadlines. Among timers of one millisecond the order is not defined.
   * @param nowMs int32 milliseconds; an earlier time than before does nothing
   * @returns how many timers expired
   */
  advance(nowMs: number, handler: TimerHandler): number {
    if (this.linked === 0 || ((nowMs - this.next) | 0) < 0) {
      if (((nowMs - this.now) | 0) > 0) this.now = nowMs;
      return 0;
    }
    let expired = 0;
    for (;;) {
      const slot = this.findNext();
      if (slot < 0 || ((nowMs - this.next) | 0) < 0) break;
      this.now = this.next;
      if (slot >= SLOTS) this.cascade(slot);
      expired += this.fire(this.now & SLOT_MASK, handler);
    }
    this.now = nowMs;
    return expired;
  }

  /**
   * How long a caller may sleep before it must call {@link advance}: no timer expires earlier, and perhaps none then.
   * @returns milliseconds, 0 or more; Infinity when no timer is set
   */
  msToNext(nowMs: number): number {
    if (this.armed === 0) return Number.POSITIVE_INFINITY;
    const ms = (this.next - nowMs) | 0;
    return ms > 0 ? ms : 0;
  }

  /** Takes the timers out of a slot whose time is now, and calls the handler for those that have expired. */
  private fire(slot: number, handler: TimerHandler): number {
    const { timers, heads } = this;
    let expired = 0;
    // The handler cannot add to this slot: what it sets is due after `now`.
    for (let first = heads[slot]; first !== 0; first = heads[slot]) {
      const id = first - 1;
      const timer = id << TIMER_SHIFT;
      this.unlink(timer);
      if ((timers[timer + NEXT] & 1) === 0) continue;
      if (((timers[timer + DEADLINE] - this.now) | 0) > 0) {
        this.link(id);
        continue;
      }
      timers[timer + NEXT] = 0;
      this.armed--;
      expired++;
      handler.expired(id);
    }
    return expired;
  }

  /** Moves the timers of a slot of a higher level, whose time is now, to the lower levels. */
  private cascade(slot: number): void {
    const { timers, heads } = this;
    for (let first = heads[slot]; first !== 0; first = heads[slot]) {
      const id = first - 1;
      const timer = id << TIMER_SHIFT;
      this.unlink(timer);
      if ((timers[timer + NEXT] & 1) === 0) continue;
      // `link` would move it to the next millisecond.
      if (((timers[timer + DEADLINE] - this.now) | 0) <= 0) this.put(id, this.now & SLOT_MASK);
      else this.link(id);
    }
  }

  /** Puts a timer that is in no slot into the slot of its deadline. */
  private link(id: number): void {
    const timer = id << TIMER_SHIFT;
    const now = this.now;
    let due = this.timers[timer + DEADLINE];
    if (((due - now) | 0) <= 0) due = (now + 1) | 0;
    this.timers[timer + DUE] = due;
    const level = (31 - Math.clz32(due ^ now)) >> 3;
    const shift = level << 3;
    // The slot is due when all bytes below its own are 0.
    const start = (due >> shift) << shift;
    if (this.linked === 0 || ((start - this.next) | 0) < 0) this.next = start;
    this.put(id, (level << 8) | ((due >>> shift) & SLOT_MASK));
  }

  private put(id: number, slot: number): void {
    const { timers, heads } = this;
    const timer = id << TIMER_SHIFT;
    const first = heads[slot];
    if (first === 0) this.bitmap[slot >> 5] |= 1 << (slot & 31);
    else timers[((first - 1) << TIMER_SHIFT) + PREVIOUS] = id + 1;
    timers[timer + NEXT] = (first << 1) | (timers[timer + NEXT] & 1);
    timers[timer + PREVIOUS] = -1 - slot;
    heads[slot] = id + 1;
    this.linked++;
  }

  /** @param timer offset of the timer's words */
  private unlink(timer: number): void {
    const { timers, heads } = this;
    const next = timers[timer + NEXT] >>> 1;
    const previous = timers[timer + PREVIOUS];
    if (previous > 0) {
      const place = ((previous - 1) << TIMER_SHIFT) + NEXT;
      timers[place] = (next << 1) | (timers[place] & 1);
    } else {
      const slot = -1 - previous;
      heads[slot] = next;
      if (next === 0) this.bitmap[slot >> 5] &= ~(1 << (slot & 31));
    }
    if (next !== 0) timers[((next - 1) << TIMER_SHIFT) + PREVIOUS] = previous;
    timers[timer + NEXT] &= 1;
    timers[timer + PREVIOUS] = 0;
    this.linked--;
  }

  /** Finds the slot that is due first and stores its time in `next`. Returns -1 when all are empty. */
  private findNext(): number {
    if (this.linked === 0) return -1;
    const now = this.now;
    for (let level = 0; level < TOP_LEVEL; level++) {
      const shift = level << 3;
      const index = this.scan(level, ((now >>> shift) & SLOT_MASK) + 1);
      if (index >= 0) {
        // The bytes above are those of the time.
        const above = (now >> (shift + 8)) << (shift + 8);
        this.next = above | (index << shift);
        return (level << 8) | index;
      }
    }
    let index = this.scan(TOP_LEVEL, (now >>> 24) + 1);
    // The highest byte wraps around with the clock.
    if (index < 0) index = this.scan(TOP_LEVEL, 0);
    this.next = index << 24;
    return (TOP_LEVEL << 8) | index;
  }

  /** The first slot of a level from `from` on that has timers, or -1. */
  private scan(level: number, from: number): number {
    if (from >= SLOTS) return -1;
    const base = level * BITMAP_WORDS;
    let word = from >> 5;
    let bits = this.bitmap[base + word] & (-1 << (from & 31));
    while (bits === 0) {
      if (++word === BITMAP_WORDS) return -1;
      bits = this.bitmap[base + word];
    }
    return (word << 5) | (31 - Math.clz32(bits & -bits));
  }
}
