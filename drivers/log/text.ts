/**
 * Text that an outsider chose, made safe to show: the name of a memfd, the command of a process. Whoever reads a terminal or a
 * log must see that text as what it is, and neither as a line of ours nor as a command to the terminal.
 */

/**
 * Characters that are never shown: controls (C0, DEL, C1), formats (the bidirectional overrides and isolates, zero-width ones),
 * halves of surrogate pairs, private and unassigned code points; line and paragraph separators.
 */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}]/u;
/** The same but for the tab, which moves nothing but the text after it. */
const HIDDEN_IN_LINE = /[^\P{C}\t]|[\p{Zl}\p{Zp}]/gu;
/** And but for the line feed. */
const HIDDEN_IN_TEXT = /[^\P{C}\t\n]|[\p{Zl}\p{Zp}]/gu;
/** In quotes these two are escaped as well, so that it is clear where the text ends. */
const QUOTED = /[\p{C}\p{Zl}\p{Zp}'\\]/gu;

/** Characters of somebody else's text that are shown. */
const SHOWN = 100;
/** Characters of a line that are shown: more than any line of ours has. */
const LINE = 2000;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', "'": "\\'", '\\': '\\\\' };

/** As JavaScript writes the character in a string. */
function escaped(character: string): string {
  const short = SHORT[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\u{${hex}}`;
}

/** `text`, or its first `most` UTF-16 units and an ellipsis. */
function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** Whether the text can be shown as it is: there is no hidden character in it. */
export function isPlain(text: string): boolean {
  return !HIDDEN.test(text);
}

/**
 * Somebody else's text for a message: in single quotes, hidden characters, quotes and backslashes escaped, at most `most` UTF-16
 * units of it (an ellipsis behind the quotes tells of more).
 */
export function quoted(text: string, most = SHOWN): string {
  const shown = `'${text.slice(0, most).replace(QUOTED, escaped)}'`;
  return text.length > most ? `${shown}…` : shown;
}

/**
 * A text as one line, whatever is in it: hidden characters escaped, tabs kept, at most 2000 characters. The last line of defence;
 * foreign text in it should have been {@link quoted} before.
 */
export function oneLine(text: string): string {
  return cut(cut(text, LINE).replace(HIDDEN_IN_LINE, escaped), LINE);
}

/** A text of our own that may have several lines, such as a table: line feeds and tabs kept, hidden characters escaped, not cut. */
export function ownLines(text: string): string {
  return text.replace(HIDDEN_IN_TEXT, escaped);
}
