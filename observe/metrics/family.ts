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
  private readonly byName = new Map<string, { help: string; type: 'counter' | 'gauge'; samples: Sample[] }>();

  counter(name: string, help: string, value: number, labels: Labels = {}): void {
    this.add('counter', name, help, value, labels);
  }

  gauge(name: string, help: string, value: number, labels: Labels = {}): void {
    this.add('gauge', name, help, value, labels);
  }

  get all(): Family[] {
    return [...this.byName].map(([name, family]) => ({ name, ...family }));
  }

  private add(type: 'counter' | 'gauge', name: string, help: string, value: number, labels: Labels): void {
    let family = this.byName.get(name);
    if (family === undefined) {
      family = { help, type, samples: [] };
      this.byName.set(name, family);
    }
    family.samples.push({ labels, value });
  }
}
