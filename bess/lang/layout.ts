/**
 * From physical to logical lines: the tokens that Python's grammar sees and its text does not show.
 *
 * Newlines end a statement except inside brackets and on blank lines; the blanks before a statement open and close
 * blocks (Python reference 2.1.8: tabs go to multiples of 8, and must not matter). BESS's sugar for creating modules is
 * found here too, as BESS does it: by its text, before any grammar.
 */
import { createTokenInstance, type IToken, type TokenType } from 'chevrotain';
import { type Position, SyntaxProblem } from './errors.js';
import * as T from './tokens.js';

/** Python's own limit for blocks; the same for brackets bounds the depth of the parser and of the interpreter. */
const MAX_DEPTH = 100;

const CLOSES = new Map<TokenType, TokenType>([
  [T.CloseParen, T.OpenParen],
  [T.CloseBracket, T.OpenBracket],
  [T.CloseBrace, T.OpenBrace],
]);
const OPENS = new Set(CLOSES.values());

/** Where a token begins. */
export function positionOf(token: IToken): Position {
  return { line: token.startLine ?? 0, column: token.startColumn ?? 0 };
}

/** Width of an indentation with tabs of 8 and of 1: both must order the lines alike. */
interface Width {
  readonly wide: number;
  readonly narrow: number;
}

/** The tokens of a whole script, in logical lines. */
export function layOutScript(source: string, tokens: readonly IToken[]): IToken[] {
  return new Layout(source).run(markCreations(tokens));
}

/**
 * The tokens of one expression out of an f-string: it may go over lines, there are no blocks, and the sugar is none
 * there, because BESS does not look into strings.
 */
export function layOutExpression(tokens: readonly IToken[]): IToken[] {
  const kept: IToken[] = [];
  const brackets = new Brackets();
  for (const token of tokens) {
    if (token.tokenType === T.VariableName) {
      throw new SyntaxProblem(positionOf(token), `${token.image}: BESS does not look for variables inside strings`);
    }
    if (token.tokenType === T.DoubleColon) kept.push(...splitColons(token, brackets));
    else if (token.tokenType !== T.LineEnd) kept.push(token);
    brackets.see(token);
  }
  brackets.finish();
  return kept;
}

/** A `::` that creates no module: in `x[::2]` it is two colons, elsewhere a mistake. */
function splitColons(token: IToken, around: Brackets): IToken[] {
  if (around.innermost?.tokenType !== T.OpenBracket) {
    throw new SyntaxProblem(positionOf(token), "expected name::Module(…) around '::'");
  }
  return [makeToken(T.Colon, token), makeToken(T.Colon, token)];
}

/** A token that the text does not have, at the place of `at`, or right behind it. */
function makeToken(type: TokenType, at: IToken, behind = false): IToken {
  const line = (behind ? at.endLine : at.startLine) ?? 0;
  const column = behind ? (at.endColumn ?? 0) + 1 : (at.startColumn ?? 0);
  const text = type === T.Colon ? ':' : '';
  return createTokenInstance(type, text, at.startOffset, at.startOffset, line, line, column, column);
}

class Layout {
  private readonly out: IToken[] = [];
  private readonly brackets = new Brackets();
  private readonly widths: Width[] = [{ wide: 0, narrow: 0 }];
  private atLineStart = true;

  constructor(private readonly source: string) {}

  run(tokens: readonly IToken[]): IToken[] {
    for (const token of tokens) {
      if (token.tokenType === T.LineEnd) this.endLine(token);
      else this.add(token);
    }
    this.brackets.finish();
    this.finish();
    return this.out;
  }

  private endLine(token: IToken): void {
    if (this.brackets.depth > 0 || this.atLineStart) return;
    this.out.push(makeToken(T.Newline, token));
    this.atLineStart = true;
  }

  private add(token: IToken): void {
    if (this.atLineStart) {
      this.atLineStart = false;
      this.indent(token);
    }
    if (token.tokenType === T.DoubleColon && !isCreation(this.out)) this.out.push(...splitColons(token, this.brackets));
    else this.out.push(token);
    this.brackets.see(token);
  }

  private indent(first: IToken): void {
    const line = this.source.slice(this.source.lastIndexOf('\n', first.startOffset - 1) + 1, first.startOffset);
    const width = measure(line);
    let top = this.widths[this.widths.length - 1] as Width;
    if (width.wide > top.wide) {
      this.checkTabs(width.narrow > top.narrow, first);
      if (this.widths.length > MAX_DEPTH) throw new SyntaxProblem(positionOf(first), 'too many blocks in each other');
      this.widths.push(width);
      this.out.push(makeToken(T.Indent, first));
      return;
    }
    while (width.wide < top.wide) {
      this.widths.pop();
      top = this.widths[this.widths.length - 1] as Width;
      this.out.push(makeToken(T.Dedent, first));
    }
    if (width.wide !== top.wide) {
      throw new SyntaxProblem(positionOf(first), 'this indentation matches no block around it');
    }
    this.checkTabs(width.narrow === top.narrow, first);
  }

  private checkTabs(consistent: boolean, token: IToken): void {
    if (!consistent) throw new SyntaxProblem(positionOf(token), 'tabs and spaces are mixed in the indentation');
  }

  /** Every script ends with a line's end and with its blocks closed. */
  private finish(): void {
    const last = this.out[this.out.length - 1];
    if (last === undefined) return;
    if (last.tokenType !== T.Newline) this.out.push(makeToken(T.Newline, last, true));
    const end = this.out[this.out.length - 1] as IToken;
    for (let i = 1; i < this.widths.length; i++) this.out.push(makeToken(T.Dedent, end));
  }
}

/** Which brackets are open. */
class Brackets {
  private readonly open: IToken[] = [];

  get depth(): number {
    return this.open.length;
  }

  get innermost(): IToken | undefined {
    return this.open[this.open.length - 1];
  }

  see(token: IToken): void {
    if (OPENS.has(token.tokenType)) {
      if (this.open.length >= MAX_DEPTH) throw new SyntaxProblem(positionOf(token), 'too many brackets in each other');
      this.open.push(token);
      return;
    }
    const opener = CLOSES.get(token.tokenType);
    if (opener === undefined) return;
    const last = this.open.pop();
    if (last === undefined) throw new SyntaxProblem(positionOf(token), `'${token.image}' closes nothing`);
    if (last.tokenType !== opener) {
      const from = `line ${last.startLine}, column ${last.startColumn}`;
      throw new SyntaxProblem(positionOf(token), `'${token.image}' does not close '${last.image}' (${from})`);
    }
  }

  finish(): void {
    const last = this.innermost;
    if (last !== undefined) throw new SyntaxProblem(positionOf(last), `'${last.image}' is never closed`);
  }
}

/** True when the tokens so far end in the names of a creation. */
function isCreation(tokens: readonly IToken[]): boolean {
  let i = tokens.length - 1;
  while (tokens[i]?.tokenType === T.Name && tokens[i - 1]?.tokenType === T.Comma) i -= 2;
  return tokens[i]?.tokenType === T.CreatedName;
}

/**
 * Makes the first name of each `a, b::Class(` a token of its own kind. BESS's sugar.py takes all names and commas
 * before the `::`, wherever they stand, even among the arguments of a call; so do we.
 */
function markCreations(tokens: readonly IToken[]): IToken[] {
  const marked = [...tokens];
  for (let i = 1; i + 2 < marked.length; i++) {
    if (marked[i]?.tokenType !== T.DoubleColon) continue;
    if (marked[i + 1]?.tokenType !== T.Name || marked[i + 2]?.tokenType !== T.OpenParen) continue;
    let first = i - 1;
    if (marked[first]?.tokenType !== T.Name) continue;
    while (marked[first - 1]?.tokenType === T.Comma && marked[first - 2]?.tokenType === T.Name) first -= 2;
    const token = marked[first] as IToken;
    marked[first] = { ...token, tokenType: T.CreatedName, tokenTypeIdx: T.CreatedName.tokenTypeIdx ?? 0 };
  }
  return marked;
}

function measure(blanks: string): Width {
  let wide = 0;
  let narrow = 0;
  for (const character of blanks) {
    if (character === '\f') {
      wide = 0;
      narrow = 0;
    } else {
      wide += character === '\t' ? 8 - (wide % 8) : 1;
      narrow++;
    }
  }
  return { wide, narrow };
}
