/**
 * Finds the connection of a segment: a hash table with open addressing and linear probing, at most half full. The hash
 * is keyed, so that a peer cannot choose ports that make it slow. Removal moves the entries behind back (Knuth, volume
 * 3, 6.4, algorithm R), so that no marks of removed entries are left that would make searches longer.
 */
import { HalfSipHash } from '../../hash/half-siphash.js';

/** What {@link FlowTable.find} returns for an unknown flow. */
export const NO_FLOW = -1;

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
  private readonly slots: Int32Array;
  private readonly mask: number;
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
    this.slots = new Int32Array(new ArrayBuffer(4 * slots * SLOT_WORDS));
    this.mask = slots - 1;
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
    const slots = this.slots;
    const at = this.place(remote, ports);
    if (slots[at + VALUE] !== 0) return false;
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
    const { slots, mask } = this;
    let hole = this.place(remote, ports);
    if (slots[hole + VALUE] === 0) return false;
    let holeSlot = (hole / SLOT_WORDS) | 0;
    for (let slot = (holeSlot + 1) & mask; ; slot = (slot + 1) & mask) {
      const at = slot * SLOT_WORDS;
      if (slots[at + VALUE] === 0) break;
      // An entry may move into the hole unless that lies before the slot where its search begins.
      const home = this.hash.hash(slots[at + REMOTE], slots[at + PORTS]);
      if (((slot - home) & mask) < ((slot - holeSlot) & mask)) continue;
      slots[hole + REMOTE] = slots[at + REMOTE];
      slots[hole + PORTS] = slots[at + PORTS];
      slots[hole + VALUE] = slots[at + VALUE];
      hole = at;
      holeSlot = slot;
    }
    slots[hole + VALUE] = 0;
    this.size--;
    return true;
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
