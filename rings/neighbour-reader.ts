/**
 * IPv4 neighbours (RFC 826: which address has which MAC) in shared memory. One thread writes (`neighbour-table.ts`);
 * any number of threads read and never block. This file has the memory layout and the readers' side. When to ask, how
 * to back off, when entries age and which one is given up in a full table is decided in `src/link/neighbours`.
 *
 * Readers get consistent entries without Atomics: an entry is six words, each with 16 bits of payload below a 16-bit
 * tag. The tag grows with every write that changes more than the state.
 *
 *     word 0   1        2         3 4 5         6             7
 *     state    IP low   IP high   MAC as u16s   confirmedAt   knownFor       (6 and 7 have no tag: the writer's own)
 *
 * Integer elements of a typed array never tear. Six equal tags therefore mean six payloads of the same write, in
 * whatever order the processor or the compiler made the loads. (On arm64 a seqlock would need a fence here that
 * JavaScript does not have. A reader would have to sleep through a multiple of 65536 writes of one entry to be
 * deceived.) The MAC is stored as u16s in memory order, little-endian as virtio machines are, so that three stores put
 * it into a frame. A lookup takes about 5 ns.
 *
 * The table uses open addressing with linear probing. A new entry takes the first vacant slot, beginning at its home
 * slot, and never moves. A search goes from the home slot to the entry, or to the first FREE slot. Two rules keep this
 * correct for a reader at any moment:
 *
 * - All slots between an entry's home and the entry are in use or REMOVED for as long as the entry lives. A reader
 *   therefore cannot miss an entry.
 * - A REMOVED slot becomes FREE only when the slot after it is FREE. A search that passes the slot would end at the
 *   next one anyway, so no entry is cut off, and removed entries do not lengthen searches for ever.
 *
 * No slot is reserved for an address: as long as there are fewer than `capacity` entries, a new one finds a slot,
 * wherever its home is. The home slot depends on a secret key, so nobody outside can choose addresses that share one.
 * There are four slots per entry: a search takes one or two steps, or four on average in a full table with many
 * additions and removals.
 */

/** States of an entry, named as in RFC 4861, 7.3.2. A neighbour that is still being asked for has no entry. */
export const NeighbourState = {
  /** There is no entry. */
  FREE: 0,
  /** Result of a lookup only: the writer was interrupted while it changed the MAC. Look again later. */
  BUSY: 1,
  REACHABLE: 2,
  /** Not confirmed for a long time: usable, but to be asked again. */
  STALE: 3,
  /** From the configuration: never ages, is never given up, and is not changed by what is learnt. */
  STATIC: 4,
} as const;

const { FREE, BUSY } = NeighbourState;
/**
 * State of a slot that had an entry and can have one again. Unlike FREE it does not end a search: entries may follow.
 */
export const REMOVED = 5;

const DEFAULT_CAPACITY = 1024;
const MAX_CAPACITY = 65536;
const SLOTS_PER_ENTRY = 4;
export const ENTRY_SHIFT = 3;
const ENTRY_BYTES = 4 << ENTRY_SHIFT;
export const CONFIRMED_AT = 6;
export const KNOWN_FOR = 7;
/** The key lies after the slots, on cache lines of its own. */
const KEY_BYTES = 128;
/** How often a reader reads an entry before it gives up on a writer that was interrupted during a write. */
const MAX_READS = 64;
/** Two odd multipliers (of the golden ratio, and from MurmurHash3): each round mixes low bits into high ones. */
const FIRST_MULTIPLIER = 0x9e3779b1;
const SECOND_MULTIPLIER = 0x85ebca6b;

/**
 * Called for each entry, with its address (a.b.c.d = a<<24|b<<16|c<<8|d, unsigned), its MAC (valid during the call),
 * the writer's clock in ms when the entry was last confirmed, and the ms between its first and its last confirmation.
 */
export type NeighbourVisitor = (
  ip: number,
  state: number,
  mac: Uint16Array,
  confirmedAt: number,
  knownFor: number,
) => void;

/** The readers' side; one instance per thread. */
export class NeighbourReader {
  protected readonly words: Int32Array;
  protected readonly slots: number;
  private readonly hashShift: number;
  /** Random, below 2^30, so that V8 keeps it as a small integer. */
  private readonly key: number;
  /** Words 0 to 5 of the entry that was read last. */
  private readonly seen = new Int32Array(6);
  /** Where {@link lookup} found its last MAC, and that entry's first word (tag and state) at that time. */
  foundAt = 0;
  foundAs = 0;

  /**
   * Attaches to the table at `byteOffset` (a multiple of 4) of `buffer`.
   * @param capacity largest number of entries; the same for all threads that attach
   * @param newKey set when the table has no key yet: by the NeighbourTable that makes the table
   * @throws RangeError when the table does not fit there, or is not made yet
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
    if (this.key === 0) throw new RangeError('there is no neighbour table yet: make a NeighbourTable first');
  }

  /** Bytes that a table of `capacity` entries takes: 32 per slot, 128 KiB by default. A multiple of 128. */
  static bytesFor(capacity: number = DEFAULT_CAPACITY): number {
    if (!(Number.isInteger(capacity) && capacity >= 1 && capacity <= MAX_CAPACITY)) {
      throw new RangeError(`neighbour table of ${capacity} entries: it can have 1 to ${MAX_CAPACITY}`);
    }
    return ENTRY_BYTES * 2 ** Math.ceil(Math.log2(capacity * SLOTS_PER_ENTRY)) + KEY_BYTES;
  }

  /**
   * Finds the neighbour `ip`. If it has a MAC, stores the MAC as `out[at]`, `out[at + 1]`, `out[at + 2]`; `out` may be
   * the frame itself. Otherwise leaves `out` alone. Allocates nothing.
   * @param ip a<<24|b<<16|c<<8|d, signed or unsigned; hot paths pass `ip | 0`, which V8 keeps out of the heap
   * @returns the neighbour's {@link NeighbourState}
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
   * Whether the entry with {@link foundAt} and {@link foundAs} still has the MAC and the state that were looked up: the
   * tag in its first word grows with every write that changes more than the state.
   */
  isUnchanged(foundAt: number, foundAs: number): boolean {
    return this.words[foundAt] === foundAs;
  }

  /** Visits all entries, in no particular order. The writer may change or remove the entry that it visits. Slow. */
  forEach(visit: NeighbourVisitor): void {
    const { words, seen } = this;
    const mac = new Uint16Array(3);
    for (let entry = 0; entry < words.length; entry += 1 << ENTRY_SHIFT) {
      // One word says that an entry is free, as most are. An entry that is being written now is found by the next
      // visit.
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

  /**
   * As {@link lookup}, for an entry that is being written. Returns REMOVED when the entry is vacant or another
   * address's.
   */
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

  /** Reads an entry into `seen`; false when its tags did not become equal. */
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
      // Between two attempts, so that the compiler does not assume that the plain loads return the same again.
      Atomics.load(words, entry);
    }
    return false;
  }
}
