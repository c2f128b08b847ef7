/** Reads what to do about dropped packets from docs/observe.md, so that the live page says the same. */

/** By scope (the first words of a table's head), then by reason. */
export type Advice = Record<string, Record<string, string>>;

/** The head of a table of reasons: `| received: reason | what to do |`. */
const HEAD = /^\| (.+): reason +\| what to do +\|$/;
const ROW = /^\| (.+?) +\| (.+?) +\|$/;

/** @throws when the page has no such table */
export function adviceIn(page: string): Advice {
  const advice: Advice = {};
  let rows: Record<string, string> | null = null;
  for (const line of page.split('\n')) {
    const [, scope] = HEAD.exec(line) ?? [];
    const [, reasons, text] = ROW.exec(line) ?? [];
    if (scope !== undefined) {
      rows = {};
      advice[scope] = rows;
    } else if (reasons === undefined || text === undefined) {
      rows = null;
    } else if (rows !== null && !reasons.startsWith('--')) {
      for (const [, reason] of reasons.matchAll(/`([^`]+)`/g)) rows[reason!] = text;
    }
  }
  if (Object.keys(advice).length === 0) throw new Error('docs/observe.md has no table of reasons for drops');
  return advice;
}
