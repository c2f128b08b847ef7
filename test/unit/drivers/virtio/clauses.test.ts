/** Checks test/CLAUSES.md: the table and the tests name the same clauses, and no normative section is missing. */
import { describe, expect, it } from 'vitest';
import { clauseMarks, clauseRows, disagreements, markedFiles, unclearRows } from '../../../support/house/clauses.js';

const rows = clauseRows('CLAUSES.md');
const files = markedFiles();
const sectionOf = (id: string): string => id.slice(0, -1);
/** An id of test/CLAUSES-tcp.md, which src/tcpip/clauses.test.ts checks. */
const isOfTcp = (id: string): boolean => /^([A-Z]+|\d{4})-/.test(id);

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
    const ours = files.map((file) => ({ ...file, ids: file.ids.filter((id) => !isOfTcp(id)) }));
    expect(ours.flatMap(({ ids }) => ids).length).toBeGreaterThan(100);
    expect(disagreements(rows, ours)).toEqual({ onlyInTable: [], onlyInTests: [] });
  });

  it('has each id once, of a section and a letter', () => {
    const ids = rows.map(({ id }) => id);
    expect(ids.filter((id) => !/^\d(\.\d+)+[a-z]$/.test(id))).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('says of each clause which file shows it, or why no test does', () => {
    expect(rows.filter(({ kind }) => !/^(driver|device)$/.test(kind))).toEqual([]);
    expect(unclearRows(rows)).toEqual([]);
  });

  it.each(['driver', 'device'] as const)('has every normative section for a %s', (side) => {
    const found = new Set(rows.filter((row) => row.kind === side).map(({ id }) => sectionOf(id)));
    expect(NORMATIVE[side].split(' ').filter((section) => !found.has(section))).toEqual([]);
  });

  it('has its ids in comments directly above tests', () => {
    expect(files.filter(({ stray }) => stray > 0).map(({ name }) => name)).toEqual([]);
  });

  it('would notice a comment that is above no test', () => {
    const mark = '// Clauses: 2.1.1a, 2.1.1b\n';
    expect(clauseMarks(`${mark}it('is a test', () => {});`)).toEqual({ ids: ['2.1.1a', '2.1.1b'], stray: 0 });
    expect(clauseMarks(`${mark}const x = 1;`)).toEqual({ ids: ['2.1.1a', '2.1.1b'], stray: 1 });
  });

  it('would notice a pair that only one side has, and a row that says nothing', () => {
    const row = { id: '1a', kind: 'driver', demands: 'x', shown: ['a/file'] };
    expect(disagreements([row], [{ name: 'b/file', ids: ['1a'], stray: 0 }])).toEqual({
      onlyInTable: ['1a a/file'],
      onlyInTests: ['1a b/file'],
    });
    expect(unclearRows([row, { ...row, id: '2a', shown: ['a/file', '— why'] }])).toEqual(['2a']);
    expect(
      unclearRows([
        { ...row, shown: ['— not offered'] },
        { ...row, demands: '' },
      ]),
    ).toEqual(['1a']);
  });
});
