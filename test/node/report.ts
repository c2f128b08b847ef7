/** The results of Node's tests as text, and as docs/node-tests.md. */
import { KNOWN } from './known.js';

export interface Result {
  readonly name: string;
  /** `no`: it does not apply. */
  readonly verdict: 'pass' | 'fail' | 'no';
  /** Why it does not apply, or how it fails. */
  readonly reason: string;
  /** What it wrote when it failed. */
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

/** @param versions of the source tree, and of the Node that ran it */
export function page(results: readonly Result[], versions: { readonly source: string; readonly node: string }): string {
  const failed = results.filter(({ verdict }) => verdict === 'fail');
  const others = results.filter(({ verdict }) => verdict === 'no');
  const reasons = [...new Set(others.map(({ reason }) => reason))].sort();
  const namesOf = (reason: string): string =>
    others.flatMap((result) => (result.reason === reason ? [`\`${result.name}\``] : [])).join(', ');
  return [
    '# Node’s own tests over the stack',
    '',
    '`npm run node-tests -- --node-source PATH --write` has written this page. It runs the tests of a source tree of Node, of which',
    'nothing is in this repository. Each test runs in a process of its own, with its TCP sockets and servers on a stack that delivers to',
    `itself. Here: the tests of Node ${versions.source}, run by Node ${versions.node}.`,
    '',
    'A test *applies* when it passes with the kernel’s sockets on the same machine, makes a TCP connection, and needs none of what the',
    'second table names.',
    '',
    '| tests | files | apply | pass | of those that apply |',
    '| ----- | ----- | ----- | ---- | ------------------- |',
    ...countsOf(results).map((c) => `| \`test-${c.group}-*\` | ${c.all} | ${c.applies} | ${c.pass} | ${percent(c)} |`),
    '',
    '## What fails',
    '',
    ...(failed.length === 0 ? ['Nothing.'] : ['| test | why |', '| ---- | --- |']),
    ...failed.map(({ name, reason }) => `| \`${name}\` | ${KNOWN[name] ?? reason} |`),
    '',
    '## What does not apply',
    '',
    '| why | tests |',
    '| --- | ----- |',
    ...reasons.map((reason) => `| ${reason} | ${namesOf(reason)} |`),
    '',
  ].join('\n');
}
