/**
 * A block of named counters in a SharedArrayBuffer. One thread adds to them. Any other thread may read them meanwhile,
 * as may another process when the buffer lies over a file.
 *
 * The counters are doubles, which are exact to 2^53: at 100 million packets per second that lasts three years. An
 * aligned 8-byte store is a single store on every 64-bit machine, so a reader sees either the old or the new total, and
 * `+= n` needs neither Atomics nor BigInt. Two threads must not add to one counter: each thread that counts has its own
 * block.
 *
 * ```ts
 * const NAMES = ['rxPackets', 'rxBytes'] as const;
 * const { rxPackets: RX_PACKETS } = counterIndexes(NAMES); // a module constant: V8 folds it
 * const { values } = CounterBlock.create(NAMES);
 * values[RX_PACKETS] += count;
 * ```
 */

/** This much stays free before and after the values, so that two blocks never share a pair of cache lines. */
const LINE_BYTES = 128;

/** What another thread needs to read a block, or to go on writing it. Structured-cloneable. */
export interface CounterShare<Name extends string> {
  readonly names: readonly Name[];
  readonly buffer: SharedArrayBuffer;
  /** Offset of the first counter, in bytes. */
  readonly byteOffset: number;
}

/** The index of each name in the values of a block made with `names`. */
export function counterIndexes<const Names extends readonly string[]>(
  names: Names,
): Readonly<Record<Names[number], number>> {
  const indexes = Object.fromEntries(names.map((name, index) => [name, index])) as Record<Names[number], number>;
  if (names.length === 0 || Object.keys(indexes).length !== names.length) {
    throw new RangeError(`counters ${names.join(', ')}: there must be at least one, and no name may occur twice`);
  }
  return indexes;
}

export class CounterBlock<Name extends string> {
  /** The totals, in the order of the names. The writer adds to them here: `values[INDEX] += n`. */
  readonly values: Float64Array;
  readonly index: Readonly<Record<Name, number>>;

  private constructor(
    readonly names: readonly Name[],
    private readonly buffer: SharedArrayBuffer,
    private readonly byteOffset: number,
  ) {
    this.index = counterIndexes(names);
    this.values = new Float64Array(buffer, byteOffset, names.length);
  }

  /** Makes a block of zeros in its own buffer. */
  static create<const Names extends readonly string[]>(names: Names): CounterBlock<Names[number]> {
    return CounterBlock.createSeveral(names, 1)[0];
  }

  /** Makes blocks of zeros in one buffer, for a thread that adds to all of them and so needs only one view. */
  static createSeveral<const Names extends readonly string[]>(
    names: Names,
    count: number,
  ): CounterBlock<Names[number]>[] {
    const distance = Math.ceil((names.length * 8) / LINE_BYTES) * LINE_BYTES + LINE_BYTES;
    const buffer = new SharedArrayBuffer(LINE_BYTES + count * distance);
    const place = (_: unknown, i: number) => new CounterBlock<Names[number]>(names, buffer, LINE_BYTES + i * distance);
    return Array.from({ length: count }, place);
  }

  /** Describes the block for {@link attach}, in this thread or another. */
  share(): CounterShare<Name> {
    return { names: this.names, buffer: this.buffer, byteOffset: this.byteOffset };
  }

  /**
   * The same block, over memory that already holds one: as {@link share} describes it, or a region of the caller's own.
   */
  static attach<Name extends string>(share: CounterShare<Name>): CounterBlock<Name> {
    return new CounterBlock(share.names, share.buffer, share.byteOffset);
  }

  /** The totals as of now, by name. Each is exact; while the writer runs, they are not all of one instant. */
  snapshot(): Record<Name, number> {
    const entries = this.names.map((name, index) => [name, this.values[index]]);
    return Object.fromEntries(entries) as Record<Name, number>;
  }
}
