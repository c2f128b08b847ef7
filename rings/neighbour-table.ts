/**
 * The writer's side of the neighbour table. `neighbour-reader.ts` shows the memory layout and why readers need no lock.
 */
import { CONFIRMED_AT, ENTRY_SHIFT, KNOWN_FOR, NeighbourReader, NeighbourState, REMOVED } from './neighbour-reader.js';

const { FREE, REACHABLE, STALE, STATIC } = NeighbourState;

/** What {@link NeighbourTable.victim} returns when no entry can be given up. */
export const NO_VICTIM = -1;

const MOST_KNOWN_MS = 0x7fff_ffff;
/** Number of entries from which {@link NeighbourTable.victim} chooses. */
const SAMPLE = 8;
const NO_MAC = new Uint16Array(3);

/** Writes the table, and reads it too. There is one instance per table. */
export class NeighbourTable extends NeighbourReader {
  private entries = 0;
  /** The entry at which {@link victim} begins its search. */
  private hand = 0;

  /**
   * Makes the table in a region of zeros, or attaches to an existing table.
   * @param key of a new table, 1 to 2^30 - 1, random by default: it decides where the search for an address begins
   */
  constructor(buffer: SharedArrayBuffer, byteOffset: number, capacity?: number, key = randomKey()) {
    super(buffer, byteOffset, capacity, key);
    this.forEach(() => {
      this.entries++;
    });
  }

  /** Number of entries. */
  get count(): number {
    return this.entries;
  }

  /** Whether there is no room for a new entry. */
  get isFull(): boolean {
    return this.entries === this.capacity;
  }

  /**
   * Records that `ip` has the MAC at `mac[at]` to `mac[at + 2]`: REACHABLE as of `nowMs`. A STATIC entry stays as it
   * is. `nowMs` is in milliseconds and wraps at 2^32.
   * @returns false when `ip` is new and the table is full
   */
  confirm(ip: number, mac: Uint16Array, at: number, nowMs: number): boolean {
    return this.put(ip, REACHABLE, mac, at, nowMs);
  }

  /** Sets a STATIC entry. Returns the same as {@link confirm}. */
  setStatic(ip: number, mac: Uint16Array, at: number, nowMs: number): boolean {
    return this.put(ip, STATIC, mac, at, nowMs);
  }

  /** Makes a REACHABLE entry STALE; its MAC stays in use. Leaves any other entry alone. */
  markStale(ip: number): void {
    const entry = this.find(ip);
    if (entry === -1 || this.stateAt(entry) !== REACHABLE) return;
    this.setState(entry, STALE);
  }

  /** Removes the entry of `ip`, also a STATIC one. Returns whether there was one. */
  remove(ip: number): boolean {
    const entry = this.find(ip);
    if (entry === -1) return false;
    this.clear(entry);
    return true;
  }

  /**
   * Chooses the entry to give up for a new neighbour. It looks at {@link SAMPLE} entries that were last confirmed less
   * than `provenMs` after they became known, and takes the youngest of them. The key scatters the entries, so the
   * sample is fair. If there are no such entries, it takes the entry that was confirmed longest ago. It never takes a
   * STATIC entry.
   *
   * Therefore a neighbour that was known before a flood of new ones stays, and each of the new ones stays while about
   * 1/SAMPLE of the others come.
   * @returns the entry's address, unsigned, or {@link NO_VICTIM}
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
      this.hand = this.slotAfter(entry, 1);
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
    return victim === -1 ? NO_VICTIM : this.ipAt(victim);
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
      if (this.hasMac(entry, mac, at)) {
        words[entry + CONFIRMED_AT] = nowMs;
        this.setState(entry, state);
        return true;
      }
    }
    words[entry + CONFIRMED_AT] = nowMs;
    this.write(entry, ip, state, mac, at);
    return true;
  }

  /**
   * Changes only the state, by one store and under the present tag. If the writer is interrupted here, readers never
   * find the entry BUSY. So a neighbour that is confirmed again and again loses no packet by it.
   */
  private setState(entry: number, state: number): void {
    Atomics.store(this.words, entry, (this.words[entry] & ~0xffff) | state);
  }

  private hasMac(entry: number, mac: Uint16Array, at: number): boolean {
    const { words } = this;
    for (let i = 0; i < 3; i++) if ((words[entry + 3 + i] & 0xffff) !== mac[at + i]) return false;
    return true;
  }

  /** Writes the tagged words of an entry. The Atomics.store at the end also publishes the plain stores. */
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

  /** Empties an entry. Where no search needs them any more, it and the REMOVED slots right before it become FREE. */
  private clear(entry: number): void {
    this.entries--;
    if (this.stateAt(this.slotAfter(entry, 1)) !== FREE) {
      this.write(entry, 0, REMOVED, NO_MAC, 0);
      return;
    }
    let last = entry;
    do {
      this.write(last, 0, FREE, NO_MAC, 0);
      last = this.slotAfter(last, -1);
    } while (this.stateAt(last) === REMOVED);
  }

  /** The entry of `ip`, or -1. */
  private find(ip: number): number {
    let entry = this.homeOf(ip) << ENTRY_SHIFT;
    for (let looked = 0; looked < this.slots; looked++) {
      const state = this.stateAt(entry);
      if (state === FREE) return -1;
      if (state !== REMOVED && this.ipAt(entry) === ip >>> 0) return entry;
      entry = this.slotAfter(entry, 1);
    }
    return -1;
  }

  /** The first slot that `ip` could take. There always is one, because there are more slots than entries. */
  private vacancy(ip: number): number {
    let entry = this.homeOf(ip) << ENTRY_SHIFT;
    for (;;) {
      const state = this.stateAt(entry);
      if (state === FREE || state === REMOVED) return entry;
      entry = this.slotAfter(entry, 1);
    }
  }

  /** The slot `slots` places after another one, around the end of the table. */
  private slotAfter(entry: number, slots: number): number {
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
  // Not 0, which means that no key is set yet.
  return (crypto.getRandomValues(new Uint32Array(1))[0] >>> 2) | 1;
}
