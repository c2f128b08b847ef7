/** test/CLAUSES.md stays true: the tests that it names exist, and every normative section of virtio 1.2 that binds us is there. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const read = (path: string): string => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');

interface Row {
  readonly clause: string;
  readonly side: string;
  readonly demands: string;
  readonly shown: readonly string[];
}

function rowsOf(table: string): Row[] {
  const lines = table.split('\n').filter((line) => line.startsWith('| '));
  return lines.slice(2).map((line) => {
    const [clause = '', side = '', demands = '', shown = '', ...more] = line.slice(2, -2).split(' | ');
    if (more.length > 0) throw new Error(`a row of more than four columns: ${line}`);
    return { clause, side, demands, shown: shown.split('<br>') };
  });
}

/** The titles of a file's tests as they are written. */
function titlesOf(text: string): Set<string> {
  const titles = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && /^it\b/.test(node.expression.getText()) && node.arguments[0]) {
      const [title] = node.arguments;
      if (ts.isStringLiteralLike(title)) titles.add(title.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('a.ts', text, ts.ScriptTarget.Latest, true));
  return titles;
}

const rows = rowsOf(read('../CLAUSES.md'));
const files = readdirSync(fileURLToPath(new URL('../..', import.meta.url)), { recursive: true, encoding: 'utf8' });
const named = (shown: string): boolean => !/^(—|not shown:) ./.test(shown);
const cache = new Map<string, Set<string>>();

/** What is wrong with `file › title`, or nothing. */
function missing(shown: string): string | null {
  const [file = '', title = ''] = shown.split(' › ');
  if (!files.includes(`${file}.test.ts`)) return `there is no test/unit/${file}.test.ts`;
  if (!cache.has(file)) cache.set(file, titlesOf(read(`./${file}.test.ts`)));
  return cache.get(file)!.has(title) ? null : `${file}.test.ts has no test '${title}'`;
}

/** Sections with a MUST of virtio 1.2 (chapters 2, 3, 4.1, 5.1 and 6), legacy interfaces aside. */
const NORMATIVE = {
  driver:
    '2.1.1 2.2.1 2.5.1 2.6.1.1.2 2.6.1.2.2 2.7.1 2.7.4.2 2.7.5.2 2.7.5.3.1 2.7.6.1 2.7.7.1 2.7.8.3 2.7.10.1 2.7.13.3.1 ' +
    '2.7.13.4.1 2.8.11 2.8.16 2.8.17 2.8.19 2.8.21.1.1 2.8.21.3.1 3.1.1 3.3.1 4.1.2.2 4.1.3.1 4.1.4.1 4.1.4.3.2 4.1.4.8.2 ' +
    '4.1.4.9.2 4.1.5.1.2.2 4.1.5.2.1 4.1.5.4.2 5.1.4.2 5.1.6.2.1 5.1.6.3.1 5.1.6.4.2 5.1.6.5.1.2 5.1.6.5.2.2 5.1.6.5.4.1 ' +
    '5.1.6.5.6.1 5.1.6.5.7.2 5.1.6.5.8.2 6.1',
  device:
    '2.1.2 2.2.2 2.4.1 2.5.2 2.6.1.1.1 2.6.1.2.1 2.7.4.1 2.7.5.1 2.7.5.3.2 2.7.7.2 2.7.8.2 2.7.10.2 2.8.12 2.8.15 2.8.18 ' +
    '2.10.2 5.1.4.1 5.1.6.2.2 5.1.6.3.2 5.1.6.4.1 5.1.6.5.1.1 5.1.6.5.2.1 5.1.6.5.4.2 5.1.6.5.6.2 5.1.6.5.7.3 6.2',
} as const;

describe('the table of clauses', () => {
  it('names only tests that exist', () => {
    const wrong = rows.flatMap(({ clause, shown }) =>
      shown.filter(named).flatMap((each) => {
        const problem = missing(each);
        return problem === null ? [] : [`${clause}: ${problem}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('says of each clause what shows it, or why nothing does', () => {
    for (const { clause, side, demands, shown } of rows) {
      expect(side, clause).toMatch(/^(driver|device)$/);
      expect(demands, clause).not.toBe('');
      expect(
        shown.every((each) => each.length > 5),
        clause,
      ).toBe(true);
      expect(shown.filter((each) => !named(each)).length, clause).toBeLessThanOrEqual(shown.some(named) ? 0 : 1);
    }
  });

  it.each(['driver', 'device'] as const)('has every normative section for a %s', (side) => {
    const found = new Set(rows.filter((row) => row.side === side).map(({ clause }) => clause));
    expect(NORMATIVE[side].split(' ').filter((section) => !found.has(section))).toEqual([]);
  });

  it('would notice a test that was renamed, and a file that is gone', () => {
    expect(missing('drivers/virtio/clauses › would notice a test that was renamed, and a file that is gone')).toBe(
      null,
    );
    expect(missing('drivers/virtio/clauses › another title')).toBe(
      "drivers/virtio/clauses.test.ts has no test 'another title'",
    );
    expect(missing('nothing › another title')).toBe('there is no test/unit/nothing.test.ts');
  });
});
