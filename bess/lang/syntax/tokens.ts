/**
 * The tokens of a script and the lexer that finds them. The lexer never fails. What is not in the language, such as a
 * stray character or `class`, becomes a token with a `problem`, which the parser reports when it comes to it. So the
 * reported mistake is the first one in the file.
 */
import type { Position } from '../errors.js';

export interface Token {
  /** A symbol or keyword itself (`->`, `if`), or name, created, number, string, variable, newline, end, problem, … */
  readonly kind: string;
  readonly text: string;
  readonly offset: number;
  readonly position: Position;
  /** What is wrong with the token, whatever the parser expects. */
  readonly problem?: string;
}

const KEYWORDS = new Set(
  'and assert break continue elif else False for if import in is None not or pass True'.split(' '),
);

/** Words and symbols of Python that the language does not have, and for some of them what to write instead. */
const UNSUPPORTED = new Map([
  ...'as async await del finally global lambda nonlocal return with yield := ...'
    .split(' ')
    .map((word) => [word, ''] as const),
  ['class', ' (use dicts)'],
  ['def', ' (use a loop)'],
  ['except', ' (test before it fails)'],
  ['from', ' (use: import os)'],
  ['raise', " (use: assert False, 'why')"],
  ['try', ' (test before it fails, as in: if os.path.exists(path): …)'],
  ['while', ' (use: for … in range(…))'],
  ['@', ' (decorators)'],
]);

// Unrolled (text, then escapes, each followed by text), so that a long string does not fill the matcher's stack.
const QUOTED = [
  `'''[^\\\\']*(?:(?:\\\\[\\s\\S]|'(?!''))[^\\\\']*)*'''`,
  `"""[^\\\\"]*(?:(?:\\\\[\\s\\S]|"(?!""))[^\\\\"]*)*"""`,
  `'(?!'')[^\\\\'\\n]*(?:\\\\[\\s\\S][^\\\\'\\n]*)*'`,
  `"(?!"")[^\\\\"\\n]*(?:\\\\[\\s\\S][^\\\\"\\n]*)*"`,
].join('|');

const BLANK = /[ \t\f]+|#[^\n]*|\\\n/y;
/** Each kind of token. Of two that begin alike, the longer comes first. */
const TOKEN = new RegExp(
  [
    '(?<newline>\\n)',
    `(?<bytes>(?:[bB][rR]?|[rR][bB])(?:${QUOTED}))`,
    `(?<string>(?:[rRuU]|[fF][rR]?|[rR][fF])?(?:${QUOTED}))`,
    '(?<open>\'\'\'[\\s\\S]*|"""[\\s\\S]*|[\'"][^\\n]*)',
    '(?<word>[A-Za-z_]\\w*)',
    '(?<variable>\\$[A-Za-z_]\\w*)',
    '(?<number>0[xX]\\w*|\\.?\\d(?:[eE][-+](?=\\d)|[\\w.])*)',
    '(?<symbol>\\.\\.\\.|(?:\\*\\*|//|<<|>>|[-+*/%&|^@=!<>:])=|->|::|\\*\\*|//|<<|>>|[-+*/%&|^~<>=()[\\]{},;:.!@])',
    '(?<other>[\\uD800-\\uDBFF][\\uDC00-\\uDFFF]|[^\\n])',
  ].join('|'),
  'y',
);
const INT = /^(?:0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0(?:_?0)*|[1-9](?:_?\d)*)$/;
const FLOAT = /^(?=.*[.eE])[\d_]*(?:\.[\d_]*)?(?:[eE][-+]?[\d_]+)?$/;

export class Lexer {
  private line: number;
  private lineStart: number;

  /** Begins at character `offset` of `text`, which is at `position`. */
  constructor(
    private readonly text: string,
    private offset = 0,
    position: Position = { line: 1, column: 1 },
  ) {
    this.line = position.line;
    this.lineStart = offset - position.column + 1;
  }

  get position(): Position {
    return { line: this.line, column: this.offset - this.lineStart + 1 };
  }

  /** Takes the text that a sticky regular expression matches here; null if it does not match. */
  take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.offset;
    const match = pattern.exec(this.text);
    const end = this.offset + (match?.[0].length ?? 0);
    for (let at = this.text.indexOf('\n', this.offset); at >= 0 && at < end; at = this.text.indexOf('\n', at + 1)) {
      this.line++;
      this.lineStart = at + 1;
    }
    this.offset = end;
    return match;
  }

  /** The next token; at the end of the text, one of the kind `end`. */
  next(): Token {
    while (this.take(BLANK) !== null);
    const { offset, position } = this;
    const match = this.take(TOKEN);
    if (match === null) return { kind: 'end', text: '', offset, position };
    const [text] = match;
    const [group = ''] = Object.entries(match.groups ?? {}).find(([, found]) => found !== undefined) ?? [];
    const problem = problemOf(group, text);
    if (problem !== null) return { kind: 'problem', text, offset, position, problem };
    const isItsOwnKind = group === 'symbol' || (group === 'word' && KEYWORDS.has(text));
    return { kind: isItsOwnKind ? text : group === 'word' ? 'name' : group, text, offset, position };
  }
}

function problemOf(group: string, text: string): string | null {
  const instead = UNSUPPORTED.get(text);
  if (instead !== undefined) return notSupported(`'${text}'${instead}`);
  switch (group) {
    case 'number':
      if (INT.test(text)) return null;
      return FLOAT.test(text) ? notSupported(`${clip(text)} (floats)`) : `${clip(text)} is not a number`;
    case 'bytes':
      return notSupported(`bytes (${clip(text)})`);
    case 'open':
      return `the string ${clip(text)} is never closed`;
    case 'other':
      if (text === '\\') return "a '\\' that continues a line must be the last character on it, and a line must follow";
      return `unexpected character ${JSON.stringify(text)}`;
    default:
      return null;
  }
}

function notSupported(what: string): string {
  return `not supported by the embedded switch: ${what}`;
}

/** Cuts a text for a message: to its first line, and to 40 characters. */
export function clip(text: string): string {
  const line = text.split('\n', 1)[0] ?? '';
  return line.length < text.length || line.length > 40 ? `${line.slice(0, 40)}…` : line;
}
