/**
 * The fields of an f-string (Python reference 2.4.3, as before Python 3.12: no backslash in an expression, and the
 * quotes around the string end it wherever they stand).
 */
import type { FormattedPart, Replacement } from './ast.js';
import { type Position, SyntaxProblem } from './errors.js';
import { decodeEscapes, type StringToken } from './literals.js';

/** Parses the text of an expression that begins at `position`. */
export type ExpressionParser = (text: string, position: Position) => Replacement['expression'];

/** Takes the body of an f-string apart. `position` and `image` are the whole token's. */
export function parseFormatted(
  token: StringToken,
  image: string,
  position: Position,
  parseExpression: ExpressionParser,
): FormattedPart[] {
  return new FieldScanner(token, image, position, parseExpression).parts(0);
}

class FieldScanner {
  private at = 0;
  /** The character of the body that {@link place} is of; negative before its start. */
  private counted: number;
  private place: Position;

  constructor(
    private readonly token: StringToken,
    private readonly image: string,
    private readonly origin: Position,
    private readonly parseExpression: ExpressionParser,
  ) {
    this.counted = -token.start;
    this.place = origin;
  }

  /** Texts and fields, to the end of the body, or (`depth` 1: a format spec) to the `}` that ends the field. */
  parts(depth: number): FormattedPart[] {
    const parts: FormattedPart[] = [];
    const { body } = this.token;
    let text = '';
    while (this.at < body.length) {
      const character = body[this.at] ?? '';
      const doubled = body[this.at + 1] === character && depth === 0;
      if (character === '}' && depth > 0) break;
      if ((character === '{' || character === '}') && doubled) {
        text += character;
        this.at += 2;
      } else if (character === '{') {
        if (depth > 1) throw this.problem(this.at, 'the fields of this f-string are nested too deeply');
        if (text !== '') parts.push(this.decode(text));
        text = '';
        parts.push(this.field(depth));
      } else if (character === '}') {
        throw this.problem(this.at, "a single '}' in an f-string (write '}}' for the character)");
      } else {
        const width = character === '\\' && !this.token.raw ? 2 : 1;
        text += body.slice(this.at, this.at + width);
        this.at += width;
      }
    }
    if (text !== '') parts.push(this.decode(text));
    return parts;
  }

  /** `{expression!r:spec}`; stands on the brace. */
  private field(depth: number): Replacement {
    const open = this.at++;
    const start = this.at;
    const end = this.expressionEnd(open);
    const { body } = this.token;
    const text = body.slice(start, end);
    if (text.trim() === '') throw this.problem(open, "an f-string's '{}' needs an expression");
    if (text.includes('\\')) throw this.problem(start, 'an expression in an f-string cannot have a backslash');
    if (/[^=!<>]=\s*$/.test(text)) throw this.problem(start, 'not supported by the embedded switch: {name=}');
    const expression = this.parseExpression(text, this.positionAt(start));
    this.at = end;

    let conversion: Replacement['conversion'] = null;
    if (body[this.at] === '!') {
      const letter = body[this.at + 1];
      if (letter !== 'r' && letter !== 's') throw this.problem(this.at, "expected !r or !s in the f-string's field");
      conversion = letter;
      this.at += 2;
    }
    let spec: FormattedPart[] = [];
    if (body[this.at] === ':') {
      this.at++;
      spec = this.parts(depth + 1);
    }
    if (body[this.at] !== '}') throw this.problem(open, "'{' in an f-string is never closed");
    this.at++;
    return { expression, conversion, spec };
  }

  /** Where the expression ends: at a `!`, `:` or `}` outside brackets and strings. */
  private expressionEnd(open: number): number {
    const { body } = this.token;
    let brackets = 0;
    for (let i = open + 1; i < body.length; i++) {
      const character = body[i] ?? '';
      if (character === "'" || character === '"') {
        i = body.indexOf(character, i + 1);
        if (i < 0) break;
      } else if (character === '#') {
        throw this.problem(i, 'an expression in an f-string cannot have a comment');
      } else if ('([{'.includes(character)) {
        brackets++;
      } else if (brackets > 0) {
        if (')]}'.includes(character)) brackets--;
      } else if (character === '}' || character === ':' || (character === '!' && body[i + 1] !== '=')) {
        return i;
      }
    }
    throw this.problem(open, "'{' in an f-string is never closed");
  }

  private decode(text: string): string {
    return this.token.raw ? text : decodeEscapes(text, this.origin);
  }

  private problem(at: number, text: string): SyntaxProblem {
    return new SyntaxProblem(this.positionAt(at), text);
  }

  /** Place in the script of a character of the body; counts on from the place asked for before. */
  private positionAt(at: number): Position {
    if (at < this.counted) {
      this.counted = -this.token.start;
      this.place = this.origin;
    }
    let { line, column } = this.place;
    for (let i = this.token.start + this.counted; i < this.token.start + at; i++) {
      const isNewline = this.image[i] === '\n';
      line += isNewline ? 1 : 0;
      column = isNewline ? 1 : column + 1;
    }
    this.counted = at;
    this.place = { line, column };
    return this.place;
  }
}
