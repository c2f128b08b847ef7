/**
 * The values of number and string literals, and the fields of f-strings (Python reference 2.4.3, as before Python 3.12:
 * no backslash in a field, and the string's own quotes end it even inside a field).
 */
import { type Position, Problem, unsupported } from '../errors.js';
import { countBracket } from './layout.js';
import { clip, Lexer, type Token } from './tokens.js';

/** The value of an int literal: decimal, 0x, 0o or 0b, with underscores. */
export function decodeInt({ text, position }: Token): number {
  const value = Number(text.replaceAll('_', ''));
  if (Number.isSafeInteger(value)) return value;
  throw new Problem(`${clip(text)} is beyond the integers of the embedded switch (2**53 - 1)`, position);
}

/** A field of an f-string whose value is not parsed yet: `{value!r:specification}`. */
export interface RawField {
  /** The tokens of the value; the last one has the kind `fieldEnd`. */
  readonly tokens: readonly Token[];
  readonly conversion: 'r' | 's' | null;
  readonly specification: string;
}

/** Splits a string literal into its texts and, in an f-string, the fields between them. */
export function decodeString(source: string, token: Token): (string | RawField)[] {
  const { text, offset, position } = token;
  const quoteAt = text.search(/['"]/);
  const prefix = text.slice(0, quoteAt).toLowerCase();
  const quote = text.charAt(quoteAt);
  const width = text.length >= quoteAt + 6 && text.startsWith(quote.repeat(3), quoteAt) ? 3 : 1;
  const decode = (part: string): string => (prefix.includes('r') ? part : decodeEscapes(part, position));
  if (!prefix.includes('f')) return [decode(text.slice(quoteAt + width, -width))];
  const lexer = new Lexer(source.slice(0, offset + text.length - width), offset, position);
  lexer.take(OPENING);
  const parts: (string | RawField)[] = [];
  for (let at = lexer.position; ; at = lexer.position) {
    const [piece] = lexer.take(PIECE) ?? [];
    if (piece === undefined) return parts;
    if (piece === '{') parts.push(readField(source, lexer, at));
    else if (piece === '}') throw new Problem("a single '}' in an f-string (write '}}' for the character)", at);
    else parts.push(piece === '{{' || piece === '}}' ? piece.charAt(0) : decode(piece));
  }
}

const OPENING = /[a-zA-Z]*(?:'''|"""|'|")/y;
const PIECE = /\{\{|\}\}|[{}]|[^{}]+/y;
const CONVERSION = /r:?|s:?/y;
const SPECIFICATION = /[^{}]*/y;
const CLOSING = /\}/y;

/** Reads a field, from behind the `{` at `position` to the `}`. */
function readField(source: string, lexer: Lexer, position: Position): RawField {
  const tokens: Token[] = [];
  const open: Token[] = [];
  let token = lexer.next();
  while (open.length > 0 || !(token.kind === '}' || token.kind === '!' || token.text.startsWith(':'))) {
    if (token.kind === 'end') throw new Problem("'{' in an f-string is never closed", position);
    if (token.kind === 'variable') {
      throw new Problem(`${token.text}: BESS does not look for variables inside strings`, token.position);
    }
    countBracket(token, open);
    if (token.kind !== 'newline') tokens.push(token);
    token = lexer.next();
  }
  const first = tokens[0]?.position ?? token.position;
  if (tokens.at(-1)?.kind === '=') throw unsupported(first, '{name=}');
  if (source.slice(tokens[0]?.offset, token.offset).includes('\\')) {
    throw new Problem('an expression in an f-string cannot have a backslash', first);
  }
  tokens.push({ ...token, kind: 'fieldEnd' });
  return { tokens, ...readFormat(lexer, token, position) };
}

/** Reads conversion and format of a field, up to its `}`. `token` is the one that ended the value. */
function readFormat(lexer: Lexer, token: Token, position: Position): Omit<RawField, 'tokens'> {
  if (token.kind === '}') return { conversion: null, specification: '' };
  // The lexer may have taken more than the `:`, as in `{x::>5}`.
  let specification = token.text.slice(1);
  let conversion: 'r' | 's' | null = null;
  if (token.kind === '!') {
    const [letter] = lexer.take(CONVERSION) ?? [];
    if (letter === undefined) throw new Problem("expected !r or !s in the f-string's field", token.position);
    conversion = letter.startsWith('r') ? 'r' : 's';
  }
  specification += lexer.take(SPECIFICATION)?.[0] ?? '';
  const place = lexer.position;
  if (lexer.take(CLOSING) !== null) return { conversion, specification };
  if (lexer.take(PIECE) !== null) throw unsupported(place, 'a field in the format of a field');
  throw new Problem("'{' in an f-string is never closed", position);
}

const ESCAPES: Record<string, string> = { '\n': '', '\\': '\\', "'": "'", '"': '"', n: '\n', r: '\r', t: '\t' };

/** The text of a string body, its escapes resolved. */
function decodeEscapes(body: string, position: Position): string {
  return body.replace(/\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|([\s\S]))/g, (whole, hex, unicode, other: string) => {
    const code = hex ?? unicode;
    const text = code === undefined ? ESCAPES[other] : String.fromCodePoint(Number.parseInt(code, 16));
    if (text !== undefined) return text;
    const known = '\\n \\r \\t \\\\ \\\' \\" \\xHH \\uHHHH';
    throw unsupported(position, `${whole} in a string (it can have ${known}, and a string r'…' none)`);
  });
}
