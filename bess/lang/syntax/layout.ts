/**
 * Turns physical lines into logical lines: adds the tokens for the beginning and the end of blocks, and removes
 * newlines that end no statement: those inside brackets and on blank lines. The blanks before a statement open and
 * close blocks (Python reference 2.1.8: a tab goes to the next multiple of 8, but the width of tabs must not matter).
 * BESS's syntax for creating modules is found here too, as BESS also looks for it in the tokens, before any grammar.
 */
import { Problem } from '../errors.js';
import { Lexer, type Token } from './tokens.js';

/** Python's own limit for nested blocks. Together with the same limit for brackets it bounds the depth of the stack. */
const MAX_DEPTH = 100;

const CLOSES: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };

/** Width of an indentation with tabs of 8 columns and of 1. Two lines must compare the same with both. */
type Width = readonly [wide: number, narrow: number];

/** The tokens of a whole script, in logical lines. */
export function layOut(source: string): Token[] {
  // Without the blanks at the end, the error for a missing token points behind the last token.
  const lexer = new Lexer(source.trimEnd());
  const out: Token[] = [];
  const brackets: Token[] = [];
  const widths: Width[] = [[0, 0]];
  let atLineStart = true;
  let token = lexer.next();
  for (; token.kind !== 'end'; token = lexer.next()) {
    if (token.kind === 'newline') {
      if (brackets.length > 0 || atLineStart) continue;
      atLineStart = true;
    } else if (atLineStart) {
      atLineStart = false;
      indent(source, token, widths, out);
    }
    out.push(token);
    countBracket(token, brackets);
  }
  const open = brackets.at(-1);
  if (open !== undefined) throw new Problem(`'${open.text}' is never closed`, open.position);
  // The last line may have no newline, and the end of the script ends all blocks.
  if (!atLineStart) out.push({ ...token, kind: 'newline' });
  for (let i = 1; i < widths.length; i++) out.push({ ...token, kind: 'dedent' });
  out.push(token);
  markCreations(out);
  return out;
}

/** Adds the token for a block that begins at `first`, or those for the blocks that end before it. */
function indent(source: string, first: Token, widths: Width[], out: Token[]): void {
  const blanks = source.slice(source.lastIndexOf('\n', first.offset - 1) + 1, first.offset);
  const wide = Array.from(blanks).reduce((sum, character) => sum + (character === '\t' ? 8 - (sum % 8) : 1), 0);
  const refuse = (text: string): never => {
    throw new Problem(text, first.position);
  };
  let [topWide, topNarrow] = widths.at(-1) as Width;
  if (wide > topWide) {
    if (widths.length > MAX_DEPTH) refuse('blocks are nested too deeply');
    widths.push([wide, blanks.length]);
    out.push({ ...first, kind: 'indent' });
  }
  for (; wide < topWide; [topWide, topNarrow] = widths.at(-1) as Width) {
    widths.pop();
    out.push({ ...first, kind: 'dedent' });
  }
  if (out.at(-1)?.kind !== 'indent' && wide !== topWide) refuse('this indentation matches no block around it');
  if (Math.sign(wide - topWide) !== Math.sign(blanks.length - topNarrow)) {
    refuse('tabs and spaces are mixed in the indentation');
  }
}

/** Updates the list of open brackets with the next token. */
export function countBracket(token: Token, open: Token[]): void {
  const { kind, position } = token;
  if ('([{'.includes(kind)) {
    if (open.length >= MAX_DEPTH) throw new Problem('brackets are nested too deeply', position);
    open.push(token);
  }
  const opener = CLOSES[kind];
  if (opener === undefined) return;
  const last = open.pop();
  if (last === undefined) throw new Problem(`'${kind}' closes nothing`, position);
  if (last.kind === opener) return;
  const from = `line ${last.position.line}, column ${last.position.column}`;
  throw new Problem(`'${kind}' does not close '${last.kind}' (${from})`, position);
}

/**
 * Makes the first name of each `a, b::Class(` a token of its own kind. BESS's sugar.py takes all names and commas
 * before the `::`, wherever they stand, even among the arguments of a call; so does this.
 */
function markCreations(tokens: Token[]): void {
  const kindAt = (index: number): string | undefined => tokens[index]?.kind;
  for (const [i, token] of tokens.entries()) {
    if (token.kind !== '::') continue;
    let first = i - 1;
    if (kindAt(first) !== 'name' || kindAt(i + 1) !== 'name' || kindAt(i + 2) !== '(') {
      tokens[i] = { ...token, kind: 'problem', problem: "expected name::Module(…) around '::'" };
      continue;
    }
    while (kindAt(first - 1) === ',' && kindAt(first - 2) === 'name') first -= 2;
    tokens[first] = { ...(tokens[first] as Token), kind: 'created' };
  }
}
