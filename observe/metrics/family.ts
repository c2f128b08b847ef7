/** A metric as its source gives it: a name, what it means, and a value for each set of labels. */

export type Labels = Readonly<Record<string, string | number>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** How often a measure was at most each bound: the counts are cumulative, the last bound is Infinity. */
export interface Distribution {
  readonly labels: Labels;
  readonly buckets: readonly { readonly upTo: number; readonly count: number }[];
  /** Sum of all measures. */
  readonly sum: number;
}

/** A metric with its unit in the name (`…_bytes`, `…_seconds`), and without `_total`, which counters get in the text. */
export type Family = { readonly name: string; readonly help: string } & (
  | { readonly type: 'counter' | 'gauge'; readonly samples: readonly Sample[] }
  | { readonly type: 'histogram'; readonly samples: readonly Distribution[] }
);

/** Collects samples by family, in the order in which the families were first named. */
export class Families {
  private readonly byName = new Map<string, Family & { samples: (Sample | Distribution)[] }>();

  counter(name: string, help: string, value: number, labels: Labels = {}): void {
    this.add({ name, help, type: 'counter', samples: [] }).push({ labels, value });
  }

  gauge(name: string, help: string, value: number, labels: Labels = {}): void {
    this.add({ name, help, type: 'gauge', samples: [] }).push({ labels, value });
  }

  histogram(name: string, help: string, distribution: Distribution): void {
    this.add({ name, help, type: 'histogram', samples: [] }).push(distribution);
  }

  get all(): Family[] {
    return [...this.byName.values()];
  }
  /** Returns the samples of the family, which are those of the one that was first added under its name. */
  private add(family: Family & { samples: (Sample | Distribution)[] }): (Sample | Distribution)[] {
    const known = this.byName.get(family.name);
    if (known !== undefined) return known.samples;
    this.byName.set(family.name, family);
    return family.samples;
  }
}
