/** What is said of a mistake in a script: what was expected, and what was found instead. */
import { EOF, type IParserErrorMessageProvider, type IToken, tokenLabel } from 'chevrotain';
import * as T from './tokens.js';

/** Chevrotain's messages, down to what was expected; {@link describeMistake} adds what was found. */
export const expectation: IParserErrorMessageProvider = {
  // Only a field of an f-string asks for its own end.
  buildMismatchTokenMessage: ({ expected }) =>
    `expected ${expected === EOF ? 'the end of the expression' : tokenLabel(expected)}`,
  buildNotAllInputParsedMessage: () => 'expected a statement',
  buildNoViableAltMessage: ({ customUserDescription }) => customUserDescription ?? 'expected something else',
  buildEarlyExitMessage: ({ customUserDescription }) => customUserDescription ?? 'expected something else',
};

/** The whole text for a token that the grammar did not want. */
export function describeMistake(expected: string, found: IToken): string {
  return describeNonToken(found) ?? `${expected} but found ${describeToken(found)}`;
}

/** Tokens that no rule takes, and what is wrong with each. */
function describeNonToken(token: IToken): string | null {
  switch (token.tokenType) {
    case T.Unsupported:
    case T.UnsupportedSymbol:
      return `not supported by the embedded switch: ${unsupportedThing(token.image)}`;
    case T.Bytes:
      return `not supported by the embedded switch: bytes (${clip(token.image)})`;
    case T.BadNumber:
      return `${clip(token.image)} is not a number`;
    case T.OpenText:
      return `the string ${clip(token.image)} is never closed`;
    case T.Unexpected:
      if (token.image === '\\') return "a '\\' that continues a line must be the last character on it";
      return `unexpected character ${JSON.stringify(token.image)}`;
    case T.Indent:
      return 'unexpected indentation';
    default:
      return null;
  }
}

function unsupportedThing(image: string): string {
  if (image.startsWith('@')) return "'@' (decorators)";
  return image === 'from' ? "'from' (use: import os)" : `'${image}'`;
}

function describeToken(token: IToken): string {
  switch (token.tokenType) {
    case T.Newline:
      return 'the end of the line';
    case T.Dedent:
      return 'the end of the block';
    case EOF:
      return 'the end of the text';
    default:
      return `'${clip(token.image)}'`;
  }
}

function clip(text: string): string {
  const line = text.split('\n', 1)[0] ?? '';
  return line.length < text.length || line.length > 40 ? `${line.slice(0, 40)}…` : line;
}
