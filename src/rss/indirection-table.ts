/**
 * Which core gets which hash: 128 entries in shared memory, chosen by the low 7 bits of the hash (Microsoft's
 * "indirection table"; DPDK's RETA). Any control thread writes it; the Rx worker reads it with plain loads. No thread
 * waits for another.
 *
 * **What a change may reorder.** When the entry of a flow changes, packets that are queued at the old core stay there;
 * later ones go to the new core. No packet is lost. Packets of one flow at one core stay in order. But until the old
 * core has emptied its queue, the last packets there and the first ones at the new core may be handled at the same
 * time. A user who cannot accept that empties the queue of the old core first.
 *
 * Each entry changes atomically, but the table does not: while {@link IndirectionTable.set} runs, some entries are old
 * and some new.
 */
import { ArgumentError } from '../errors.js';

export const INDIRECTION_ENTRIES = 128;
const HASH_MASK = INDIRECTION_ENTRIES - 1;
/** Unused bytes before and after the entries, so that no word that is often written shares a cache line with them. */
const LINE_BYTES = 128;
const MAX_CORES = 65536;

/** What another thread needs to read or change the table; structured-cloneable. */
export interface IndirectionTableShare {
  readonly buffer: SharedArrayBuffer;
  readonly cores: number;
}

/** Which core gets which flows: an entry per value of the low 7 bits of the hash. */
export class IndirectionTable {
  private readonly entries: Uint16Array;

  private constructor(
    private readonly buffer: SharedArrayBuffer,
    /** How many cores there are: entries are 0 to `cores - 1`. */
    readonly cores: number,
  ) {
    this.entries = new Uint16Array(buffer, LINE_BYTES, INDIRECTION_ENTRIES);
  }

  /**
   * Makes a table whose entries go round all cores: 0, 1, 2, … 0, 1, …
   * @throws ArgumentError when `cores` is not a whole number from 1 to 65536
   */
  static create(cores: number): IndirectionTable {
    if (!(Number.isInteger(cores) && cores >= 1 && cores <= MAX_CORES)) {
      throw new ArgumentError(`an indirection table for ${cores} cores: possible are 1 to ${MAX_CORES}`);
    }
    const buffer = new SharedArrayBuffer(LINE_BYTES + INDIRECTION_ENTRIES * 2 + LINE_BYTES);
    const table = new IndirectionTable(buffer, cores);
    for (let entry = 0; entry < INDIRECTION_ENTRIES; entry++) table.entries[entry] = entry % cores;
    return table;
  }

  /**
   * What {@link attach} takes, in this thread or another.
   * @internal
   */
  share(): IndirectionTableShare {
    return { buffer: this.buffer, cores: this.cores };
  }

  /** The same table in another thread. */
  static attach({ buffer, cores }: IndirectionTableShare): IndirectionTable {
    return new IndirectionTable(buffer, cores);
  }

  /** The core for a hash, signed or unsigned. A plain load, for the Rx loop. */
  coreOf(hash: number): number {
    return this.entries[hash & HASH_MASK];
  }

  /** A copy of the 128 entries as they are now. */
  get(): number[] {
    return Array.from(this.entries);
  }

  /**
   * Replaces all entries. Packets that are queued stay at their old core, so packets of a flow that changes its core
   * may overtake each other; none is lost. Two threads that call this at the same time leave a mixture.
   * @param entries 128 numbers of cores
   * @throws ArgumentError, and changes nothing, when there are not 128 entries, or one is not the number of a core
   */
  set(entries: readonly number[]): void {
    if (entries.length !== INDIRECTION_ENTRIES) {
      throw new ArgumentError(`an indirection table has ${INDIRECTION_ENTRIES} entries, found ${entries.length}`);
    }
    entries.forEach((core, entry) => {
      this.checkCore(core, `indirection table: entry ${entry}`);
    });
    // Atomics, so that the compiler does not delay the stores.
    entries.forEach((core, entry) => {
      Atomics.store(this.entries, entry, core);
    });
  }

  /**
   * Gives the entries of `core`, which has failed, to other cores, each to the one that has the fewest entries then.
   * The flows of the other cores stay where they are.
   * @returns how many entries moved
   * @throws ArgumentError, and changes nothing, when `toCores` is empty, contains `core`, or has a number that is not a
   * core
   */
  moveFrom(core: number, toCores: readonly number[]): number {
    this.checkCore(core, 'indirection table: the core to move from');
    if (toCores.length === 0 || toCores.includes(core)) {
      throw new ArgumentError(`indirection table: entries of core ${core} can't move to [${toCores.join(', ')}]`);
    }
    for (const to of toCores) this.checkCore(to, 'indirection table: a core to move to');
    const load = new Map(toCores.map((to) => [to, 0]));
    for (const owner of this.entries) if (load.has(owner)) load.set(owner, load.get(owner)! + 1);
    let moved = 0;
    for (let entry = 0; entry < INDIRECTION_ENTRIES; entry++) {
      if (this.entries[entry] !== core) continue;
      const [to, count] = [...load].reduce((least, other) => (other[1] < least[1] ? other : least));
      Atomics.store(this.entries, entry, to);
      load.set(to, count + 1);
      moved++;
    }
    return moved;
  }

  private checkCore(core: number, what: string): void {
    if (Number.isInteger(core) && core >= 0 && core < this.cores) return;
    throw new ArgumentError(`${what}: ${core} is not a core (there are ${this.cores}, from 0)`);
  }
}
