/**
 * IPv4 neighbours (RFC 826: who has which hardware address) in shared memory: one thread writes, any number read and
 * never block. What is here is the table alone; when to ask, how to back off and when entries age is the layer-2 layer's.
 *
 * Consistency without Atomics on the readers' path: an entry is six words, each 16 bits of payload under a 16-bit tag
 * that grows with every write of the entry.
 *
 *     word 0   1        2         3 4 5         6             7
 *     state    IP low   IP high   MAC as u16s   confirmedAt   attempts       (6 and 7: no tag, for the writer)
 *
 * Integer elements of a typed array never tear, so six equal tags mean six payloads of one write, in whatever order the
 * processor or the compiler made the loads: on arm64 a seqlock would need a fence here that JavaScript does not have. (A
 * reader would have to sleep through a multiple of 65536 writes of one entry to be deceived.) MACs are u16s in memory order,
 * little-endian as virtio machines are: three stores put one into a frame. A lookup takes ~8 ns.
 *
 * Open addressing: an entry lies at most {@link WINDOW} slots after its home slot and never moves, so a reader cannot
 * miss one that is there. There are four slots for an entry, so a window is practically never full before the table is.
 */

/** Of an entry; FREE also says that there is none. RFC 4861, 7.3.2 has the names. */
export const NeighbourState = {
  FREE: 0,
  /** Asked for, no answer yet: no MAC. */
  INCOMPLETE: 1,
  REACHABLE: 2,
  /** Not confirmed for long: usable, but to be asked again. */
  STALE: 3,
  /** From the configuration: never ages, never evicted, not changed by what is learnt. */
  STATIC: 4,
} as const;

const { FREE, INCOMPLETE, REACHABLE, STALE, STATIC } = NeighbourState;
/** Was an entry, can be one again. Unlike FREE it does not end a search: entries may lie behind it. */
const REMOVED = 5;

/** Result of an insertion that evicted nobody. */
export const NO_EVICTION = -1;
/** Result of an insertion that failed: the table holds nothing but STATIC entries. */
export const TABLE_FULL = -2;

const DEFAULT_CAPACITY = 1024;
const MAX_CAPACITY = 65536;
const SLOTS_PER_ENTRY = 4;
const ENTRY_SHIFT = 3;
const ENTRY_BYTES = 4 << ENTRY_SHIFT;
const CONFIRMED_AT = 6;
const ATTEMPTS = 7;
/** Slots that one address may lie in. */
const WINDOW = 32;
/** Reads of an entry before a reader gives up on a writer that was interrupted in the middle of a write. */
const MAX_READS = 64;
/** 2^32 / golden ratio: Fibonacci hashing spreads the consecutive addresses of a subnet evenly. */
const HASH_MULTIPLIER = 0x9e3779b1;
const NO_MAC = new Uint16Array(3);

/**
 * Called for an entry: its address (a.b.c.d = a<<24|b<<16|c<<8|d, unsigned), its MAC (all 0 while INCOMPLETE; valid
 * during the call), the caller's clock in ms when it was last confirmed (INCOMPLETE: when it became so), and requests.
 */
export type NeighbourVisitor = (
  ip: number,
  state: number,
  mac: Uint16Array,
  confirmedAt: number,
  attempts: number,
) => void;

/** The readers' side. One instance a thread. */
export class NeighbourReader {
  protected readonly words: Int32Array;
  protected readonly slots: number;
  private readonly hashShift: number;
  /** The entry read last: words 0 to 5. */
  private readonly seen = new Int32Array(6);
  /** Where {@link lookup} has found its last MAC, and that entry's first word, tag and state, as it was then. */
  foundAt = 0;
  foundAs = 0;

  /**
   * Attaches to the table at `byteOffset` (a multiple of 4) of `buffer`. A region of zeros is an empty table.
   * @param capacity most entries; the same for all who attach
   * @throws RangeError where the table cannot lie there
   */
  constructor(
    buffer: SharedArrayBuffer,
    byteOffset: number,
    readonly capacity: number = DEFAULT_CAPACITY,
  ) {
    this.slots = NeighbourReader.bytesFor(capacity) / ENTRY_BYTES;
    this.words = new Int32Array(buffer, byteOffset, this.slots << ENTRY_SHIFT);
    this.hashShift = 32 - Math.log2(this.slots);
  }

  /** Bytes that a table of `capacity` entries takes; 32 an entry and slot, 128 KiB by default. */
  static bytesFor(capacity: number = DEFAULT_CAPACITY): number {
    if (!(Number.isInteger(capacity) && capacity >= 1 && capacity <= MAX_CAPACITY)) {
      throw new RangeError(`neighbour table of ${capacity} entries: possible are 1 to ${MAX_CAPACITY}`);
    }
    return ENTRY_BYTES * Math.max(WINDOW, 2 ** Math.ceil(Math.log2(capacity * SLOTS_PER_ENTRY)));
  }

  /**
   * Finds the neighbour `ip` and, where it has a MAC, stores that as `out[at]`, `out[at + 1]`, `out[at + 2]`; `out` may
   * be the frame itself. Otherwise `out` is left alone. Allocates nothing.
   * @param ip a<<24|b<<16|c<<8|d, signed or unsigned; hot paths pass `ip | 0`, which V8 keeps out of the heap
   * @returns its {@link NeighbourState}; INCOMPLETE also where the writer was interrupted while it wrote the entry
   */
  lookup(ip: number, out: Uint16Array, at = 0): number {
    const words = this.words;
    const seen = this.seen;
    const low = ip & 0xffff;
    const high = ip >>> 16;
    const home = this.homeOf(ip);
    for (let i = 0; i < WINDOW; i++) {
      const entry = ((home + i) & (this.slots - 1)) << ENTRY_SHIFT;
      if ((words[entry] & 0xffff) === FREE) return FREE;
      if ((words[entry + 1] & 0xffff) !== low || (words[entry + 2] & 0xffff) !== high) continue;
      if (!this.read(entry)) return INCOMPLETE;
      const state = seen[0] & 0xffff;
      // The slot may have changed hands meanwhile.
      if (state === REMOVED || (seen[1] & 0xffff) !== low || (seen[2] & 0xffff) !== high) continue;
      if (state === INCOMPLETE) return INCOMPLETE;
      out[at] = seen[3];
      out[at + 1] = seen[4];
      out[at + 2] = seen[5];
      this.foundAt = entry;
      this.foundAs = seen[0];
      return state;
    }
    return FREE;
  }

  /**
   * Whether the entry that was {@link foundAt} and {@link foundAs} has not been written since: the tag in its first word grows
   * with every write. What was looked up then still holds.
   */
  isUnchanged(foundAt: number, foundAs: number): boolean {
    return this.words[foundAt] === foundAs;
  }

  /** Visits all entries, in no order. The writer may change or remove the one that it visits. A slow path. */
  forEach(visit: NeighbourVisitor): void {
    const { words, seen } = this;
    const mac = new Uint16Array(3);
    for (let entry = 0; entry < words.length; entry += 1 << ENTRY_SHIFT) {
      // Most are free, which one word says; whatever is being written there the next visit will find.
      if ((words[entry] & 0xffff) === FREE || !this.read(entry)) continue;
      const state = seen[0] & 0xffff;
      if (state === FREE || state === REMOVED) continue;
      const ip = ((seen[2] << 16) | (seen[1] & 0xffff)) >>> 0;
      for (let i = 0; i < 3; i++) mac[i] = seen[3 + i];
      visit(ip, state, mac, words[entry + CONFIRMED_AT] >>> 0, words[entry + ATTEMPTS]);
    }
  }

  protected homeOf(ip: number): number {
    return Math.imul(ip, HASH_MULTIPLIER) >>> this.hashShift;
  }

  /** Reads an entry into `seen`; false when its words did not come to agree. */
  private read(entry: number): boolean {
    const words = this.words;
    const seen = this.seen;
    for (let tries = 0; tries < MAX_READS; tries++) {
      const w0 = words[entry];
      const w1 = words[entry + 1];
      const w2 = words[entry + 2];
      const w3 = words[entry + 3];
      const w4 = words[entry + 4];
      const w5 = words[entry + 5];
      if (((w0 ^ w1) | (w0 ^ w2) | (w0 ^ w3) | (w0 ^ w4) | (w0 ^ w5)) >>> 16 === 0) {
        seen[0] = w0;
        seen[1] = w1;
        seen[2] = w2;
        seen[3] = w3;
        seen[4] = w4;
        seen[5] = w5;
        return true;
      }
      // Between two tries the compiler must not take the plain loads for unchanged.
      Atomics.load(words, entry);
    }
    return false;
  }
}

/** The writer's side: one instance in all. It reads, too. */
export class NeighbourTable extends NeighbourReader {
  private entries = 0;
  private readonly scratch = new Uint16Array(3);

  constructor(buffer: SharedArrayBuffer, byteOffset: number, capacity?: number) {
    super(buffer, byteOffset, capacity);
    this.forEach(() => {
      this.entries++;
    });
  }

  /** How many entries there are. */
  get count(): number {
    return this.entries;
  }

  /**
   * `ip` has the MAC at `mac[at]` to `mac[at + 2]`: REACHABLE as of `nowMs`, no requests pending. STATIC entries stay as
   * they are. `nowMs` wraps at 2^32.
   * @returns the address evicted to make room, {@link NO_EVICTION} or {@link TABLE_FULL}
   */
  confirm(ip: number, mac: Uint16Array, at: number, nowMs: number): number {
    return this.put(ip, REACHABLE, mac, at, nowMs);
  }

  /** Sets a STATIC entry. Returns as {@link confirm} does. */
  setStatic(ip: number, mac: Uint16Array, at: number, nowMs: number): number {
    return this.put(ip, STATIC, mac, at, nowMs);
  }

  /**
   * `ip` is being resolved from `nowMs` on; what MAC it had is forgotten. STATIC entries stay as they are. Returns as
   * {@link confirm} does.
   */
  markIncomplete(ip: number, nowMs: number): number {
    return this.put(ip, INCOMPLETE, NO_MAC, 0, nowMs);
  }

  /** A REACHABLE entry becomes STALE; its MAC stays in use. Any other is left alone. */
  markStale(ip: number): void {
    const entry = this.find(ip);
    if (entry === -1 || this.stateAt(entry) !== REACHABLE) return;
    this.lookup(ip, this.scratch);
    this.write(entry, ip, STALE, this.scratch, 0);
  }

  /** Counts a request sent for `ip`. Returns how many since it was confirmed or became INCOMPLETE; 0 if not known. */
  recordAttempt(ip: number): number {
    const entry = this.find(ip);
    return entry === -1 ? 0 : ++this.words[entry + ATTEMPTS];
  }

  /** Takes `ip` out, STATIC or not. Returns whether it was there. */
  remove(ip: number): boolean {
    const entry = this.find(ip);
    if (entry === -1) return false;
    this.clear(entry);
    return true;
  }

  private put(ip: number, state: number, mac: Uint16Array, at: number, nowMs: number): number {
    let entry = this.find(ip);
    let evicted = NO_EVICTION;
    if (entry === -1) {
      entry = this.vacancy(ip);
      if (entry === -1 || this.entries === this.capacity) {
        const victim = entry === -1 ? this.oldest(this.homeOf(ip), WINDOW, nowMs) : this.oldest(0, this.slots, nowMs);
        if (victim === -1) return TABLE_FULL;
        evicted = this.ipAt(victim);
        this.clear(victim);
        entry = this.vacancy(ip);
      }
      this.entries++;
    } else if (this.stateAt(entry) === STATIC && state !== STATIC) {
      return NO_EVICTION;
    }
    this.words[entry + CONFIRMED_AT] = nowMs;
    this.words[entry + ATTEMPTS] = 0;
    this.write(entry, ip, state, mac, at);
    return evicted;
  }

  /** Writes the tagged words. The Atomics.store, last, also publishes the plain ones. */
  private write(entry: number, ip: number, state: number, mac: Uint16Array, at: number): void {
    const words = this.words;
    const tag = ((words[entry] >>> 16) + 1) << 16;
    words[entry + 1] = tag | (ip & 0xffff);
    words[entry + 2] = tag | (ip >>> 16);
    words[entry + 3] = tag | mac[at];
    words[entry + 4] = tag | mac[at + 1];
    words[entry + 5] = tag | mac[at + 2];
    Atomics.store(words, entry, tag | state);
  }

  private clear(entry: number): void {
    this.write(entry, 0, REMOVED, NO_MAC, 0);
    this.entries--;
  }

  /** The entry of `ip`, or -1. */
  private find(ip: number): number {
    const home = this.homeOf(ip);
    for (let i = 0; i < WINDOW; i++) {
      const entry = ((home + i) & (this.slots - 1)) << ENTRY_SHIFT;
      const state = this.stateAt(entry);
      if (state === FREE) return -1;
      if (state !== REMOVED && this.ipAt(entry) === ip >>> 0) return entry;
    }
    return -1;
  }

  /** The first entry that `ip` could take, or -1. */
  private vacancy(ip: number): number {
    const home = this.homeOf(ip);
    for (let i = 0; i < WINDOW; i++) {
      const entry = ((home + i) & (this.slots - 1)) << ENTRY_SHIFT;
      const state = this.stateAt(entry);
      if (state === FREE || state === REMOVED) return entry;
    }
    return -1;
  }

  /**
   * Of `count` slots from `first` on, the entry to evict: that with a MAC which was confirmed longest ago; if there is
   * none, the INCOMPLETE one that has waited longest; never a STATIC one. -1 if there is neither.
   */
  private oldest(first: number, count: number, nowMs: number): number {
    let oldest = -1;
    let oldestHasMac = false;
    let oldestAge = -1;
    for (let i = 0; i < count; i++) {
      const entry = ((first + i) & (this.slots - 1)) << ENTRY_SHIFT;
      const state = this.stateAt(entry);
      const hasMac = state === REACHABLE || state === STALE;
      if (!hasMac && (state !== INCOMPLETE || oldestHasMac)) continue;
      const age = (nowMs - this.words[entry + CONFIRMED_AT]) >>> 0;
      if (hasMac === oldestHasMac && age <= oldestAge) continue;
      oldest = entry;
      oldestHasMac = hasMac;
      oldestAge = age;
    }
    return oldest;
  }

  private stateAt(entry: number): number {
    return this.words[entry] & 0xffff;
  }

  private ipAt(entry: number): number {
    return ((this.words[entry + 2] << 16) | (this.words[entry + 1] & 0xffff)) >>> 0;
  }
}
