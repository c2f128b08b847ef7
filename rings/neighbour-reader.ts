/**
 * IPv4 neighbours (RFC 826: who has which hardware address) in shared memory: one thread writes (`neighbour-table.ts`), any
 * number read and never block. Here is how the table lies in memory, and its readers. The layer-2 layer decides when to ask, how to back off, when entries age and who
 * is given up when the table is full.
 *
 * Consistency without Atomics on the readers' path: an entry is six words, each 16 bits of payload under a 16-bit tag
 * that grows with every write of more than the state.
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
  /** Of a lookup, not of an entry: the writer was interrupted while it changed the MAC. Look again later. */
  BUSY: 1,
  REACHABLE: 2,
  /** Not confirmed for long: usable, but to be asked again. */
  STALE: 3,
  /** From the configuration: never ages, never given up, not changed by what is learnt. */
  STATIC: 4,
} as const;

const { FREE, BUSY } = NeighbourState;
/** Of a slot that was an entry, and can be one again. Unlike FREE it does not end a search: entries may lie behind it. */
export const REMOVED = 5;

const DEFAULT_CAPACITY = 1024;
const MAX_CAPACITY = 65536;
const SLOTS_PER_ENTRY = 4;
export const ENTRY_SHIFT = 3;
const ENTRY_BYTES = 4 << ENTRY_SHIFT;
export const CONFIRMED_AT = 6;
export const KNOWN_FOR = 7;
/** Behind the slots: the key, and nothing else on its cache lines. */
const KEY_BYTES = 128;
/** Reads of an entry before a reader gives up on a writer that was interrupted in the middle of a write. */
const MAX_READS = 64;
/** Two odd multipliers (the golden ratio's, and one of MurmurHash3): each round mixes low bits into high ones. */
const FIRST_MULTIPLIER = 0x9e3779b1;
const SECOND_MULTIPLIER = 0x85ebca6b;

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
   * @param newKey set where there is none yet: by the NeighbourTable that makes the table
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
   * Whether the entry that was {@link foundAt} and {@link foundAs} has the same MAC and state: the tag in its first word grows with
   * every write of more than the state. What was looked up then still holds.
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
