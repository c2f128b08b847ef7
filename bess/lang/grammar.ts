/** The grammar of statements: the whole script. */
import type { IToken } from 'chevrotain';
import type { ConditionalSuite, ExceptClause, Expression, Parameter, Statement } from './ast.js';
import type { Rule } from './atom-grammar.js';
import { checkFlow, checkHandlers, checkParameters } from './checks.js';
import { ExpressionGrammar } from './expression-grammar.js';
import { positionOf } from './layout.js';
import { toSingleTarget, toTarget } from './pipeline.js';
import * as T from './tokens.js';

export class ScriptGrammar extends ExpressionGrammar {
  constructor(validate = false) {
    super(validate);
    this.performSelfAnalysis();
  }

  readonly script: Rule<Statement[]> = this.RULE('script', (): Statement[] => {
    const body: Statement[] = [];
    this.MANY(() => {
      const statements = this.SUBRULE(this.statement);
      this.ACTION(() => append(body, statements));
    });
    this.ACTION(() => checkFlow(body));
    return body;
  });

  /** One compound statement, or the simple ones on a line. */
  private readonly statement: Rule<Statement[]> = this.RULE('statement', (): Statement[] =>
    this.OR<Statement[]>({
      DEF: [
        { ALT: () => [this.SUBRULE(this.ifStatement)] },
        { ALT: () => [this.SUBRULE(this.whileStatement)] },
        { ALT: () => [this.SUBRULE(this.forStatement)] },
        { ALT: () => [this.SUBRULE(this.tryStatement)] },
        { ALT: () => [this.SUBRULE(this.definition)] },
        { ALT: () => this.SUBRULE(this.simpleLine) },
      ],
      ERR_MSG: 'expected a statement',
    }),
  );

  private readonly simpleLine: Rule<Statement[]> = this.RULE('simpleLine', (): Statement[] => {
    const body = [this.SUBRULE(this.simpleStatement)];
    this.MANY(() => {
      this.CONSUME(T.Semicolon);
      body.push(this.SUBRULE2(this.simpleStatement));
    });
    this.OPTION(() => this.CONSUME2(T.Semicolon));
    this.CONSUME(T.Newline);
    return body;
  });

  /** What follows a `:`, on the same line or as a block. */
  private readonly suite: Rule<Statement[]> = this.RULE('suite', (): Statement[] => {
    this.CONSUME(T.Colon);
    return this.OR<Statement[]>({
      DEF: [
        {
          ALT: () => {
            const body: Statement[] = [];
            this.CONSUME(T.Newline);
            this.CONSUME(T.Indent);
            this.AT_LEAST_ONE({
              DEF: () => {
                const statements = this.SUBRULE(this.statement);
                this.ACTION(() => append(body, statements));
              },
              ERR_MSG: 'expected a statement',
            });
            this.CONSUME(T.Dedent);
            return body;
          },
        },
        { ALT: () => this.SUBRULE(this.simpleLine) },
      ],
      ERR_MSG: 'expected a statement',
    });
  });

  private readonly simpleStatement: Rule<Statement> = this.RULE(
    'simpleStatement',
    (): Statement =>
      this.OR<Statement>({
        DEF: [
          { ALT: () => ({ kind: 'pass', position: positionOf(this.CONSUME(T.Pass)) }) },
          { ALT: () => ({ kind: 'break', position: positionOf(this.CONSUME(T.Break)) }) },
          { ALT: () => ({ kind: 'continue', position: positionOf(this.CONSUME(T.Continue)) }) },
          {
            ALT: () => {
              const position = positionOf(this.CONSUME(T.Return));
              const value = this.OPTION(() => this.SUBRULE(this.expressionList));
              return { kind: 'return', value: value ?? null, position };
            },
          },
          {
            ALT: () => {
              const position = positionOf(this.CONSUME(T.Raise));
              const value = this.OPTION2(() => this.SUBRULE(this.expression));
              return { kind: 'raise', value: value ?? null, position };
            },
          },
          {
            ALT: () => {
              const position = positionOf(this.CONSUME(T.Assert));
              const condition = this.SUBRULE2(this.expression);
              const message = this.OPTION3(() => {
                this.CONSUME(T.Comma);
                return this.SUBRULE3(this.expression);
              });
              return { kind: 'assert', condition, message: message ?? null, position };
            },
          },
          { ALT: () => this.SUBRULE(this.importStatement) },
          { ALT: () => this.SUBRULE(this.expressionStatement) },
        ],
        ERR_MSG: 'expected a statement',
      }),
  );

  private readonly importStatement: Rule<Statement> = this.RULE('importStatement', (): Statement => {
    const modules: { path: string; alias: string | null }[] = [];
    const position = positionOf(this.CONSUME(T.Import));
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => {
        let path = this.CONSUME(T.Name).image;
        this.MANY(() => {
          this.CONSUME(T.Dot);
          path += `.${this.CONSUME2(T.Name).image}`;
        });
        const alias = this.OPTION(() => {
          this.CONSUME(T.As);
          return this.CONSUME3(T.Name).image;
        });
        modules.push({ path, alias: alias ?? null });
      },
      ERR_MSG: 'expected the name of a module',
    });
    return { kind: 'import', modules, position };
  });

  /** `a`, `a = b = c`, `a += b`. */
  private readonly expressionStatement: Rule<Statement> = this.RULE('expressionStatement', (): Statement => {
    const values = [this.SUBRULE(this.expressionList)];
    let operator: IToken | undefined;
    this.OR([
      {
        ALT: () => {
          operator = this.CONSUME(T.Augmented);
          values.push(this.SUBRULE2(this.expressionList));
        },
      },
      {
        ALT: () => {
          this.MANY(() => {
            this.CONSUME(T.Equals);
            values.push(this.SUBRULE3(this.expressionList));
          });
        },
      },
    ]);
    return this.ACTION((): Statement => {
      const first = values[0] as Expression;
      const value = values[values.length - 1] as Expression;
      const { position } = first;
      if (operator !== undefined) {
        const target = toSingleTarget(first);
        return { kind: 'augmented', target, operator: operator.image.slice(0, -1), value, position };
      }
      if (values.length === 1) return { kind: 'expression', value, position };
      return { kind: 'assign', targets: values.slice(0, -1).map(toTarget), value, position };
    });
  });

  private readonly ifStatement: Rule<Statement> = this.RULE('ifStatement', (): Statement => {
    const branches: ConditionalSuite[] = [];
    const position = positionOf(this.CONSUME(T.If));
    const condition = this.SUBRULE(this.expression);
    branches.push({ condition, body: this.SUBRULE(this.suite) });
    this.MANY(() => {
      this.CONSUME(T.Elif);
      const other = this.SUBRULE2(this.expression);
      branches.push({ condition: other, body: this.SUBRULE2(this.suite) });
    });
    const otherwise = this.OPTION(() => {
      this.CONSUME(T.Else);
      return this.SUBRULE3(this.suite);
    });
    return { kind: 'if', branches, otherwise: otherwise ?? [], position };
  });

  private readonly whileStatement: Rule<Statement> = this.RULE('whileStatement', (): Statement => {
    const position = positionOf(this.CONSUME(T.While));
    const condition = this.SUBRULE(this.expression);
    return { kind: 'while', condition, body: this.SUBRULE(this.suite), position };
  });

  private readonly forStatement: Rule<Statement> = this.RULE('forStatement', (): Statement => {
    const position = positionOf(this.CONSUME(T.For));
    const target = this.SUBRULE(this.targetList);
    this.CONSUME(T.In);
    const iterable = this.SUBRULE(this.plainList);
    return { kind: 'for', target, iterable, body: this.SUBRULE(this.suite), position };
  });

  private readonly tryStatement: Rule<Statement> = this.RULE('tryStatement', (): Statement => {
    const handlers: ExceptClause[] = [];
    const position = positionOf(this.CONSUME(T.Try));
    const body = this.SUBRULE(this.suite);
    this.AT_LEAST_ONE({
      DEF: () => handlers.push(this.SUBRULE(this.exceptClause)),
      ERR_MSG: "expected 'except'",
    });
    this.ACTION(() => checkHandlers(handlers));
    return { kind: 'try', body, handlers, position };
  });

  private readonly exceptClause: Rule<ExceptClause> = this.RULE('exceptClause', (): ExceptClause => {
    const position = positionOf(this.CONSUME(T.Except));
    let name: string | null = null;
    const type = this.OPTION(() => {
      const value = this.SUBRULE(this.expression);
      this.OPTION2(() => {
        this.CONSUME(T.As);
        name = this.CONSUME(T.Name).image;
      });
      return value;
    });
    return { type: type ?? null, name, body: this.SUBRULE(this.suite), position };
  });

  private readonly definition: Rule<Statement> = this.RULE('definition', (): Statement => {
    const parameters: Parameter[] = [];
    this.CONSUME(T.Def);
    const name = this.CONSUME(T.Name);
    this.CONSUME(T.OpenParen);
    this.OPTION(() => {
      parameters.push(this.SUBRULE(this.parameter));
      this.MANY(() => {
        this.CONSUME(T.Comma);
        parameters.push(this.SUBRULE2(this.parameter));
      });
      this.OPTION2(() => this.CONSUME2(T.Comma));
    });
    this.CONSUME(T.CloseParen);
    const body = this.SUBRULE(this.suite);
    this.ACTION(() => checkParameters(parameters, name.image, positionOf(name)));
    return { kind: 'def', name: name.image, parameters, body, position: positionOf(name) };
  });

  private readonly parameter: Rule<Parameter> = this.RULE('parameter', (): Parameter => {
    const name = this.CONSUME(T.Name).image;
    const fallback = this.OPTION(() => {
      this.CONSUME(T.Equals);
      return this.SUBRULE(this.expression);
    });
    return { name, fallback: fallback ?? null };
  });
}

/** Not push(...): a line may hold more statements than a call may have arguments. */
function append(body: Statement[], statements: readonly Statement[]): void {
  for (const statement of statements) body.push(statement);
}
