/**
 * The tree of a script.
 *
 * Chains of operators and of trailers are flat lists, not nested pairs: a script with thousands of `+` costs no depth,
 * neither here nor in the interpreter, and depth is bounded by the brackets and blocks that `layout.ts` counts.
 */
import type { Position } from './errors.js';
import type { PyFloat } from './values.js';

export interface Script {
  readonly file: string;
  readonly body: readonly Statement[];
}

// ---------------------------------------------------------------- expressions

interface Node {
  readonly position: Position;
}

export type ConstantValue = null | boolean | number | string | PyFloat;

export interface Constant extends Node {
  readonly kind: 'constant';
  readonly value: ConstantValue;
}

export interface Name extends Node {
  readonly kind: 'name';
  readonly name: string;
}

/** `f'…'`: texts and replacement fields in turn. */
export interface FormattedString extends Node {
  readonly kind: 'formatted';
  readonly parts: readonly FormattedPart[];
}
export type FormattedPart = string | Replacement;
export interface Replacement {
  readonly expression: Expression;
  readonly conversion: 'r' | 's' | null;
  readonly spec: readonly FormattedPart[];
}

/** `(a)`. Kept, because parentheses make an operand of anything. */
export interface Enclosed extends Node {
  readonly kind: 'enclosed';
  readonly value: Expression;
}

/** `[a, b]` or `a, b`. */
export interface Sequence extends Node {
  readonly kind: 'sequence';
  readonly type: 'list' | 'tuple';
  readonly items: readonly Expression[];
}

export interface DictionaryEntry {
  readonly key: Expression;
  readonly value: Expression;
}
export interface Dictionary extends Node {
  readonly kind: 'dictionary';
  readonly entries: readonly DictionaryEntry[];
}

export type ComprehensionClause =
  | { readonly kind: 'for'; readonly target: Target; readonly iterable: Expression }
  | { readonly kind: 'if'; readonly condition: Expression };

/** `[x for …]`, `{k: v for …}`, `(x for …)`. `value` is a dict's. */
export interface Comprehension extends Node {
  readonly kind: 'comprehension';
  readonly type: 'list' | 'dict' | 'generator';
  readonly element: Expression;
  readonly value: Expression | null;
  readonly clauses: readonly ComprehensionClause[];
}

/** Left-associative operators of one level: `first op operand op operand…`. */
export interface Arithmetic extends Node {
  readonly kind: 'arithmetic';
  readonly first: Expression;
  readonly rest: readonly OperatorAndOperand[];
}
/** `a < b <= c`: true when each pair holds. */
export interface Comparison extends Node {
  readonly kind: 'comparison';
  readonly first: Expression;
  readonly rest: readonly OperatorAndOperand[];
}
export interface OperatorAndOperand {
  readonly operator: string;
  readonly operand: Expression;
  readonly position: Position;
}

/** `-a ** -b ** c`: each operand with its signs, innermost last; `**` binds to the right. */
export interface Power extends Node {
  readonly kind: 'power';
  readonly operands: readonly { readonly signs: readonly string[]; readonly value: Expression }[];
}

export interface Logical extends Node {
  readonly kind: 'logical';
  readonly operator: 'and' | 'or';
  readonly operands: readonly Expression[];
}

/** `not a`; `negate` is false for an even number of `not`s, which still make a bool. */
export interface Not extends Node {
  readonly kind: 'not';
  readonly negate: boolean;
  readonly operand: Expression;
}

/** `v1 if c1 else v2 if c2 else otherwise`. */
export interface Conditional extends Node {
  readonly kind: 'conditional';
  readonly branches: readonly { readonly value: Expression; readonly condition: Expression }[];
  readonly otherwise: Expression;
}

export type Argument =
  | { readonly kind: 'positional' | 'list' | 'dict'; readonly value: Expression }
  | { readonly kind: 'keyword'; readonly name: string; readonly value: Expression };

export type Trailer =
  | { readonly kind: 'attribute'; readonly name: string; readonly position: Position }
  | { readonly kind: 'call'; readonly arguments: readonly Argument[]; readonly position: Position }
  | { readonly kind: 'subscript'; readonly index: Expression; readonly position: Position }
  | {
      readonly kind: 'slice';
      /** start, stop, step */
      readonly bounds: readonly (Expression | null)[];
      readonly position: Position;
    };

/** `a.b[c](d)`: a value and what follows it. */
export interface Primary extends Node {
  readonly kind: 'primary';
  readonly base: Expression;
  readonly trailers: readonly Trailer[];
}

/** `$NAME` or `$NAME!fallback`. */
export interface Variable extends Node {
  readonly kind: 'variable';
  readonly name: string;
  readonly fallback: Expression | null;
}

/** `a::Class(…)`, `a, b::Class(…)`. */
export interface Creation extends Node {
  readonly kind: 'creation';
  readonly names: readonly string[];
  readonly className: string;
  readonly arguments: readonly Argument[];
}

/**
 * One stage of `a:1 -> 2:b:3 -> c`. BESS makes `x:y` a product and lets the types decide which one is the module, so
 * `-> x:y ->` is known at run time only: `parts` are the one to three expressions between the colons.
 */
export interface Stage {
  readonly parts: readonly Expression[];
  /** Of the arrow before it; of the stage itself for the first. */
  readonly position: Position;
}
/** Modules connected by arrows; its value is the last module. */
export interface Pipeline extends Node {
  readonly kind: 'pipeline';
  readonly stages: readonly Stage[];
}

export type Expression =
  | Constant
  | Name
  | FormattedString
  | Enclosed
  | Sequence
  | Dictionary
  | Comprehension
  | Arithmetic
  | Comparison
  | Power
  | Logical
  | Not
  | Conditional
  | Primary
  | Variable
  | Creation
  | Pipeline;

/** What an assignment may have on its left; `parser` checks it. */
export type Target = Name | Primary | (Sequence & { readonly items: readonly Target[] });

// ---------------------------------------------------------------- statements

export interface Parameter {
  readonly name: string;
  readonly fallback: Expression | null;
}
export interface FunctionDefinition extends Node {
  readonly kind: 'def';
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly body: readonly Statement[];
}

export interface ExceptClause {
  readonly type: Expression | null;
  readonly name: string | null;
  readonly body: readonly Statement[];
  readonly position: Position;
}

export interface ConditionalSuite {
  readonly condition: Expression;
  readonly body: readonly Statement[];
}

export type Statement = Node &
  (
    | { readonly kind: 'expression'; readonly value: Expression }
    | { readonly kind: 'assign'; readonly targets: readonly Target[]; readonly value: Expression }
    | { readonly kind: 'augmented'; readonly target: Target; readonly operator: string; readonly value: Expression }
    | { readonly kind: 'pass' | 'break' | 'continue' }
    | { readonly kind: 'return'; readonly value: Expression | null }
    | { readonly kind: 'import'; readonly modules: readonly { readonly path: string; readonly alias: string | null }[] }
    | { readonly kind: 'assert'; readonly condition: Expression; readonly message: Expression | null }
    | { readonly kind: 'raise'; readonly value: Expression | null }
    | { readonly kind: 'if'; readonly branches: readonly ConditionalSuite[]; readonly otherwise: readonly Statement[] }
    | { readonly kind: 'while'; readonly condition: Expression; readonly body: readonly Statement[] }
    | {
        readonly kind: 'for';
        readonly target: Target;
        readonly iterable: Expression;
        readonly body: readonly Statement[];
      }
    | { readonly kind: 'try'; readonly body: readonly Statement[]; readonly handlers: readonly ExceptClause[] }
    | FunctionDefinition
  );
