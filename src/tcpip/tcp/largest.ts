/** The largest of many: a heap with a bound, through which all of them go once. */

export class Largest {
  /** How many it has now. */
  size = 0;
  // A binary heap: the least is at 0, and what lies at `i` is not more than what lies at `2i + 1` and `2i + 2`.
  private readonly ranks: Float64Array;
  private readonly items: Int32Array;

  /** @param limit how many are kept, 1 or more */
  constructor(private readonly limit: number) {
    this.ranks = new Float64Array(limit);
    this.items = new Int32Array(limit);
  }

  /** Takes an item, unless so many others have a higher rank, or the same. */
  offer(rank: number, item: number): void {
    if (this.size < this.limit) this.rise(this.size++, rank, item);
    else if (rank > this.ranks[0]) this.sink(rank, item);
  }

  /** Returns the items, in no order. */
  get all(): number[] {
    return Array.from(this.items.subarray(0, this.size));
  }

  /** Puts an item at `i`, or above it. */
  private rise(from: number, rank: number, item: number): void {
    const { ranks, items } = this;
    let i = from;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (ranks[parent] <= rank) break;
      ranks[i] = ranks[parent];
      items[i] = items[parent];
      i = parent;
    }
    ranks[i] = rank;
    items[i] = item;
  }

  /** Puts an item in the place of the least. */
  private sink(rank: number, item: number): void {
    const { ranks, items, size } = this;
    let i = 0;
    for (let child = 1; child < size; child = 2 * i + 1) {
      if (child + 1 < size && ranks[child + 1] < ranks[child]) child++;
      if (ranks[child] >= rank) break;
      ranks[i] = ranks[child];
      items[i] = items[child];
      i = child;
    }
    ranks[i] = rank;
    items[i] = item;
  }
}
