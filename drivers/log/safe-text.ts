/**
 * Makes text that an outsider chose safe to show: the name of a memfd, the command of a process. A terminal or a log
 * must show that text as it is. It must not pass for a line of ours, nor act as a command to the terminal.
 */

/**
 * Characters that are never shown: controls (C0, DEL, C1), formats (bidirectional overrides and isolates, zero-width
 * characters), halves of surrogate pairs, private and unassigned code points, line and paragraph separators.
 */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}]/u;
/** The same without the tab, which only moves the text after it. */
const HIDDEN_IN_LINE = /[^\P{C}\t]|[\p{Zl}\p{Zp}]/gu;
/** The same without tab and line feed. */
const HIDDEN_IN_TEXT = /[^\P{C}\t\n]|[\p{Zl}\p{Zp}]/gu;
/** All of them. */
const ALL_HIDDEN = /[\p{C}\p{Zl}\p{Zp}]/gu;
/** In quotes, these two are escaped as well, so that the end of the text is clear. */
const QUOTED = /[\p{C}\p{Zl}\p{Zp}'\\]/gu;

/** Largest number of characters that are shown of an outsider's text. */
const SHOWN = 100;
/** Largest number of characters that are shown of a line: more than any line of ours has. */
const LINE = 2000;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', "'": "\\'", '\\': '\\\\' };

/** Writes the character as JavaScript does in a string. */
function escaped(character: string): string {
  const short = SHORT[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\u{${hex}}`;
}

/** Returns `text`, or its first `most` UTF-16 units and an ellipsis. */
function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** Whether the text has no hidden character, so that it can be shown as it is. */
export function isPlain(text: string): boolean {
  return !HIDDEN.test(text);
}

/**
 * Returns an outsider's text for a message: in single quotes, with hidden characters, quotes and backslashes escaped,
 * and at most `most` UTF-16 units of it (an ellipsis after the quotes shows that there is more).
 */
export function quoted(text: string, most = SHOWN): string {
  const shown = `'${text.slice(0, most).replace(QUOTED, escaped)}'`;
  return text.length > most ? `${shown}…` : shown;
}

/**
 * Returns any text as one line: hidden characters escaped, tabs kept, at most 2000 characters. This is the last line of
 * defence; an outsider's text in it should have been {@link quoted} before.
 */
export function oneLine(text: string): string {
  return cut(cut(text, LINE).replace(HIDDEN_IN_LINE, escaped), LINE);
}

/**
 * Returns text of our own that may have several lines, such as a table: line feeds and tabs kept, hidden characters
 * escaped.
 */
export function ownLines(text: string): string {
  return text.replace(HIDDEN_IN_TEXT, escaped);
}

/**
 * Returns a value as one line of JSON that a terminal can show: hidden characters are escaped as JSON has it, so that
 * whoever parses the line gets the value as it was. Whole numbers of any size become text.
 */
export function jsonLine(value: unknown): string {
  const json = JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part));
  return json.replace(ALL_HIDDEN, (hidden) =>
    hidden.replace(/./gs, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );
}
