/** The writer's side of the neighbour table. How the table lies in memory, and why readers need no lock: `neighbour-reader.ts`. */
import { CONFIRMED_AT, ENTRY_SHIFT, KNOWN_FOR, NeighbourReader, NeighbourState, REMOVED } from './neighbour-reader.js';

const { FREE, REACHABLE, STALE, STATIC } = NeighbourState;

/** What {@link NeighbourTable.victim} returns when there is nobody to give up. */
export const NOBODY = -1;

const MOST_KNOWN_MS = 0x7fff_ffff;
/** Entries of which {@link NeighbourTable.victim} chooses one. */
const SAMPLE = 8;
const NO_MAC = new Uint16Array(3);

/** The writer's side: one instance in all. It reads, too. */
export class NeighbourTable extends NeighbourReader {
  private entries = 0;
  /** The entry at which {@link victim} begins to look. */
  private hand = 0;

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
    this.setState(entry, STALE);
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
   * Changes the state alone: one store, under the tag that the entry has. A writer that is interrupted here leaves no entry that
   * readers find BUSY, so that a neighbour that is confirmed again and again costs no packet to it.
   */
  private setState(entry: number, state: number): void {
    Atomics.store(this.words, entry, (this.words[entry] & ~0xffff) | state);
  }

  private hasMac(entry: number, mac: Uint16Array, at: number): boolean {
    const { words } = this;
    for (let i = 0; i < 3; i++) if ((words[entry + 3 + i] & 0xffff) !== mac[at + i]) return false;
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
