/** What a number or a string literal stands for. */
import { type Position, SyntaxProblem } from './errors.js';
import { PyFloat } from './values.js';

/** An int literal: decimal, 0x, 0o, 0b, with underscores. */
export function decodeInt(image: string, position: Position): number {
  const value = Number(image.replaceAll('_', ''));
  if (!Number.isSafeInteger(value)) {
    const shown = image.length > 40 ? `${image.slice(0, 40)}…` : image;
    throw new SyntaxProblem(position, `${shown} is beyond the integers of the embedded switch (2**53 - 1)`);
  }
  return value;
}

export function decodeFloat(image: string): PyFloat {
  return new PyFloat(Number(image.replaceAll('_', '')));
}

/** A string token apart: `rf'''…'''` is raw, formatted, and its body lies `start` characters into the image. */
export interface StringToken {
  readonly raw: boolean;
  readonly formatted: boolean;
  readonly body: string;
  readonly start: number;
}

export function splitString(image: string): StringToken {
  const quoteAt = image.search(/['"]/);
  const prefix = image.slice(0, quoteAt).toLowerCase();
  const quote = image[quoteAt] ?? '';
  const triple = image.length >= quoteAt + 6 && image.startsWith(quote.repeat(3), quoteAt);
  const width = triple ? 3 : 1;
  return {
    raw: prefix.includes('r'),
    formatted: prefix.includes('f'),
    body: image.slice(quoteAt + width, image.length - width),
    start: quoteAt + width,
  };
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** How many hex digits follow `\x`, `\u`, `\U`. */
const HEX_ESCAPES: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** The text of a string body, escapes resolved as Python does; an unknown escape stays as it is written. */
export function decodeEscapes(body: string, position: Position): string {
  if (!body.includes('\\')) return body;
  return body.replace(
    /\\(?:([0-7]{1,3})|([xuU])([\da-fA-F]*)|([\s\S]))/g,
    (whole, octal?: string, hexKind?: string, hexDigits?: string, simple?: string) => {
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      if (hexKind !== undefined) return decodeHex(hexKind, hexDigits ?? '', position);
      if (simple === 'N') throw new SyntaxProblem(position, 'not supported by the embedded switch: \\N{…} in a string');
      return SIMPLE_ESCAPES[simple ?? ''] ?? whole;
    },
  );
}

function decodeHex(kind: string, digits: string, position: Position): string {
  const count = HEX_ESCAPES[kind] ?? 0;
  const code = Number.parseInt(digits.slice(0, count), 16);
  if (digits.length < count || code > 0x10ffff) {
    throw new SyntaxProblem(position, `\\${kind} in a string needs ${count} hex digits of a character`);
  }
  return String.fromCodePoint(code) + digits.slice(count);
}
