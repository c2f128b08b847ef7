/**
 * From a flat run of operands and operators to a tree, by Python's precedence (reference 6.17).
 *
 * The grammar leaves the run flat: a rule for each of ten levels would cost ten calls for every operand and a good part
 * of the parser's start-up.
 */
import type { IToken } from 'chevrotain';
import type { Expression, OperatorAndOperand } from './ast.js';
import { type Position, SyntaxProblem } from './errors.js';
import { positionOf } from './layout.js';

/** An operand and the `not`, `-`, `+`, `~` before it. */
export interface Operand {
  readonly prefixes: readonly IToken[];
  readonly value: Expression;
}

/** An operator between two operands; `not in` and `is not` are one. */
export interface InfixOperator {
  readonly text: string;
  readonly position: Position;
}

const COMPARISONS = new Set(['==', '!=', '<', '<=', '>', '>=', 'in', 'not in', 'is', 'is not']);

/** Left-associative levels, loosest first. `**` binds tighter than all of them. */
const ARITHMETIC: readonly ReadonlySet<string>[] = [
  new Set(['|']),
  new Set(['^']),
  new Set(['&']),
  new Set(['<<', '>>']),
  new Set(['+', '-']),
  new Set(['*', '/', '//', '%']),
];

/** `operators[i]` stands between `operands[i]` and `operands[i + 1]`. */
export function buildOperation(operands: readonly Operand[], operators: readonly InfixOperator[]): Expression {
  const only = operands[0];
  if (only !== undefined && operands.length === 1 && only.prefixes.length === 0) return only.value;
  return new Climber(operands, operators).logical('or');
}

class Climber {
  /** The operand that comes next. */
  private at = 0;
  /** How many of its prefixes are taken already. */
  private taken = 0;

  constructor(
    private readonly operands: readonly Operand[],
    private readonly operators: readonly InfixOperator[],
  ) {}

  logical(operator: 'or' | 'and'): Expression {
    const position = this.here();
    const next = (): Expression => (operator === 'or' ? this.logical('and') : this.negation());
    const first = next();
    const operands = [first];
    while (this.follows((text) => text === operator) !== null) operands.push(next());
    return operands.length === 1 ? first : { kind: 'logical', operator, operands, position };
  }

  private negation(): Expression {
    const position = this.here();
    const count = this.takePrefixes((text) => text === 'not').length;
    const operand = this.comparison();
    return count === 0 ? operand : { kind: 'not', negate: count % 2 === 1, operand, position };
  }

  private comparison(): Expression {
    const isComparison = (text: string): boolean => COMPARISONS.has(text);
    const { position, first, rest } = this.chain(isComparison, () => this.arithmetic(0));
    return rest.length === 0 ? first : { kind: 'comparison', first, rest, position };
  }

  private arithmetic(level: number): Expression {
    const operators = ARITHMETIC[level];
    if (operators === undefined) return this.power();
    const { position, first, rest } = this.chain(
      (text) => operators.has(text),
      () => this.arithmetic(level + 1),
    );
    return rest.length === 0 ? first : { kind: 'arithmetic', first, rest, position };
  }

  private chain(belongs: (text: string) => boolean, next: () => Expression) {
    const position = this.here();
    const first = next();
    const rest: OperatorAndOperand[] = [];
    for (let operator = this.follows(belongs); operator !== null; operator = this.follows(belongs)) {
      rest.push({ operator: operator.text, operand: next(), position: operator.position });
    }
    return { position, first, rest };
  }

  private power(): Expression {
    const position = this.here();
    const operands: { signs: string[]; value: Expression }[] = [];
    do {
      const signs = this.takePrefixes((text) => text !== 'not');
      const operand = this.operands[this.at] as Operand;
      const misplaced = operand.prefixes[this.taken];
      if (misplaced !== undefined) {
        const text = `expected an expression but found '${misplaced.image}' (put it in parentheses)`;
        throw new SyntaxProblem(positionOf(misplaced), text);
      }
      operands.push({ signs, value: operand.value });
      this.at++;
      this.taken = 0;
    } while (this.follows((text) => text === '**') !== null);
    const first = operands[0];
    if (first !== undefined && operands.length === 1 && first.signs.length === 0) return first.value;
    return { kind: 'power', operands, position };
  }

  private here(): Position {
    const operand = this.operands[this.at] as Operand;
    const prefix = operand.prefixes[this.taken];
    return prefix === undefined ? operand.value.position : positionOf(prefix);
  }

  /** The operator before the next operand when it is one of those; whoever asks then takes that operand. */
  private follows(belongs: (text: string) => boolean): InfixOperator | null {
    const operator = this.at === 0 ? undefined : this.operators[this.at - 1];
    if (operator === undefined || !belongs(operator.text)) return null;
    return operator;
  }

  private takePrefixes(belongs: (text: string) => boolean): string[] {
    const { prefixes } = this.operands[this.at] as Operand;
    const texts: string[] = [];
    while (this.taken < prefixes.length && belongs(prefixes[this.taken]?.image ?? '')) {
      texts.push(prefixes[this.taken++]?.image ?? '');
    }
    return texts;
  }
}
