/**
 * The grammar of operators, with Python's precedence (reference 6.17). A chain of operators is a flat list, not nested
 * pairs, so thousands of `+` need no deep stack: only brackets and blocks nest, and `layout.ts` limits those.
 */
import type { Position } from '../errors.js';
import { compare } from '../values/compare.js';
import { isTruthy } from '../values/items.js';
import { applyBinary, applySign } from '../values/operators.js';
import type { Value } from '../values/values.js';
import { computed, type Expression } from './run.js';
import { SugarParser } from './sugar.js';

const COMPARISONS = new Set(['==', '!=', '<', '<=', '>', '>=', 'in', 'is', 'not']);
/** The arithmetic operators by precedence, the loosest first. `**` binds tighter than all of them. */
const ARITHMETIC = ['|', '^', '&', '<< >>', '+ -', '* / // %'].map((level) => level.split(' '));

/** An operator and the operand on its right. */
interface Operation {
  readonly operator: string;
  readonly operand: Expression;
  readonly position: Position;
}

export class ExpressionParser extends SugarParser {
  /** `a`, `a, b`, `a -> b`: an expression statement, a side of an assignment, or the content of parentheses. */
  protected override expressionList(): Expression {
    return this.tupleOf(() => this.pipeline());
  }

  /** `value if condition else value if condition else value`. */
  protected override expression(): Expression {
    const first = this.operation();
    if (this.token.kind !== 'if') return first;
    const values = [first];
    const conditions: Expression[] = [];
    while (this.accept('if') !== null) {
      conditions.push(this.operation());
      this.expect('else');
      values.push(this.operation());
    }
    return computed(first.position, (run) => {
      const index = conditions.findIndex((condition) => isTruthy(condition.evaluate(run)));
      // If no condition holds, the index is -1: the last value.
      return (values.at(index) as Expression).evaluate(run);
    });
  }

  protected override operation(): Expression {
    return this.logical('or', () => this.logical('and', () => this.negation()));
  }

  private logical(operator: 'or' | 'and', next: () => Expression): Expression {
    const first = next();
    if (this.token.kind !== operator) return first;
    const operands = [first];
    while (this.accept(operator) !== null) operands.push(next());
    return computed(first.position, (run) => {
      let value: Value = null;
      for (const operand of operands) {
        value = operand.evaluate(run);
        if (isTruthy(value) === (operator === 'or')) break;
      }
      return value;
    });
  }

  private negation(): Expression {
    const { position } = this.token;
    let count = 0;
    while (this.accept('not') !== null) count++;
    const operand = this.comparison();
    if (count === 0) return operand;
    return { position, evaluate: (run) => isTruthy(operand.evaluate(run)) === (count % 2 === 0) };
  }

  /** `a < b <= c`: true if it holds for each pair. */
  private comparison(): Expression {
    const first = this.arithmetic(0);
    const rest: Operation[] = [];
    while (COMPARISONS.has(this.token.kind) && (this.token.kind !== 'not' || this.following === 'in')) {
      const { position, text } = this.take();
      const second = text === 'not' ? this.accept('in') : text === 'is' ? this.accept('not') : null;
      const operator = second === null ? text : `${text} ${second.text}`;
      rest.push({ operator, operand: this.arithmetic(0), position });
    }
    if (rest.length === 0) return first;
    return computed(first.position, (run) => {
      let left = first.evaluate(run);
      return rest.every(({ operator, operand, position }) => {
        const right = operand.evaluate(run);
        run.position = position;
        run.charge(left);
        run.charge(right);
        const holds = compare(operator, left, right, (pairs) => run.step(pairs >> 5));
        left = right;
        return holds;
      });
    });
  }

  /** The operators of one level of precedence, which group to the left: `a + b - c`. */
  private arithmetic(level: number): Expression {
    const operators = ARITHMETIC[level];
    if (operators === undefined) return this.power();
    const first = this.arithmetic(level + 1);
    const rest: Operation[] = [];
    for (let token = this.accept(...operators); token !== null; token = this.accept(...operators)) {
      rest.push({ operator: token.text, operand: this.arithmetic(level + 1), position: token.position });
    }
    if (rest.length === 0) return first;
    return computed(first.position, (run) => {
      let value = first.evaluate(run);
      for (const { operator, operand, position } of rest) {
        const right = operand.evaluate(run);
        run.position = position;
        value = applyBinary(operator, value, right);
        run.charge(value);
      }
      return value;
    });
  }

  /** `-a ** -b ** c`. `**` groups to the right, and binds tighter than a sign on its left. */
  private power(): Expression {
    const { position } = this.token;
    const operands: { signs: string[]; value: Expression }[] = [];
    do {
      const signs: string[] = [];
      for (let sign = this.accept('-', '+', '~'); sign !== null; sign = this.accept('-', '+', '~'))
        signs.push(sign.text);
      operands.push({ signs, value: this.primary() });
    } while (this.accept('**') !== null);
    const [first] = operands;
    if (first !== undefined && operands.length === 1 && first.signs.length === 0) return first.value;
    return computed(position, (run) => {
      const values = operands.map(({ value }) => value.evaluate(run));
      run.position = position;
      return operands.reduceRight<Value | undefined>((right, { signs }, i) => {
        const value = values[i] as Value;
        const raised = right === undefined ? value : applyBinary('**', value, right);
        return signs.reduceRight<Value>((signed, sign) => applySign(sign, signed), raised);
      }, undefined) as Value;
    });
  }
}
