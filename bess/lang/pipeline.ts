/** Checks on the sugar `a:1 -> 2:b` and on the left of an assignment that a grammar of one token ahead cannot make. */
import type { Expression, Stage, Target } from './ast.js';
import { type Position, SyntaxProblem } from './errors.js';

/** Stages and arrows as written; without an arrow just the expression. */
export function buildPipeline(stages: readonly Stage[]): Expression {
  const first = stages[0] as Stage;
  const only = first.parts[0] as Expression;
  if (stages.length === 1) {
    if (first.parts.length > 1) {
      throw new SyntaxProblem(position(first.parts[1]), "expected '->' after the output gate (as in a:1 -> b)");
    }
    return only;
  }
  stages.forEach((stage, index) => {
    checkStage(stage, index === 0, index === stages.length - 1);
  });
  return { kind: 'pipeline', stages, position: only.position };
}

function checkStage(stage: Stage, isFirst: boolean, isLast: boolean): void {
  const { parts } = stage;
  if (isFirst && parts.length > 2) {
    throw new SyntaxProblem(position(parts[0]), "an input gate needs '->' before it (as in a -> 1:b)");
  }
  if (parts.length > 3) throw new SyntaxProblem(position(parts[3]), "expected '->' but found a third gate");
  if (isLast && parts.length > 2) {
    throw new SyntaxProblem(position(parts[2]), "an output gate needs '->' after it (as in a:1 -> b)");
  }
  // One part is the module. With more, a gate may be any expression, and which one is the module shows later.
  if (parts.length === 1 && !isOperand(parts[0] as Expression)) {
    throw new SyntaxProblem(position(parts[0]), "expected a module next to '->' (put an expression in parentheses)");
  }
}

/** What `->` may connect: BESS turns the arrow into a `+`, which looser operators would tear apart. */
function isOperand(expression: Expression): boolean {
  switch (expression.kind) {
    case 'name':
    case 'primary':
    case 'creation':
    case 'enclosed':
      return true;
    default:
      return false;
  }
}

/** The expression as what an assignment binds: names, `a.b`, `a[i]`, and lists of them. */
export function toTarget(expression: Expression): Target {
  switch (expression.kind) {
    case 'name':
      return expression;
    case 'enclosed':
      return toTarget(expression.value);
    case 'primary': {
      const last = expression.trailers[expression.trailers.length - 1];
      if (last?.kind === 'attribute' || last?.kind === 'subscript') return expression;
      break;
    }
    case 'sequence':
      return { ...expression, items: expression.items.map(toTarget) };
    default:
      break;
  }
  throw new SyntaxProblem(expression.position, `cannot assign to ${describe(expression)}`);
}

/** As {@link toTarget}, for `+=`, which takes one target only. */
export function toSingleTarget(expression: Expression): Target {
  const target = toTarget(expression);
  if (target.kind === 'sequence') {
    throw new SyntaxProblem(target.position, `cannot assign to ${describe(target)} with an operator`);
  }
  return target;
}

function describe(expression: Expression): string {
  switch (expression.kind) {
    case 'primary':
      return 'the result of a call or to a slice';
    case 'constant':
    case 'formatted':
      return 'a constant';
    case 'creation':
    case 'pipeline':
      return 'a module';
    case 'variable':
      return `$${expression.name}`;
    case 'sequence':
      return `a ${expression.type}`;
    default:
      return 'an expression';
  }
}

function position(expression: Expression | undefined): Position {
  return (expression as Expression).position;
}
