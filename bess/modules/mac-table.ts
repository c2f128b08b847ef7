/**
 * Maps MAC addresses to gates: a hash table in typed arrays with open addressing and linear probing, at most half full.
 *
 * BESS has a bucketed cuckoo hash (l2_forward.cc). With its default of four slots per bucket, BESS adds addresses that
 * share a bucket without an error, but never finds them. There, an address of zeros also matches an empty slot. This
 * table has neither fault.
 *
 * An address is two little-endian integers: octets 0 to 3 (`head`, signed 32 bits), and octets 4 and 5 (`tail`).
 */

/** A used slot holds the gate (15 bits, as in BESS) and this bit. An empty slot is 0. */
const OCCUPIED = 0x8000;
const GATE_MASK = 0x7fff;
const FIRST_SLOTS = 64;

/** Returned by {@link MacTable.find} for an address that is not in the table. */
export const NOT_FOUND = -1;

function hash(head: number, tail: number): number {
  let h = Math.imul(head ^ Math.imul(tail, 0x9e3779b1), 0x85ebca6b);
  h ^= h >>> 15;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 13);
}

export class MacTable {
  private heads = new Int32Array(FIRST_SLOTS);
  private tails = new Uint16Array(FIRST_SLOTS);
  private slots = new Uint16Array(FIRST_SLOTS);
  private mask = FIRST_SLOTS - 1;
  private used = 0;

  /** @param capacity the most addresses that the table takes; it allocates memory as addresses are added */
  constructor(readonly capacity: number) {}

  /** Number of addresses in the table. */
  get size(): number {
    return this.used;
  }

  /** Returns the gate of an address, or {@link NOT_FOUND}. */
  find(head: number, tail: number): number {
    const slot = this.slots[this.locate(head, tail)];
    return slot === 0 ? NOT_FOUND : slot & GATE_MASK;
  }

  /** Calls `visit` for every address, in no order, until it returns false. */
  visit(visit: (head: number, tail: number, gate: number) => boolean): void {
    for (let i = 0; i < this.slots.length; i++) {
      if (this.slots[i] !== 0 && !visit(this.heads[i], this.tails[i], this.slots[i] & GATE_MASK)) return;
    }
  }

  /** Adds an address that is not in the table. Keeps 15 bits of the gate. Returns false when the table is full. */
  add(head: number, tail: number, gate: number): boolean {
    if (this.used >= this.capacity) return false;
    if ((this.used + 1) * 2 > this.slots.length) this.grow();
    this.insert(head, tail, (gate & GATE_MASK) | OCCUPIED);
    this.used++;
    return true;
  }

  /** Removes an address. Returns false if it was not in the table. */
  delete(head: number, tail: number): boolean {
    let hole = this.locate(head, tail);
    if (this.slots[hole] === 0) return false;
    // A search ends at the first empty slot, so the hole must not part an entry from its own slot. Move such entries
    // back.
    for (let i = (hole + 1) & this.mask; this.slots[i] !== 0; i = (i + 1) & this.mask) {
      const home = hash(this.heads[i], this.tails[i]) & this.mask;
      if (((i - home) & this.mask) < ((i - hole) & this.mask)) continue;
      this.heads[hole] = this.heads[i];
      this.tails[hole] = this.tails[i];
      this.slots[hole] = this.slots[i];
      hole = i;
    }
    this.slots[hole] = 0;
    this.used--;
    return true;
  }

  /** Returns the slot that holds the address, or the empty slot that it would get. */
  private locate(head: number, tail: number): number {
    const mask = this.mask;
    let i = hash(head, tail) & mask;
    while (this.slots[i] !== 0 && (this.heads[i] !== head || this.tails[i] !== tail)) i = (i + 1) & mask;
    return i;
  }

  private insert(head: number, tail: number, slot: number): void {
    const i = this.locate(head, tail);
    this.heads[i] = head;
    this.tails[i] = tail;
    this.slots[i] = slot;
  }

  private grow(): void {
    const { heads, tails, slots } = this;
    const size = slots.length * 2;
    this.heads = new Int32Array(size);
    this.tails = new Uint16Array(size);
    this.slots = new Uint16Array(size);
    this.mask = size - 1;
    for (let i = 0; i < slots.length; i++) {
      if (slots[i] !== 0) this.insert(heads[i], tails[i], slots[i]);
    }
  }
}
