/** What the text of a script becomes, and the state of a script that runs. */
import { type Position, raise } from '../errors.js';
import type { ScriptHost } from '../host.js';
import { MAX_STEPS } from '../values/checks.js';
import { costOf } from '../values/items.js';
import { type CallArguments, NativeFunction, typeName, type Value } from '../values/values.js';

export interface Expression {
  readonly position: Position;
  /** What a message calls it; 'an expression' without it. */
  readonly what?: string;
  /** Of a name: the name. */
  readonly name?: string;
  /** Of a list or a tuple. */
  readonly items?: readonly Expression[];
  /** True for what `->` can connect without parentheses. */
  readonly isOperand?: boolean;
  evaluate(run: Run): Value;
  /** For what an assignment may have on its left. */
  readonly assign?: Assign;
  /** What stands left of `+=` or the like, its object and index evaluated. Without it, `evaluate` and `assign` do. */
  readonly place?: (run: Run) => Place;
}

/** What can be read and then assigned. */
export interface Place {
  get(): Value;
  set(value: Value): void;
}

/** Assigns a value to what stands on the left of an assignment. */
export type Assign = (run: Run, value: Value) => void;

/** How a statement ended. */
export type Completion = 'next' | 'break' | 'continue';

export interface Statement {
  readonly position: Position;
  /** What the statement costs in steps, apart from the one that each costs: more than 0 if its text is long. */
  readonly cost: number;
  execute(run: Run): Completion;
}

/** Names of Python's functions that scripts may try and the language does not have. */
const OTHER_FUNCTIONS = new Set(
  'abs all any bytes chr float format hex input isinstance open ord repr round set sorted tuple zip'.split(' '),
);

export class Run {
  /** Where the script is. Set before each operation that can fail, after its operands, for the message. */
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

  /** Counts what the script does. Ends a script that does too much. */
  step(cost = 1): void {
    this.steps += cost;
    if (this.steps > MAX_STEPS) {
      raise('TimeoutError', `the script ran for more than ${MAX_STEPS} steps: a loop without an end?`);
    }
  }

  /** Counts an operation on a value, by its size. */
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

  /** What is added to the error for a name that is not defined. */
  hint(name: string): string {
    if (!OTHER_FUNCTIONS.has(name)) return this.host.unknownName?.(name) ?? '';
    return ` in the embedded switch, which has ${[...this.builtins.keys()].sort().join(', ')}`;
  }

  /** Calls a value, which must be a function. */
  call(target: Value, args: CallArguments): Value {
    this.step();
    if (target instanceof NativeFunction) return target.call(args);
    return raise('TypeError', `'${typeName(target)}' is nothing to call`);
  }
}
