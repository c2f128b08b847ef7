/** The parsed form of a script, and the state of a running script. */
import { type Position, raise } from '../errors.js';
import type { ScriptHost } from '../host.js';
import { MAX_STEPS } from '../values/checks.js';
import { costOf } from '../values/items.js';
import { type CallArguments, NativeFunction, typeName, type Value } from '../values/values.js';

export interface Expression {
  readonly position: Position;
  /** How messages name the expression; by default 'an expression'. */
  readonly what?: string;
  /** The name, if the expression is one. */
  readonly name?: string;
  /** The items, if the expression is a list or a tuple. */
  readonly items?: readonly Expression[];
  /** Whether `->` can connect it without parentheses. */
  readonly isOperand?: boolean;
  evaluate(run: Run): Value;
  /** Present if the expression can stand on the left of an assignment. */
  readonly assign?: Assign;
  /** What stands left of `+=` or the like, its object and index evaluated. Without it, `evaluate` and `assign` do. */
  readonly place?: (run: Run) => Place;
}

/** What can be read and then assigned. */
export interface Place {
  get(): Value;
  set(value: Value): void;
}

/** Assigns a value to the target of an assignment. */
export type Assign = (run: Run, value: Value) => void;

/** How to go on after a statement. */
export type Completion = 'next' | 'break' | 'continue';

export interface Statement {
  readonly position: Position;
  /** Cost in steps besides the one step of every statement: more than 0 only if the text of the statement is long. */
  readonly cost: number;
  execute(run: Run): Completion;
}

/** An expression that cannot be assigned, and has no name in messages. */
export function computed(position: Position, evaluate: Expression['evaluate']): Expression {
  return { position, evaluate };
}

/** Python's functions that the language does not have, but scripts may try to call. */
const OTHER_FUNCTIONS = new Set(
  'abs all any bytes chr float format hex input isinstance open ord repr round set sorted tuple zip'.split(' '),
);

export class Run {
  /** Place of the running operation, for messages. Set after its operands are evaluated and before it can fail. */
  position: Position = { line: 1, column: 1 };
  readonly names = new Map<string, Value>();
  private steps = 0;

  constructor(
    readonly host: ScriptHost,
    /** The module `os`, for `import os`. */
    readonly os: Value,
    private readonly builtins: ReadonlyMap<string, Value>,
  ) {
    for (const [name, value] of host.globals) this.names.set(name, value);
  }

  /** Executes statements until one of them leaves the body. */
  execute(body: readonly Statement[]): Completion {
    for (const statement of body) {
      this.position = statement.position;
      this.step(1 + statement.cost);
      const completion = statement.execute(this);
      if (completion !== 'next') return completion;
    }
    return 'next';
  }

  /** Counts the steps of the script, and ends a script that takes too many. */
  step(cost = 1): void {
    this.steps += cost;
    if (this.steps > MAX_STEPS) {
      raise('TimeoutError', `the script ran for more than ${MAX_STEPS} steps: a loop without an end?`);
    }
  }

  /** Counts an operation on a value; a large value costs more. */
  charge(value: Value): void {
    this.step(costOf(value));
  }

  /** The value of a name. Raises NameError if there is none. */
  lookUp(name: string): Value {
    const value = this.names.get(name);
    // Not `??`: a variable may be None.
    const found = value === undefined ? this.builtins.get(name) : value;
    return found === undefined ? raise('NameError', `name '${name}' is not defined${this.hint(name)}`) : found;
  }

  /** Text to add to the error for an undefined name. */
  hint(name: string): string {
    if (!OTHER_FUNCTIONS.has(name)) return this.host.unknownName?.(name) ?? '';
    return ` in the embedded switch, which has ${[...this.builtins.keys()].sort().join(', ')}`;
  }

  /** Calls a value, which must be a function. */
  call(target: Value, args: CallArguments): Value {
    this.step();
    if (target instanceof NativeFunction) return target.call(args);
    return raise('TypeError', `'${typeName(target)}' is not callable`);
  }
}
