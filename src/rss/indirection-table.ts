/**
 * Which core gets which hash: 128 entries in shared memory, chosen by the hash's low 7 bits (Microsoft's "indirection
 * table"; DPDK's RETA). Any control thread writes, the Rx thread reads with plain loads, nobody waits.
 *
 * **What a change may reorder.** Packets that are queued at a flow's old core when its entry changes stay there and are
 * delivered by it; later ones go to the new core. None is lost. Packets of one flow at one core stay in order, but
 * nothing orders the old core's last packets against the new core's first: for as long as the old queue takes to drain,
 * the two may run at the same time. Who cannot bear that drains the old core first.
 *
 * Each entry changes at once, the table does not: while {@link IndirectionTable.set} runs, some hashes go by the old
 * entries and some by the new.
 */
import { ArgumentError } from '../errors.js';

export const INDIRECTION_ENTRIES = 128;
const HASH_MASK = INDIRECTION_ENTRIES - 1;
/** Free before and after the entries, so that no counter that is written lies on a line that the Rx thread reads. */
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
    /** Entries name cores 0 to `cores - 1`. */
    readonly cores: number,
  ) {
    this.entries = new Uint16Array(buffer, LINE_BYTES, INDIRECTION_ENTRIES);
  }

  /**
   * Makes a table that goes round all cores: 0, 1, 2, … 0, 1, …
   * @throws ArgumentError where `cores` is not a whole number from 1 to 65536
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

  /** The core for a hash, signed or unsigned. For the loop that reads packets: a plain load. */
  coreOf(hash: number): number {
    return this.entries[hash & HASH_MASK];
  }

  /** The 128 entries as of now, a copy. */
  get(): number[] {
    return Array.from(this.entries);
  }

  /**
   * Replaces all entries; see the top of this file for what that may reorder. Two threads that do so at once leave a
   * mixture.
   * @throws ArgumentError, and changes nothing, where there are not 128 or one names no core
   */
  set(entries: readonly number[]): void {
    if (entries.length !== INDIRECTION_ENTRIES) {
      throw new ArgumentError(`an indirection table has ${INDIRECTION_ENTRIES} entries, found ${entries.length}`);
    }
    entries.forEach((core, entry) => {
      this.checkCore(core, `indirection table: entry ${entry}`);
    });
    // Atomics only so that no compiler puts the stores off.
    entries.forEach((core, entry) => {
      Atomics.store(this.entries, entry, core);
    });
  }

  /**
   * Gives the entries of `core` (one that died) to others, each to the one that has the fewest then; flows of the
   * others stay where they are.
   * @returns how many entries moved
   * @throws ArgumentError, and changes nothing, where there are no others, or `core` is among them, or one is no core
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
    throw new ArgumentError(`${what}: ${core} is no core (there are ${this.cores}, from 0)`);
  }
}
