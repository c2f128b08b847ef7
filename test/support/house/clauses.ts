/** Tables of clauses (test/CLAUSES*.md), and the comments of tests that name a clause: `// Clauses: 2.1.1a, 2.1.1b`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { ROOT } from './sources.js';

export interface ClauseRow {
  readonly id: string;
  /** The second column: who is bound, or how much. */
  readonly kind: string;
  readonly demands: string;
  /** Files of tests, or one text that says why there is none. */
  readonly shown: readonly string[];
}

/** The rows of all tables of test/NAME, without their heads. */
export function clauseRows(name: string): ClauseRow[] {
  const lines = readFileSync(join(ROOT, 'test', name), 'utf8').split('\n');
  const rows = lines.filter((line) => line.startsWith('| ') && !/^\| (id|---) \|/.test(line));
  return rows.map((line) => {
    const [id = '', kind = '', demands = '', shown = '', ...more] = line.slice(2, -2).split(' | ');
    if (more.length > 0) throw new Error(`a row of more than four columns: ${line}`);
    return { id, kind, demands, shown: shown.split('<br>') };
  });
}

/** Whether the text of the last column is the name of a test file, not a reason. */
export const isTestFile = (shown: string): boolean => !/^(—|not shown:) ./.test(shown);

const MARK = /^\s*\/\/ Clauses: (.*)$/gm;

/** The ids in the comments of a file, and how many of these comments are not directly above a test. */
export function clauseMarks(text: string): { ids: string[]; stray: number } {
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

export interface MarkedFile {
  /** Below test/unit, without `.test.ts`. */
  readonly name: string;
  readonly ids: readonly string[];
  readonly stray: number;
}

/** The unit tests with their marks. */
export function markedFiles(): MarkedFile[] {
  const unit = join(ROOT, 'test', 'unit');
  return readdirSync(unit, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => ({
      name: name.replace(/\.test\.ts$/, ''),
      ...clauseMarks(readFileSync(join(unit, name), 'utf8')),
    }));
}

/** What is wrong with a table: `id file` pairs that only the table has, or only the tests have. */
export function disagreements(
  rows: readonly ClauseRow[],
  files: readonly MarkedFile[],
): { onlyInTable: string[]; onlyInTests: string[] } {
  const inTable = new Set(rows.flatMap(({ id, shown }) => shown.filter(isTestFile).map((file) => `${id} ${file}`)));
  const inTests = new Set(files.flatMap(({ name, ids }) => ids.map((id) => `${id} ${name}`)));
  return {
    onlyInTable: [...inTable].filter((pair) => !inTests.has(pair)),
    onlyInTests: [...inTests].filter((pair) => !inTable.has(pair)),
  };
}

/** Rows whose last column is neither a list of files nor one reason. */
export function unclearRows(rows: readonly ClauseRow[]): string[] {
  return rows
    .filter(({ demands, shown }) => {
      const reasons = shown.filter((each) => !isTestFile(each)).length;
      return demands === '' || shown.some((each) => each.length <= 5) || reasons > (shown.some(isTestFile) ? 0 : 1);
    })
    .map(({ id }) => id);
}
