/** Checks test/CLAUSES.md: the table and the tests name the same clauses, and no normative section is missing. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const UNIT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(fileURLToPath(new URL(path, UNIT)), 'utf8');

interface Row {
  readonly id: string;
  readonly side: string;
  readonly demands: string;
  /** Files of tests, or one text that says why there is none. */
  readonly shown: readonly string[];
}

function rowsOf(table: string): Row[] {
  const lines = table.split('\n').filter((line) => line.startsWith('| '));
  return lines.slice(2).map((line) => {
    const [id = '', side = '', demands = '', shown = '', ...more] = line.slice(2, -2).split(' | ');
    if (more.length > 0) throw new Error(`a row of more than four columns: ${line}`);
    return { id, side, demands, shown: shown.split('<br>') };
  });
}

const MARK = /^\s*\/\/ Clauses: (.*)$/gm;

/** The ids in the comments of a file, and how many of these comments are not directly above a test. */
function marksOf(text: string): { ids: string[]; stray: number } {
  const ids = [...text.matchAll(MARK)].flatMap(([, list = '']) => list.split(', '));
  let above = 0;
  const visit = (node: ts.Node): void => {
    if (ts.isExpressionStatement(node) && /^it\b/.test(node.getText())) {
      above += node.getFullText().slice(0, node.getLeadingTriviaWidth()).match(MARK)?.length ?? 0;
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('a.ts', text, ts.ScriptTarget.Latest, true));
  return { ids, stray: [...text.matchAll(MARK)].length - above };
}

const rows = rowsOf(read('../CLAUSES.md'));
const hasTest = (shown: string): boolean => !/^(—|not shown:) ./.test(shown);
const sectionOf = (id: string): string => id.slice(0, -1);
const files = readdirSync(fileURLToPath(UNIT), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => ({ name: name.replace(/\.test\.ts$/, ''), ...marksOf(read(name)) }));

/** Sections with a MUST of virtio 1.2 (chapters 2, 3, 4.1, 5.1 and 6), without those on legacy interfaces. */
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
  it('names the files whose tests have the ids, and no other files', () => {
    const inTable = rows.flatMap(({ id, shown }) => shown.filter(hasTest).map((file) => `${id} ${file}`));
    const inTests = files.flatMap(({ name, ids }) => [...new Set(ids)].map((id) => `${id} ${name}`));
    expect(inTable.length).toBeGreaterThan(100);
    expect(inTests.sort()).toEqual(inTable.sort());
  });

  it('has each id once, of a section and a letter', () => {
    const ids = rows.map(({ id }) => id);
    expect(ids.filter((id) => !/^\d(\.\d+)+[a-z]$/.test(id))).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('says of each clause which file shows it, or why no test does', () => {
    for (const { id, side, demands, shown } of rows) {
      expect(side, id).toMatch(/^(driver|device)$/);
      expect(demands, id).not.toBe('');
      expect(
        shown.every((each) => each.length > 5),
        id,
      ).toBe(true);
      expect(shown.filter((each) => !hasTest(each)).length, id).toBeLessThanOrEqual(shown.some(hasTest) ? 0 : 1);
    }
  });

  it.each(['driver', 'device'] as const)('has every normative section for a %s', (side) => {
    const found = new Set(rows.filter((row) => row.side === side).map(({ id }) => sectionOf(id)));
    expect(NORMATIVE[side].split(' ').filter((section) => !found.has(section))).toEqual([]);
  });

  it('has its ids in comments directly above tests', () => {
    expect(files.filter(({ stray }) => stray > 0).map(({ name }) => name)).toEqual([]);
  });

  it('would notice a comment that is above no test', () => {
    const mark = '// Clauses: 2.1.1a, 2.1.1b\n';
    expect(marksOf(`${mark}it('is a test', () => {});`)).toEqual({ ids: ['2.1.1a', '2.1.1b'], stray: 0 });
    expect(marksOf(`${mark}const x = 1;`)).toEqual({ ids: ['2.1.1a', '2.1.1b'], stray: 1 });
  });
});
