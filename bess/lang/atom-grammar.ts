/**
 * The grammar of the smallest expressions: names, literals, `$NAME`, `name::Class(…)`, and all that has brackets.
 *
 * Chevrotain runs each rule once with empty tokens to learn the grammar, hence ACTION around what looks into values.
 */
import { EmbeddedActionsParser, type IToken, type ParserMethod } from 'chevrotain';
import type {
  Argument,
  Comprehension,
  ComprehensionClause,
  ConstantValue,
  DictionaryEntry,
  Expression,
  FormattedPart,
  Target,
} from './ast.js';
import { NOWHERE, SyntaxProblem } from './errors.js';
import { positionOf } from './layout.js';
import { decodeEscapes, decodeFloat, decodeInt, splitString } from './literals.js';
import { toTarget } from './pipeline.js';
import { expectation } from './syntax-messages.js';
import * as T from './tokens.js';

/** A rule of the grammar that yields an R. */
export type Rule<R> = ParserMethod<[], R>;

export abstract class AtomGrammar extends EmbeddedActionsParser {
  /** `validate`: have chevrotain check the grammar, which costs more than a script does; the tests do. */
  constructor(validate: boolean) {
    super(T.ALL_TOKENS, { skipValidations: !validate, maxLookahead: 2, errorMessageProvider: expectation });
  }

  protected abstract readonly expressionList: Rule<Expression>;
  protected abstract readonly expression: Rule<Expression>;
  protected abstract readonly operation: Rule<Expression>;
  protected abstract readonly primary: Rule<Expression>;
  protected abstract readonly callArguments: Rule<Argument[]>;

  protected readonly atom: Rule<Expression> = this.RULE(
    'atom',
    (): Expression =>
      this.OR<Expression>({
        DEF: [
          { ALT: () => this.constant(this.CONSUME(T.None_), () => null) },
          { ALT: () => this.constant(this.CONSUME(T.True_), () => true) },
          { ALT: () => this.constant(this.CONSUME(T.False_), () => false) },
          { ALT: () => this.constant(this.CONSUME(T.Int), (token) => decodeInt(token.image, positionOf(token))) },
          { ALT: () => this.constant(this.CONSUME(T.Float), (token) => decodeFloat(token.image)) },
          {
            ALT: () => {
              const token = this.CONSUME(T.Name);
              return { kind: 'name', name: token.image, position: positionOf(token) };
            },
          },
          { ALT: () => this.SUBRULE(this.strings) },
          { ALT: () => this.SUBRULE(this.creation) },
          { ALT: () => this.SUBRULE(this.variable) },
          { ALT: () => this.SUBRULE(this.group) },
          { ALT: () => this.SUBRULE(this.list) },
          { ALT: () => this.SUBRULE(this.dictionary) },
        ],
        ERR_MSG: 'expected an expression',
      }),
  );

  private constant(token: IToken, decode: (token: IToken) => ConstantValue): Expression {
    return this.ACTION((): Expression => ({ kind: 'constant', value: decode(token), position: positionOf(token) }));
  }

  /** One string or several in a row, which are one. */
  private readonly strings: Rule<Expression> = this.RULE('strings', (): Expression => {
    const tokens: IToken[] = [];
    this.AT_LEAST_ONE(() => tokens.push(this.CONSUME(T.Text)));
    return this.ACTION(() => joinStrings(tokens));
  });

  /** `a, b::Class(…)`; `layout.ts` has found the `::`. */
  private readonly creation: Rule<Expression> = this.RULE('creation', (): Expression => {
    const first = this.CONSUME(T.CreatedName);
    const names = [first.image];
    this.MANY(() => {
      this.CONSUME(T.Comma);
      names.push(this.CONSUME(T.Name).image);
    });
    this.CONSUME(T.DoubleColon);
    const className = this.CONSUME2(T.Name).image;
    this.CONSUME(T.OpenParen);
    const list = this.SUBRULE(this.callArguments);
    this.CONSUME(T.CloseParen);
    return { kind: 'creation', names, className, arguments: list, position: positionOf(first) };
  });

  /** `$NAME`, `$NAME!'text'`, `$NAME!other`, `$NAME!(…)`. */
  private readonly variable: Rule<Expression> = this.RULE('variable', (): Expression => {
    const token = this.CONSUME(T.VariableName);
    const fallback = this.OPTION(() => {
      this.CONSUME(T.Bang);
      return this.OR<Expression>({
        DEF: [
          {
            ALT: () => {
              const text = this.CONSUME(T.Text);
              return this.ACTION(() => joinStrings([text]));
            },
          },
          {
            ALT: () => {
              const name = this.CONSUME(T.Name);
              return { kind: 'name', name: name.image, position: positionOf(name) };
            },
          },
          {
            ALT: () => {
              this.CONSUME(T.OpenParen);
              const value = this.SUBRULE(this.expression);
              this.CONSUME(T.CloseParen);
              return value;
            },
          },
        ],
        ERR_MSG: "expected a string, a name or '(' after '!'",
      });
    });
    return { kind: 'variable', name: token.image.slice(1), fallback: fallback ?? null, position: positionOf(token) };
  });

  /** `()`, `(a)`, `(a, b)`, `(a -> b)`, `(x for …)`. */
  private readonly group: Rule<Expression> = this.RULE('group', (): Expression => {
    const position = positionOf(this.CONSUME(T.OpenParen));
    let value: Expression | undefined;
    let clauses: ComprehensionClause[] | undefined;
    this.OPTION(() => {
      value = this.SUBRULE(this.expressionList);
      clauses = this.OPTION2(() => this.SUBRULE(this.clauses));
    });
    this.CONSUME(T.CloseParen);
    return this.ACTION((): Expression => {
      if (value === undefined) return { kind: 'sequence', type: 'tuple', items: [], position };
      if (clauses !== undefined) value = comprehension('generator', value, null, clauses);
      return { kind: 'enclosed', value, position };
    });
  });

  private readonly list: Rule<Expression> = this.RULE('list', (): Expression => {
    const position = positionOf(this.CONSUME(T.OpenBracket));
    const items: Expression[] = [];
    let clauses: ComprehensionClause[] | undefined;
    this.OPTION(() => {
      items.push(this.SUBRULE(this.expression));
      this.OR([
        {
          ALT: () => {
            clauses = this.SUBRULE(this.clauses);
          },
        },
        {
          ALT: () => {
            this.MANY(() => {
              this.CONSUME(T.Comma);
              items.push(this.SUBRULE2(this.expression));
            });
            this.OPTION2(() => this.CONSUME2(T.Comma));
          },
        },
      ]);
    });
    this.CONSUME(T.CloseBracket);
    return this.ACTION((): Expression => {
      if (clauses !== undefined) return comprehension('list', items[0] as Expression, null, clauses);
      return { kind: 'sequence', type: 'list', items, position };
    });
  });

  private readonly dictionary: Rule<Expression> = this.RULE('dictionary', (): Expression => {
    const position = positionOf(this.CONSUME(T.OpenBrace));
    const entries: DictionaryEntry[] = [];
    let clauses: ComprehensionClause[] | undefined;
    this.OPTION(() => {
      entries.push(this.SUBRULE(this.entry));
      this.OR([
        {
          ALT: () => {
            clauses = this.SUBRULE(this.clauses);
          },
        },
        {
          ALT: () => {
            this.MANY(() => {
              this.CONSUME(T.Comma);
              entries.push(this.SUBRULE2(this.entry));
            });
            this.OPTION2(() => this.CONSUME2(T.Comma));
          },
        },
      ]);
    });
    this.CONSUME(T.CloseBrace);
    return this.ACTION((): Expression => {
      const first = entries[0];
      if (first !== undefined && clauses !== undefined) return comprehension('dict', first.key, first.value, clauses);
      return { kind: 'dictionary', entries, position };
    });
  });

  private readonly entry: Rule<DictionaryEntry> = this.RULE('entry', (): DictionaryEntry => {
    const key = this.SUBRULE(this.expression);
    this.CONSUME(T.Colon);
    return { key, value: this.SUBRULE2(this.expression) };
  });

  /** `for x in y if z for …`. */
  protected readonly clauses: Rule<ComprehensionClause[]> = this.RULE('clauses', (): ComprehensionClause[] => {
    const clauses: ComprehensionClause[] = [];
    this.AT_LEAST_ONE(() => {
      this.CONSUME(T.For);
      const target = this.SUBRULE(this.targetList);
      this.CONSUME(T.In);
      clauses.push({ kind: 'for', target, iterable: this.SUBRULE(this.operation) });
      this.MANY(() => {
        this.CONSUME(T.If);
        clauses.push({ kind: 'if', condition: this.SUBRULE2(this.operation) });
      });
    });
    return clauses;
  });

  /** What `for` binds: no operators here, or `in` would be taken for one. */
  protected readonly targetList: Rule<Target> = this.RULE('targetList', (): Target => {
    const items = [this.SUBRULE(this.primary)];
    let isTuple = false;
    this.MANY(() => {
      this.CONSUME(T.Comma);
      items.push(this.SUBRULE2(this.primary));
      isTuple = true;
    });
    this.OPTION(() => {
      this.CONSUME2(T.Comma);
      isTuple = true;
    });
    return this.ACTION(() => toTarget(listOrTuple(items, isTuple)));
  });
}

/** The item itself, or a tuple of all. */
export function listOrTuple(items: readonly Expression[], isTuple: boolean): Expression {
  const first = items[0] as Expression;
  if (!isTuple) return first;
  return { kind: 'sequence', type: 'tuple', items, position: first?.position ?? NOWHERE };
}

/** The strings as one: a constant, or with fields if one of them is an f-string. */
function joinStrings(tokens: readonly IToken[]): Expression {
  const position = positionOf(tokens[0] as IToken);
  const parts: FormattedPart[] = [];
  let formatted = false;
  for (const token of tokens) {
    const text = splitString(token.image);
    formatted ||= text.formatted;
    // Hung there by parse.ts.
    if (text.formatted) for (const part of token.payload as FormattedPart[]) parts.push(part);
    else parts.push(text.raw ? text.body : decodeEscapes(text.body, positionOf(token)));
  }
  if (formatted) return { kind: 'formatted', parts, position };
  return { kind: 'constant', value: parts.join(''), position };
}

export function comprehension(
  type: Comprehension['type'],
  element: Expression,
  value: Expression | null,
  clauses: readonly ComprehensionClause[],
): Expression {
  if (element.kind === 'sequence' && element.type === 'tuple' && element.position === element.items[0]?.position) {
    throw new SyntaxProblem(element.position, "a tuple before 'for' must be in parentheses");
  }
  return { kind: 'comprehension', type, element, value, clauses, position: element.position };
}
