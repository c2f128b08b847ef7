/**
 * IPv4 neighbours (RFC 826: who has which hardware address) in shared memory: one thread writes, any number read and
 * never block. Here is the table alone. The layer-2 layer decides when to ask, how to back off, when entries age and who
 * is given up when the table is full.
 *
 * Consistency without Atomics on the readers' path: an entry is six words, each 16 bits of payload under a 16-bit tag
 * that grows with every write of the entry.
 *
 *     word 0   1        2         3 4 5         6             7
 *     state    IP low   IP high   MAC as u16s   confirmedAt   knownFor       (6 and 7: no tag, for the writer)
 *
 * Integer elements of a typed array never tear, so six equal tags mean six payloads of one write, in whatever order the
 * processor or the compiler made the loads: on arm64 a seqlock would need a fence here that JavaScript does not have. (A
 * reader would have to sleep through a multiple of 65536 writes of one entry to be deceived.) MACs are u16s in memory order,
 * little-endian as virtio machines are: three stores put one into a frame. A lookup takes ~5 ns.
 *
 * Open addressing with linear probing. An entry lies in the first slot that was vacant, from its home slot on, and never
 * moves. A search goes from the home slot to the entry, or to the first FREE slot. Two rules make that right for a reader
 * at any moment:
 *
 * - All slots between an entry's home and the entry are in use or REMOVED for as long as the entry lives. So a reader
 *   cannot miss an entry that is there.
 * - A REMOVED slot becomes FREE only when the slot behind it is FREE. A search that passes the slot would end at the next
 *   one anyway, so nobody is cut off, and removed entries do not make searches longer for ever.
 *
 * No slot is reserved for anybody: as long as fewer than `capacity` entries are there, a new one finds a slot, wherever its
 * home is. The home slot depends on a secret key, so nobody outside can choose addresses that share one. There are four
 * slots for an entry: a search takes one or two steps, and four on average where entries of a full table came and went for long.
 */

/** Of an entry; FREE also says that there is none. RFC 4861, 7.3.2 has the names. A neighbour being asked for has no entry. */
export const NeighbourState = {
  FREE: 0,
  /** Of a lookup, not of an entry: the writer was interrupted while it wrote the entry. Look again later. */
  BUSY: 1,
  REACHABLE: 2,
  /** Not confirmed for long: usable, but to be asked again. */
  STALE: 3,
  /** From the configuration: never ages, never given up, not changed by what is learnt. */
  STATIC: 4,
} as const;

const { FREE, BUSY, REACHABLE, STALE, STATIC } = NeighbourState;
/** Was an entry, can be one again. Unlike FREE it does not end a search: entries may lie behind it. */
const REMOVED = 5;

/** What {@link NeighbourTable.victim} returns when there is nobody to give up. */
export const NOBODY = -1;

const DEFAULT_CAPACITY = 1024;
const MAX_CAPACITY = 65536;
const SLOTS_PER_ENTRY = 4;
const ENTRY_SHIFT = 3;
const ENTRY_BYTES = 4 << ENTRY_SHIFT;
const CONFIRMED_AT = 6;
const KNOWN_FOR = 7;
const MOST_KNOWN_MS = 0x7fff_ffff;
/** Entries of which {@link NeighbourTable.victim} chooses one. */
const SAMPLE = 8;
/** Behind the slots: the key, and nothing else on its cache lines. */
const KEY_BYTES = 128;
/** Reads of an entry before a reader gives up on a writer that was interrupted in the middle of a write. */
const MAX_READS = 64;
/** Two odd multipliers (the golden ratio's, and one of MurmurHash3): each round mixes low bits into high ones. */
const FIRST_MULTIPLIER = 0x9e3779b1;
const SECOND_MULTIPLIER = 0x85ebca6b;
const NO_MAC = new Uint16Array(3);

/**
 * Called for an entry: its address (a.b.c.d = a<<24|b<<16|c<<8|d, unsigned), its MAC (valid during the call), the caller's
 * clock in ms when it was last confirmed, and the ms between its first and its last confirmation.
 */
export type NeighbourVisitor = (
  ip: number,
  state: number,
  mac: Uint16Array,
  confirmedAt: number,
  knownFor: number,
) => void;

/** The readers' side. One instance a thread. */
export class NeighbourReader {
  protected readonly words: Int32Array;
  protected readonly slots: number;
  private readonly hashShift: number;
  /** Chance, below 2^30: V8 keeps it in the object itself. */
  private readonly key: number;
  /** The entry read last: words 0 to 5. */
  private readonly seen = new Int32Array(6);
  /** Where {@link lookup} has found its last MAC, and that entry's first word, tag and state, as it was then. */
  foundAt = 0;
  foundAs = 0;

  /**
   * Attaches to the table at `byteOffset` (a multiple of 4) of `buffer`.
   * @param capacity most entries; the same for all who attach
   * @param newKey set where there is none yet: by the {@link NeighbourTable} that makes the table
   * @throws RangeError where the table cannot lie there, or is none yet
   */
  constructor(
    buffer: SharedArrayBuffer,
    byteOffset: number,
    readonly capacity: number = DEFAULT_CAPACITY,
    newKey = 0,
  ) {
    this.slots = (NeighbourReader.bytesFor(capacity) - KEY_BYTES) / ENTRY_BYTES;
    this.words = new Int32Array(buffer, byteOffset, this.slots << ENTRY_SHIFT);
    this.hashShift = 32 - Math.log2(this.slots);
    const key = new Int32Array(buffer, byteOffset + this.slots * ENTRY_BYTES, 1);
    if (key[0] === 0) Atomics.store(key, 0, newKey);
    this.key = key[0];
    if (this.key === 0) throw new RangeError('no neighbour table there yet: make a NeighbourTable first');
  }

  /** Bytes that a table of `capacity` entries takes; 32 an entry and slot, 128 KiB by default. A multiple of 128. */
  static bytesFor(capacity: number = DEFAULT_CAPACITY): number {
    if (!(Number.isInteger(capacity) && capacity >= 1 && capacity <= MAX_CAPACITY)) {
      throw new RangeError(`neighbour table of ${capacity} entries: possible are 1 to ${MAX_CAPACITY}`);
    }
    return ENTRY_BYTES * 2 ** Math.ceil(Math.log2(capacity * SLOTS_PER_ENTRY)) + KEY_BYTES;
  }

  /**
   * Finds the neighbour `ip` and, where it has a MAC, stores that as `out[at]`, `out[at + 1]`, `out[at + 2]`; `out` may
   * be the frame itself. Otherwise `out` is left alone. Allocates nothing.
   * @param ip a<<24|b<<16|c<<8|d, signed or unsigned; hot paths pass `ip | 0`, which V8 keeps out of the heap
   * @returns its {@link NeighbourState}
   */
  lookup(ip: number, out: Uint16Array, at = 0): number {
    const words = this.words;
    const low = ip & 0xffff;
    const high = ip >>> 16;
    const home = this.homeOf(ip);
    for (let i = 0; i < this.slots; i++) {
      const entry = ((home + i) & (this.slots - 1)) << ENTRY_SHIFT;
      const w0 = words[entry];
      if ((w0 & 0xffff) === FREE) return FREE;
      const w1 = words[entry + 1];
      const w2 = words[entry + 2];
      if ((w1 & 0xffff) !== low || (w2 & 0xffff) !== high) continue;
      const w3 = words[entry + 3];
      const w4 = words[entry + 4];
      const w5 = words[entry + 5];
      if (((w0 ^ w1) | (w0 ^ w2) | (w0 ^ w3) | (w0 ^ w4) | (w0 ^ w5)) >>> 16 !== 0) {
        const settled = this.settle(entry, low, high, out, at);
        if (settled === REMOVED) continue;
        return settled;
      }
      const state = w0 & 0xffff;
      if (state === REMOVED) continue;
      out[at] = w3;
      out[at + 1] = w4;
      out[at + 2] = w5;
      this.foundAt = entry;
      this.foundAs = w0;
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
      visit(ip, state, mac, words[entry + CONFIRMED_AT] >>> 0, words[entry + KNOWN_FOR]);
    }
  }

  /** The slot where a search for `ip` begins. */
  protected homeOf(ip: number): number {
    const mixed = Math.imul(ip ^ this.key, FIRST_MULTIPLIER);
    return Math.imul(mixed ^ (mixed >>> 15), SECOND_MULTIPLIER) >>> this.hashShift;
  }

  /** As {@link lookup}, of one entry that the writer is writing. REMOVED when it turns out to be nobody's, or another's. */
  private settle(entry: number, low: number, high: number, out: Uint16Array, at: number): number {
    if (!this.read(entry)) return BUSY;
    const { seen } = this;
    const state = seen[0] & 0xffff;
    const isVacant = state === FREE || state === REMOVED;
    if (isVacant || (seen[1] & 0xffff) !== low || (seen[2] & 0xffff) !== high) return REMOVED;
    for (let i = 0; i < 3; i++) out[at + i] = seen[3 + i];
    this.foundAt = entry;
    this.foundAs = seen[0];
    return state;
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
  /** The entry at which {@link victim} begins to look. */
  private hand = 0;
  private readonly scratch = new Uint16Array(3);

  /**
   * Makes the table in a region of zeros, or attaches to one that was made.
   * @param key of a new table: where an address begins its search depends on it; 1 to 2^30 - 1, by default chance
   */
  constructor(buffer: SharedArrayBuffer, byteOffset: number, capacity?: number, key = randomKey()) {
    super(buffer, byteOffset, capacity, key);
    this.forEach(() => {
      this.entries++;
    });
  }

  /** How many entries there are. */
  get count(): number {
    return this.entries;
  }

  /** Whether a new entry has no room. */
  get isFull(): boolean {
    return this.entries === this.capacity;
  }

  /**
   * `ip` has the MAC at `mac[at]` to `mac[at + 2]`: REACHABLE as of `nowMs`. A STATIC entry stays as it is. `nowMs` wraps
   * at 2^32.
   * @returns false when it is a new neighbour and the table is full
   */
  confirm(ip: number, mac: Uint16Array, at: number, nowMs: number): boolean {
    return this.put(ip, REACHABLE, mac, at, nowMs);
  }

  /** Sets a STATIC entry. Returns as {@link confirm} does. */
  setStatic(ip: number, mac: Uint16Array, at: number, nowMs: number): boolean {
    return this.put(ip, STATIC, mac, at, nowMs);
  }

  /** A REACHABLE entry becomes STALE; its MAC stays in use. Any other is left alone. */
  markStale(ip: number): void {
    const entry = this.find(ip);
    if (entry === -1 || this.stateAt(entry) !== REACHABLE) return;
    this.lookup(ip, this.scratch);
    this.write(entry, ip, STALE, this.scratch, 0);
  }

  /** Takes `ip` out, STATIC or not. Returns whether it was there. */
  remove(ip: number): boolean {
    const entry = this.find(ip);
    if (entry === -1) return false;
    this.clear(entry);
    return true;
  }

  /**
   * The neighbour to give up for another one. Of {@link SAMPLE} that were last confirmed less than `provenMs` after they
   * became known: the one that became known last. They are a fair sample, since the key scatters the entries. If there are
   * none: of all others, the one that was confirmed longest ago. Never a STATIC one.
   *
   * So whoever was known before many came stays; and of those who came, each stays for about 1/SAMPLE of them.
   * @returns its address, unsigned, or {@link NOBODY}
   */
  victim(nowMs: number, provenMs: number): number {
    const { words } = this;
    let sampled = 0;
    let newest = -1;
    let newestAge = 0;
    let oldest = -1;
    let oldestAge = 0;
    for (let looked = 0; looked < this.slots && sampled < SAMPLE; looked++) {
      const entry = this.hand;
      this.hand = this.behind(entry, 1);
      const state = this.stateAt(entry);
      if (state !== REACHABLE && state !== STALE) continue;
      const age = (nowMs - words[entry + CONFIRMED_AT]) >>> 0;
      const knownFor = words[entry + KNOWN_FOR];
      if (knownFor < provenMs) {
        sampled++;
        if (newest !== -1 && age + knownFor >= newestAge) continue;
        newest = entry;
        newestAge = age + knownFor;
      } else if (oldest === -1 || age > oldestAge) {
        oldest = entry;
        oldestAge = age;
      }
    }
    const victim = newest === -1 ? oldest : newest;
    return victim === -1 ? NOBODY : this.ipAt(victim);
  }

  private put(ip: number, state: number, mac: Uint16Array, at: number, nowMs: number): boolean {
    const { words } = this;
    let entry = this.find(ip);
    if (entry === -1) {
      if (this.isFull) return false;
      entry = this.vacancy(ip);
      this.entries++;
      words[entry + KNOWN_FOR] = 0;
    } else if (this.stateAt(entry) === STATIC && state !== STATIC) {
      return true;
    } else {
      const since = (nowMs - words[entry + CONFIRMED_AT]) >>> 0;
      words[entry + KNOWN_FOR] = Math.min(MOST_KNOWN_MS, words[entry + KNOWN_FOR] + since);
    }
    words[entry + CONFIRMED_AT] = nowMs;
    this.write(entry, ip, state, mac, at);
    return true;
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

  /** Empties an entry; with it, and the REMOVED ones right before it, becomes FREE what need not hold a search any more. */
  private clear(entry: number): void {
    this.entries--;
    if (this.stateAt(this.behind(entry, 1)) !== FREE) {
      this.write(entry, 0, REMOVED, NO_MAC, 0);
      return;
    }
    let last = entry;
    do {
      this.write(last, 0, FREE, NO_MAC, 0);
      last = this.behind(last, -1);
    } while (this.stateAt(last) === REMOVED);
  }

  /** The entry of `ip`, or -1. */
  private find(ip: number): number {
    let entry = this.homeOf(ip) << ENTRY_SHIFT;
    for (let looked = 0; looked < this.slots; looked++) {
      const state = this.stateAt(entry);
      if (state === FREE) return -1;
      if (state !== REMOVED && this.ipAt(entry) === ip >>> 0) return entry;
      entry = this.behind(entry, 1);
    }
    return -1;
  }

  /** The first entry that `ip` could take. There is one: there are more slots than entries. */
  private vacancy(ip: number): number {
    let entry = this.homeOf(ip) << ENTRY_SHIFT;
    for (;;) {
      const state = this.stateAt(entry);
      if (state === FREE || state === REMOVED) return entry;
      entry = this.behind(entry, 1);
    }
  }

  /** The entry so many slots behind another one. */
  private behind(entry: number, slots: number): number {
    return (entry + (slots << ENTRY_SHIFT)) & (this.words.length - 1);
  }

  private stateAt(entry: number): number {
    return this.words[entry] & 0xffff;
  }

  private ipAt(entry: number): number {
    return ((this.words[entry + 2] << 16) | (this.words[entry + 1] & 0xffff)) >>> 0;
  }
}

function randomKey(): number {
  // Not 0, which says that no key is set yet.
  return (crypto.getRandomValues(new Uint32Array(1))[0] >>> 2) | 1;
}
