/**
 * Reads tokens one after the other; its errors say what was expected and what was found. The parser is a chain of
 * classes, one for each level of the grammar: this one, atoms, primary, sugar, expressions, statements.
 */
import { Problem } from '../errors.js';
import { clip, type Token } from '../syntax/tokens.js';

/** How messages name the kinds of tokens whose text says nothing. */
const LABELS: Readonly<Record<string, string>> = {
  name: 'a name',
  newline: 'the end of the line',
  indent: 'an indented block',
  dedent: 'the end of the block',
  fieldEnd: 'the end of the expression',
  end: 'the end of the text',
};

/** Number of tokens per step, as a power of two: more than most statements have. */
const TOKENS_SHIFT = 5;

export class TokenReader {
  private next = 0;
  /** Number of tokens taken so far, those in f-strings included. */
  private taken = 0;

  /** The last of `tokens` is never taken. */
  constructor(private tokens: readonly Token[]) {}

  /** The token that comes next. */
  protected get token(): Token {
    return this.tokens[this.next] as Token;
  }

  /** The kind of the token after the next one. */
  protected get following(): string | undefined {
    return this.tokens[this.next + 1]?.kind;
  }

  protected take(): Token {
    const { token } = this;
    this.next++;
    this.taken++;
    return token;
  }

  /** Applies a rule. Returns its result, and the cost, in steps, of executing what the rule has read. */
  protected costed<T>(rule: () => T): { readonly result: T; readonly cost: number } {
    const before = this.taken;
    const result = rule();
    return { result, cost: (this.taken - before) >> TOKENS_SHIFT };
  }

  /** Takes the next token if it is of one of these kinds. */
  protected accept(...kinds: string[]): Token | null {
    return kinds.includes(this.token.kind) ? this.take() : null;
  }

  /** Takes the next token, which must be of this kind. */
  protected expect(kind: string): Token {
    return this.accept(kind) ?? this.fail(LABELS[kind] ?? `'${kind}'`);
  }

  /** Throws the error for the next token, which is not what was expected. */
  protected fail(expected: string): never {
    const { kind, text, position, problem } = this.token;
    if (kind === 'indent') throw new Problem('unexpected indentation', position);
    const found = kind !== 'name' && kind in LABELS ? LABELS[kind] : `'${clip(text)}'`;
    throw new Problem(problem ?? `expected ${expected} but found ${found}`, position);
  }

  /** Reads items with commas between them, up to and including the token that closes the list. */
  protected list<T>(item: () => T, closes: string): T[] {
    const items: T[] = [];
    while (this.token.kind !== closes) {
      items.push(item());
      if (this.accept(',') === null) break;
    }
    return this.accept(closes) === null ? this.fail(`',' or '${closes}'`) : items;
  }

  /** Parses other tokens, such as those of a field in an f-string, by a rule that must read them to their last. */
  protected within<T>(tokens: readonly Token[], rule: () => T): T {
    const [outer, next] = [this.tokens, this.next];
    this.tokens = tokens;
    this.next = 0;
    const result = rule();
    this.expect((tokens.at(-1) as Token).kind);
    this.tokens = outer;
    this.next = next;
    return result;
  }
}
