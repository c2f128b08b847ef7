/** The grammar of statements: the whole script. */
import { type Position, Problem, raise, unsupported } from '../errors.js';
import { layOut } from '../syntax/layout.js';
import { collect, isTruthy, iterate } from '../values/items.js';
import { applyBinary, extend } from '../values/operators.js';
import { str } from '../values/text.js';
import type { Value } from '../values/values.js';
import { ExpressionParser } from './expressions.js';
import type { Completion, Expression, Run, Statement } from './run.js';

/** Longest script, in characters: thousands of lines, which are parsed within seconds whatever they contain. */
const MAX_LENGTH = 1 << 18;
const AUGMENTED = ['+=', '-=', '*=', '/=', '//=', '%=', '**=', '<<=', '>>=', '&=', '|=', '^='];

/** Parses a script. Throws a Problem for anything that is not in the language. */
export function parseScript(source: string): readonly Statement[] {
  if (source.length > MAX_LENGTH) {
    throw new Problem(`a script may have ${MAX_LENGTH} characters at most`, { line: 1, column: 1 });
  }
  const text = source.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
  return new StatementParser(text, layOut(text)).script();
}

/** A statement whose cost is not known yet. */
type Uncosted = Omit<Statement, 'cost'>;

class StatementParser extends ExpressionParser {
  /** Number of loops around the statement. */
  private loops = 0;

  script(): Statement[] {
    const body: Statement[] = [];
    while (this.token.kind !== 'end') this.statement(body);
    return body;
  }

  /** Parses a compound statement, or the simple statements of one line, and adds them to `body`. */
  private statement(body: Statement[]): void {
    if (this.token.kind === 'if') body.push(this.choice());
    else if (this.token.kind === 'for') body.push(this.forLoop());
    else this.simpleLine(body);
  }

  private simpleLine(body: Statement[]): void {
    do {
      const { result, cost } = this.costed(() => this.simpleStatement());
      body.push({ ...result, cost });
    } while (this.accept(';') !== null && this.token.kind !== 'newline');
    this.expect('newline');
  }

  /** The statements after a `:`, on the same line or as a block. */
  private suite(): Statement[] {
    const body: Statement[] = [];
    this.expect(':');
    if (this.accept('newline') === null) this.simpleLine(body);
    else {
      this.expect('indent');
      while (this.accept('dedent') === null) this.statement(body);
    }
    return body;
  }

  /** `if`, `elif` and `else`. */
  private choice(): Statement {
    const { position } = this.token;
    const branches: { condition: Expression; body: Statement[] }[] = [];
    let cost = 0;
    while (this.accept('if', 'elif') !== null) {
      const condition = this.costed(() => this.expression());
      cost += condition.cost;
      branches.push({ condition: condition.result, body: this.suite() });
    }
    const otherwise = this.accept('else') === null ? [] : this.suite();
    const execute = (run: Run): Completion => {
      const branch = branches.find(({ condition }) => isTruthy(condition.evaluate(run)));
      return run.execute(branch?.body ?? otherwise);
    };
    return { position, cost, execute };
  }

  private forLoop(): Statement {
    const { position } = this.take();
    const { result: assign, cost: costPerTurn } = this.costed(() => this.forTarget());
    this.expect('in');
    const { result: iterable, cost } = this.costed(() => this.tupleOf(() => this.expression()));
    this.loops++;
    const body = this.suite();
    this.loops--;
    const execute = (run: Run): Completion => {
      const values = iterable.evaluate(run);
      run.position = position;
      for (const value of iterate(values)) {
        run.step(1 + costPerTurn);
        assign(run, value);
        if (run.execute(body) === 'break') break;
      }
      return 'next';
    };
    return { position, cost, execute };
  }

  private simpleStatement(): Uncosted {
    const { kind, position } = this.token;
    switch (kind) {
      case 'pass':
        this.take();
        return statement(position, () => {});
      case 'break':
      case 'continue':
        this.take();
        if (this.loops === 0) throw new Problem(`'${kind}' outside a loop`, position);
        return { position, execute: () => kind };
      case 'assert':
        return this.assertion();
      case 'import':
        return this.importOs();
      default:
        if (!this.beginsExpression()) this.fail('a statement');
        return this.assignment();
    }
  }

  private assertion(): Uncosted {
    const { position } = this.take();
    const condition = this.expression();
    const message = this.accept(',') === null ? null : this.expression();
    return statement(position, (run) => {
      if (isTruthy(condition.evaluate(run))) return;
      const text = message === null ? '' : str(message.evaluate(run));
      run.position = position;
      raise('AssertionError', text);
    });
  }

  /** `import os`; there is no other module. */
  private importOs(): Uncosted {
    const { position } = this.take();
    do {
      const first = this.expect('name');
      let path = first.text;
      while (this.accept('.') !== null) path += `.${this.expect('name').text}`;
      if (path !== 'os' && path !== 'os.path') throw unsupported(first.position, `import ${path} (only os)`);
    } while (this.accept(',') !== null);
    return statement(position, (run) => run.names.set('os', run.os));
  }

  /** `a`, `a = b = c`, `a += b`. */
  private assignment(): Uncosted {
    const first = this.expressionList();
    const { position } = first;
    const operator = this.accept(...AUGMENTED);
    if (operator !== null) return this.augmented(first, operator.text.slice(0, -1));
    const values = [first];
    while (this.accept('=') !== null) values.push(this.expressionList());
    const value = values.pop() as Expression;
    const targets = values.map((target) => this.toTarget(target));
    return statement(position, (run) => {
      const result = value.evaluate(run);
      for (const assign of targets) assign(run, result);
    });
  }

  /** `a += b`. A list grows in place, as Python's does. */
  private augmented(left: Expression, operator: string): Uncosted {
    const { position, items, what } = left;
    if (items !== undefined) throw new Problem(`cannot assign to ${what} with an operator`, position);
    const assign = this.toTarget(left);
    const value = this.expressionList();
    return statement(position, (run) => {
      const place = left.place?.(run);
      const before = place === undefined ? left.evaluate(run) : place.get();
      const right = value.evaluate(run);
      run.position = position;
      const grows = operator === '+' && Array.isArray(before);
      if (grows) extend(before, collect(right));
      const result: Value = grows ? before : applyBinary(operator, before, right);
      run.charge(result);
      if (place === undefined) assign(run, result);
      else place.set(result);
    });
  }
}

/** A statement after which the next one follows. */
function statement(position: Position, act: (run: Run) => void): Uncosted {
  const execute = (run: Run): Completion => {
    act(run);
    return 'next';
  };
  return { position, execute };
}
