/** The grammar of expressions: operators, what follows a value, and the arrows of BESS between modules. */
import { EOF, type IToken } from 'chevrotain';
import type { Argument, Expression, Stage, Trailer } from './ast.js';
import { AtomGrammar, comprehension, listOrTuple, type Rule } from './atom-grammar.js';
import { checkArguments } from './checks.js';
import { NOWHERE, SyntaxProblem } from './errors.js';
import { positionOf } from './layout.js';
import { buildPipeline } from './pipeline.js';
import { buildOperation, type InfixOperator, type Operand } from './precedence.js';
import * as T from './tokens.js';

export abstract class ExpressionGrammar extends AtomGrammar {
  /** An f-string's field, whole. */
  readonly field: Rule<Expression> = this.RULE('field', (): Expression => {
    const value = this.SUBRULE(this.expression);
    this.CONSUME(EOF);
    return value;
  });

  /** `a`, `a, b`, `a -> b`: what may stand alone, be assigned, or be put in parentheses. */
  protected readonly expressionList: Rule<Expression> = this.RULE('expressionList', (): Expression => {
    const items = [this.SUBRULE(this.pipeline)];
    let isTuple = false;
    this.MANY(() => {
      this.CONSUME(T.Comma);
      items.push(this.SUBRULE2(this.pipeline));
      isTuple = true;
    });
    this.OPTION(() => {
      this.CONSUME2(T.Comma);
      isTuple = true;
    });
    return this.ACTION(() => listOrTuple(items, isTuple));
  });

  /** `a`, `a, b`, where a `:` follows, so that no gate can. */
  protected readonly plainList: Rule<Expression> = this.RULE('plainList', (): Expression => {
    const items = [this.SUBRULE(this.expression)];
    let isTuple = false;
    this.MANY(() => {
      this.CONSUME(T.Comma);
      items.push(this.SUBRULE2(this.expression));
      isTuple = true;
    });
    this.OPTION(() => {
      this.CONSUME2(T.Comma);
      isTuple = true;
    });
    return this.ACTION(() => listOrTuple(items, isTuple));
  });

  private readonly pipeline: Rule<Expression> = this.RULE('pipeline', (): Expression => {
    const parts = this.SUBRULE(this.stage);
    const stages: Stage[] = [{ parts, position: this.ACTION(() => parts[0]?.position ?? NOWHERE) }];
    this.MANY(() => {
      const arrow = this.CONSUME(T.Arrow);
      stages.push({ parts: this.SUBRULE2(this.stage), position: positionOf(arrow) });
    });
    return this.ACTION(() => buildPipeline(stages));
  });

  private readonly stage: Rule<Expression[]> = this.RULE('stage', (): Expression[] => {
    const parts = [this.SUBRULE(this.expression)];
    this.MANY(() => {
      this.CONSUME(T.Colon);
      parts.push(this.SUBRULE2(this.expression));
    });
    return parts;
  });

  /** An expression without arrows and commas. */
  protected readonly expression: Rule<Expression> = this.RULE('expression', (): Expression => {
    const values = [this.SUBRULE(this.operation)];
    const conditions: Expression[] = [];
    this.MANY(() => {
      this.CONSUME(T.If);
      conditions.push(this.SUBRULE2(this.operation));
      this.CONSUME(T.Else);
      values.push(this.SUBRULE3(this.operation));
    });
    return this.ACTION((): Expression => {
      const otherwise = values[values.length - 1] as Expression;
      if (conditions.length === 0) return otherwise;
      const branches = conditions.map((condition, i) => ({ condition, value: values[i] as Expression }));
      return { kind: 'conditional', branches, otherwise, position: (values[0] as Expression).position };
    });
  });

  /** Operands and operators, flat; `precedence.ts` makes the tree. */
  protected readonly operation: Rule<Expression> = this.RULE('operation', (): Expression => {
    const operands = [this.SUBRULE(this.operand)];
    const operators: InfixOperator[] = [];
    this.MANY(() => {
      operators.push(this.SUBRULE(this.operator));
      operands.push(this.SUBRULE2(this.operand));
    });
    return this.ACTION(() => buildOperation(operands, operators));
  });

  private readonly operator: Rule<InfixOperator> = this.RULE(
    'operator',
    (): InfixOperator =>
      this.OR([
        {
          ALT: () => {
            const token = this.CONSUME(T.Is);
            const not = this.OPTION(() => this.CONSUME(T.Not));
            return { text: not === undefined ? 'is' : 'is not', position: positionOf(token) };
          },
        },
        {
          ALT: () => {
            const token = this.CONSUME2(T.Not);
            this.CONSUME(T.In);
            return { text: 'not in', position: positionOf(token) };
          },
        },
        {
          ALT: () => {
            const token = this.CONSUME(T.BinaryOperator);
            return { text: token.image, position: positionOf(token) };
          },
        },
      ]),
  );

  private readonly operand: Rule<Operand> = this.RULE('operand', (): Operand => {
    const prefixes: IToken[] = [];
    this.MANY(() => prefixes.push(this.CONSUME(T.PrefixOperator)));
    return { prefixes, value: this.SUBRULE(this.primary) };
  });

  protected readonly primary: Rule<Expression> = this.RULE('primary', (): Expression => {
    const base = this.SUBRULE(this.atom);
    const trailers: Trailer[] = [];
    this.MANY(() => trailers.push(this.SUBRULE(this.trailer)));
    return this.ACTION(
      (): Expression => (trailers.length === 0 ? base : { kind: 'primary', base, trailers, position: base.position }),
    );
  });

  private readonly trailer: Rule<Trailer> = this.RULE(
    'trailer',
    (): Trailer =>
      this.OR<Trailer>([
        {
          ALT: () => {
            this.CONSUME(T.Dot);
            const name = this.CONSUME(T.Name);
            return { kind: 'attribute', name: name.image, position: positionOf(name) };
          },
        },
        {
          ALT: () => {
            const token = this.CONSUME(T.OpenParen);
            const list = this.SUBRULE(this.callArguments);
            this.CONSUME(T.CloseParen);
            return { kind: 'call', arguments: list, position: positionOf(token) };
          },
        },
        { ALT: () => this.SUBRULE(this.subscript) },
      ]),
  );

  private readonly subscript: Rule<Trailer> = this.RULE('subscript', (): Trailer => {
    const position = positionOf(this.CONSUME(T.OpenBracket));
    const bounds: (Expression | null)[] = [null, null, null];
    let colons = 0;
    this.OPTION(() => {
      bounds[0] = this.SUBRULE(this.expression);
    });
    this.OPTION2(() => {
      this.CONSUME(T.Colon);
      colons++;
      this.OPTION3(() => {
        bounds[1] = this.SUBRULE2(this.expression);
      });
      this.OPTION4(() => {
        this.CONSUME2(T.Colon);
        this.OPTION5(() => {
          bounds[2] = this.SUBRULE3(this.expression);
        });
      });
    });
    const close = this.CONSUME(T.CloseBracket);
    return this.ACTION((): Trailer => {
      if (colons > 0) return { kind: 'slice', bounds, position };
      const index = bounds[0];
      if (index === null || index === undefined) {
        throw new SyntaxProblem(positionOf(close), "expected an index but found ']'");
      }
      return { kind: 'subscript', index, position };
    });
  });

  protected readonly callArguments: Rule<Argument[]> = this.RULE('callArguments', (): Argument[] => {
    const list: Argument[] = [];
    this.OPTION(() => {
      list.push(this.SUBRULE(this.argument));
      this.MANY(() => {
        this.CONSUME(T.Comma);
        list.push(this.SUBRULE2(this.argument));
      });
      this.OPTION2(() => this.CONSUME2(T.Comma));
    });
    this.ACTION(() => checkArguments(list));
    return list;
  });

  private readonly argument: Rule<Argument> = this.RULE(
    'argument',
    (): Argument =>
      this.OR<Argument>([
        {
          ALT: () => {
            this.CONSUME(T.Star);
            return { kind: 'list', value: this.SUBRULE(this.expression) };
          },
        },
        {
          ALT: () => {
            this.CONSUME(T.DoubleStar);
            return { kind: 'dict', value: this.SUBRULE2(this.expression) };
          },
        },
        {
          ALT: () => {
            const name = this.CONSUME(T.Name);
            this.CONSUME(T.Equals);
            return { kind: 'keyword', name: name.image, value: this.SUBRULE3(this.expression) };
          },
        },
        {
          ALT: () => {
            const element = this.SUBRULE4(this.expression);
            const clauses = this.OPTION(() => this.SUBRULE(this.clauses));
            return this.ACTION((): Argument => {
              if (clauses === undefined) return { kind: 'positional', value: element };
              return { kind: 'positional', value: comprehension('generator', element, null, clauses) };
            });
          },
        },
      ]),
  );
}
