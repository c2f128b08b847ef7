/** Checks test/CLAUSES-tcp.md: the table and the tests name the same clauses, and no clause and no section is missing. */
import { describe, expect, it } from 'vitest';
import { clauseRows, disagreements, markedFiles, unclearRows } from '../../../support/house/clauses.js';

const rows = clauseRows('CLAUSES-tcp.md');
/** A requirement of RFC 9293, Appendix B. */
const LABEL = /^(MUST|SHLD|MAY|REC)-\d+$/;
/** The number of another RFC, a section and a letter. */
const SECTION = /^(\d{4}-\d+(?:\.\d+)*)[a-z]$/;

const numbered = (name: string, last: number): string[] => Array.from({ length: last }, (_, i) => `${name}-${i + 1}`);
/** All labels of Appendix B. */
const APPENDIX_B = [...numbered('MUST', 69), ...numbered('SHLD', 31), ...numbered('MAY', 18), 'REC-1'];
/** What the second column may say of a label. */
const LEVELS: Readonly<Record<string, RegExp>> = {
  MUST: /^MUST( NOT)?$/,
  SHLD: /^SHOULD( NOT)?$/,
  MAY: /^MAY$/,
  REC: /^SHOULD$/,
};

/** Sections of the other RFCs with a MUST or a SHOULD that binds a host (RFC 1122: without its chapters on links and TCP). */
const NORMATIVE =
  '7323-2.2 7323-2.3 7323-2.4 7323-3.2 7323-4.1 7323-4.2 7323-4.3 7323-5.2 7323-5.3 7323-5.4 7323-5.5 7323-5.7 ' +
  '2018-2 2018-4 2018-5 2018-5.1 2018-8 6298-1 6298-2.1 6298-2.2 6298-2.3 6298-2.4 6298-3 6298-4 6298-5 6298-5.5 ' +
  '6298-5.7 8985-3.3.2 8985-4 8985-6.2 8985-7.2 8985-7.3 8985-7.4.2 8985-8 8985-9.2 8985-9.3 5961-1.1 5961-3.2 ' +
  '5961-4.2 5961-5.2 5961-7 1122-3.1 1122-3.2.1.1 1122-3.2.1.2 1122-3.2.1.3 1122-3.2.1.4 1122-3.2.1.6 1122-3.2.1.7 ' +
  '1122-3.2.1.8 1122-3.2.2 1122-3.2.2.1 1122-3.2.2.2 1122-3.2.2.3 1122-3.2.2.4 1122-3.2.2.5 1122-3.2.2.6 1122-3.2.2.7 ' +
  '1122-3.2.2.9 1122-3.3.1.1 1122-3.3.1.2 1122-3.3.1.4 1122-3.3.1.5 1122-3.3.1.6 1122-3.3.2 1122-3.3.3 1122-3.3.4.2 ' +
  '1122-3.3.6 1122-4.1.3.1 1122-4.1.3.2 1122-4.1.3.3 1122-4.1.3.4 1122-4.1.3.5 1122-4.1.3.6 1122-4.1.4';

describe('the table of clauses of TCP', () => {
  it('names the files whose tests have the ids, and no other files', () => {
    const isOurs = (id: string): boolean => LABEL.test(id) || SECTION.test(id);
    const files = markedFiles().map((file) => ({ ...file, ids: file.ids.filter(isOurs) }));
    expect(disagreements(rows, files)).toEqual({ onlyInTable: [], onlyInTests: [] });
  });

  it('has each requirement of RFC 9293, Appendix B, once', () => {
    expect(rows.map(({ id }) => id).filter((id) => LABEL.test(id))).toEqual(APPENDIX_B);
  });

  it('has the other ids once, of an RFC, a section and a letter, in order', () => {
    const ids = rows.map(({ id }) => id).filter((id) => !LABEL.test(id));
    expect(ids.filter((id) => !SECTION.test(id))).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
    const sections = [...new Set(ids.map((id) => SECTION.exec(id)![1]))];
    expect(sections).toEqual(NORMATIVE.split(' '));
  });

  it('gives each clause its level', () => {
    const wrong = rows.filter(({ id, kind }) => !(LEVELS[id.split('-')[0]!] ?? /^(MUST|SHOULD)( NOT)?$/).test(kind));
    expect(wrong).toEqual([]);
  });

  it('says of each clause which file shows it, or why no test does', () => {
    expect(unclearRows(rows)).toEqual([]);
  });
});
