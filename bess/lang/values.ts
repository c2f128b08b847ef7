/**
 * The values of a script.
 *
 * A JavaScript number is always a Python int, and a safe integer; a float is a {@link PyFloat}, even 1.0: so `1` and
 * `1.0` stay apart as in Python (`1 / 2 * 2` is a float, and no gate). Strings, bools and None are JavaScript's own.
 */
import type { FunctionDefinition } from './ast.js';
import type { PyDict } from './dict.js';
import type { Position } from './errors.js';
import type { CallArguments, HostObject } from './host.js';
import type { Scope } from './scope.js';

export type Value =
  | null
  | boolean
  | number
  | string
  | PyFloat
  | PyList
  | PyTuple
  | PyDict
  | PyRange
  | PyIterator
  | PyView
  | NativeFunction
  | ScriptFunction
  | ExceptionType
  | ScriptException
  | HostObject;

export class PyFloat {
  constructor(readonly value: number) {}
}

export class PyList {
  constructor(readonly items: Value[]) {}
}

export class PyTuple {
  constructor(readonly items: readonly Value[]) {}
}

/** `range(…)`; `step` is not 0. */
export class PyRange {
  readonly length: number;

  constructor(
    readonly start: number,
    readonly stop: number,
    readonly step: number,
  ) {
    this.length = Math.max(0, Math.ceil((stop - start) / step));
  }

  at(index: number): number {
    return this.start + index * this.step;
  }
}

/** What can be gone through once: `enumerate`, `zip`, a generator. Its items are made beforehand. */
export class PyIterator {
  private next = 0;

  constructor(
    readonly typeName: string,
    private readonly items: readonly Value[],
  ) {}

  take(): Value | undefined {
    return this.items[this.next++];
  }
}

/** What `dict.keys()` and its like return: to go through and to count, but without indices. */
export class PyView {
  constructor(
    readonly typeName: string,
    readonly items: readonly Value[],
  ) {}
}

/** A function of the host or of the language itself. */
export class NativeFunction {
  constructor(
    readonly name: string,
    readonly call: (args: CallArguments) => Value,
  ) {}
}

/** A `def` of the script, with the values of its defaults. */
export class ScriptFunction {
  constructor(
    readonly definition: FunctionDefinition,
    readonly defaults: ReadonlyMap<string, Value>,
    readonly closure: Scope,
    readonly localNames: ReadonlySet<string>,
  ) {}
}

/** A class of exceptions; `base` is null for `Exception` alone. */
export class ExceptionType {
  constructor(
    readonly name: string,
    readonly base: ExceptionType | null,
  ) {}

  isA(other: ExceptionType): boolean {
    for (let type: ExceptionType | null = this; type !== null; type = type.base) {
      if (type === other) return true;
    }
    return false;
  }
}

/** An exception, raised or not. `code` is the host's (`EEXIST`), and `cause` the host's error. */
export class ScriptException extends Error {
  /** Where it was raised first. */
  position: Position | null = null;

  constructor(
    readonly type: ExceptionType,
    message: string,
    readonly code?: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

/** True for an object of the host: what is none of the language's own. */
export function isHostObject(value: Value): value is HostObject {
  return typeof value === 'object' && value !== null && 'getAttribute' in value;
}
