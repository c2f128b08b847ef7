/**
 * Finds the connection of a segment: a hash table with open addressing and linear probing, at most half full. The hash
 * is keyed, so that a peer cannot choose ports that make it slow. Removal moves the entries behind back (Knuth, volume
 * 3, 6.4, algorithm R), so that no marks of removed entries are left that would make searches longer.
 *
 * The table grows with the most flows that it had at once. The flows of new connections are all over the table, so a
 * table for many thousands would be out of the caches for a few hundred, too.
 */
import { HalfSipHash } from '../../hash/half-siphash.js';

/** What {@link FlowTable.find} returns for an unknown flow. */
export const NO_FLOW = -1;

/** Slots of a new table, if its capacity needs so many. */
const FIRST_SLOTS = 1 << 10;
/** The table doubles up to so many slots, and then has all: moving all flows then takes a millisecond, once. */
const LAST_DOUBLING = 1 << 16;

// Words of a slot.
const SLOT_WORDS = 3;
const REMOTE = 0;
const PORTS = 1;
/** The complement of the value: 0 is NO_FLOW, so that a new table is empty without being written. */
const VALUE = 2;

/**
 * A flow is a remote address and `ports`, which is (local port << 16) | remote port, both int32. Its value is an int32
 * other than {@link NO_FLOW}: the number of a row, or -2 - n for entry n of the TIME_WAIT table.
 */
export class FlowTable {
  /** How many flows it holds. */
  size = 0;
  private slots: Int32Array;
  private mask: number;
  /** How many slots the capacity needs. */
  private readonly most: number;
  private readonly hash: HalfSipHash;

  /**
   * @param capacity most flows it holds
   * @param key two random words
   */
  constructor(
    readonly capacity: number,
    key: Int32Array,
  ) {
    let slots = 2;
    while (slots < capacity * 2) slots *= 2;
    this.most = slots;
    this.mask = Math.min(slots, FIRST_SLOTS) - 1;
    this.slots = emptySlots(this.mask + 1);
    this.hash = new HalfSipHash(key);
  }

  /** The value of a flow, or {@link NO_FLOW}. */
  find(remote: number, ports: number): number {
    return ~this.slots[this.place(remote, ports) + VALUE];
  }

  /**
   * Adds a flow.
   * @returns false when the table is full or has the flow already; the table is unchanged then
   */
  insert(remote: number, ports: number, value: number): boolean {
    if (this.size >= this.capacity) return false;
    let at = this.place(remote, ports);
    if (this.slots[at + VALUE] !== 0) return false;
    if (this.size * 2 > this.mask) {
      this.grow();
      at = this.place(remote, ports);
    }
    const { slots } = this;
    slots[at + REMOTE] = remote;
    slots[at + PORTS] = ports;
    slots[at + VALUE] = ~value;
    this.size++;
    return true;
  }

  /**
   * Gives a flow another value.
   * @returns false when the table does not have the flow
   */
  replace(remote: number, ports: number, value: number): boolean {
    const at = this.place(remote, ports);
    if (this.slots[at + VALUE] === 0) return false;
    this.slots[at + VALUE] = ~value;
    return true;
  }

  /** Removes a flow. Returns false when the table does not have it. */
  remove(remote: number, ports: number): boolean {
    const at = this.place(remote, ports);
    if (this.slots[at + VALUE] === 0) return false;
    this.empty(at);
    return true;
  }

  /** Removes a flow, if it has this value. */
  removeValue(remote: number, ports: number, value: number): void {
    const at = this.place(remote, ports);
    if (this.slots[at + VALUE] === ~value) this.empty(at);
  }

  /** Empties the slot at `at`, which has a flow. */
  private empty(at: number): void {
    const { slots, mask } = this;
    let hole = at;
    let holeSlot = (hole / SLOT_WORDS) | 0;
    for (let slot = (holeSlot + 1) & mask; ; slot = (slot + 1) & mask) {
      const next = slot * SLOT_WORDS;
      if (slots[next + VALUE] === 0) break;
      // An entry may move into the hole unless that lies before the slot where its search begins.
      const home = this.hash.hash(slots[next + REMOTE], slots[next + PORTS]);
      if (((slot - home) & mask) < ((slot - holeSlot) & mask)) continue;
      slots[hole + REMOTE] = slots[next + REMOTE];
      slots[hole + PORTS] = slots[next + PORTS];
      slots[hole + VALUE] = slots[next + VALUE];
      hole = next;
      holeSlot = slot;
    }
    slots[hole + VALUE] = 0;
    this.size--;
  }

  /** Moves all flows into a larger table. */
  private grow(): void {
    const from = this.slots;
    const slots = this.mask + 1;
    this.mask = (slots < LAST_DOUBLING ? Math.min(slots * 2, this.most) : this.most) - 1;
    this.slots = emptySlots(this.mask + 1);
    const to = this.slots;
    for (let old = 0; old < from.length; old += SLOT_WORDS) {
      if (from[old + VALUE] === 0) continue;
      const at = this.place(from[old + REMOTE], from[old + PORTS]);
      to[at + REMOTE] = from[old + REMOTE];
      to[at + PORTS] = from[old + PORTS];
      to[at + VALUE] = from[old + VALUE];
    }
  }

  /** Offset of the slot that has the flow, or of the empty slot where it would be. */
  private place(remote: number, ports: number): number {
    const { slots, mask } = this;
    let slot = this.hash.hash(remote, ports) & mask;
    for (;;) {
      const at = slot * SLOT_WORDS;
      if (slots[at + VALUE] === 0 || (slots[at + REMOTE] === remote && slots[at + PORTS] === ports)) return at;
      slot = (slot + 1) & mask;
    }
  }
}

function emptySlots(count: number): Int32Array {
  return new Int32Array(new ArrayBuffer(4 * count * SLOT_WORDS));
}
