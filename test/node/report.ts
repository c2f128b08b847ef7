/** The results of Node's tests as text, and as docs/node-tests.md. */

export interface Result {
  readonly name: string;
  /** `no`: it does not apply. */
  readonly verdict: 'pass' | 'fail' | 'no';
  readonly reason: string;
  readonly text?: string;
}

interface Counts {
  readonly group: string;
  readonly all: number;
  readonly applies: number;
  readonly pass: number;
}

const groupOf = ({ name }: Result): string => name.split('-')[1]!.replace(/\..*$/, '');

function countsOf(results: readonly Result[]): Counts[] {
  const groups = [...new Set(results.map(groupOf))].sort();
  return groups.map((group) => {
    const own = results.filter((result) => groupOf(result) === group);
    const pass = own.filter(({ verdict }) => verdict === 'pass').length;
    const no = own.filter(({ verdict }) => verdict === 'no').length;
    return { group, all: own.length, applies: own.length - no, pass };
  });
}

const percent = ({ pass, applies }: Counts): string =>
  applies === 0 ? '' : `${((100 * pass) / applies).toFixed(1)} %`;

export function summary(results: readonly Result[]): string {
  const lines = countsOf(results).map((counts) => {
    const { group, all, applies, pass } = counts;
    return `${group}: ${pass} of ${applies} that apply pass (${percent(counts)}); ${all - applies} do not apply`;
  });
  return lines.join('\n');
}

export function page(results: readonly Result[], version: string): string {
  const reasons = new Map<string, number>();
  for (const { verdict, reason } of results) {
    if (verdict === 'no') reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  return [...countsOf(results).map((c) => c.group), version, ...reasons.keys()].join('\n');
}
