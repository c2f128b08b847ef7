/**
 * The values of a script. A number is an int: a JavaScript number that is a safe integer. There are no floats. A list is
 * an array and a dict is a Map; strings, bools and None are JavaScript's own.
 */
export type Value = null | boolean | number | string | Value[] | Dict | PySequence | NativeFunction | HostObject;
/** The sequences of Python that JavaScript does not have. */
type PySequence = PyTuple | PyRange | PyView;

/** The keys have the order of their insertion. `checkKey` in `items.ts` decides what can be a key. */
export type Dict = Map<Value, Value>;

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

/**
 * The result of `dict.items()`, `enumerate()` and the like: a loop can iterate over it, but it has no indices. An
 * iterator, such as the result of `enumerate()`, can be iterated over once and has no length.
 */
export class PyView {
  used = false;

  constructor(
    readonly typeName: string,
    readonly items: readonly Value[],
    readonly isIterator = false,
  ) {}
}

/** The positional and keyword arguments of a call. */
export interface CallArguments {
  readonly positional: readonly Value[];
  readonly keyword: ReadonlyMap<string, Value>;
}

/** A function of the language or of the host. */
export class NativeFunction {
  constructor(
    readonly name: string,
    readonly call: (args: CallArguments) => Value,
  ) {}
}

/** An object of the host: a module, a port, the `bess` object. */
export interface HostObject {
  /** Its class, as messages name it: `L2Forward`. */
  readonly typeName: string;
  /** A method (a NativeFunction) or a value; undefined if there is none of that name. */
  getAttribute(name: string): Value | undefined;
  /** The names that `getAttribute` knows, for the error about an unknown one. */
  attributeNames?(): Iterable<string>;
  /** `object[key]` and `key in object`, for an object that has items; undefined if it has none of that key. */
  getItem?(key: Value): Value | undefined;
  /** What `str(object)` and `print(object)` show; `<typeName object>` without it. */
  describe?(): string;
}

/** Whether a value is an object of the host. */
export function isHostObject(value: Value): value is HostObject {
  return typeof value === 'object' && value !== null && 'getAttribute' in value;
}

/** The name of a value's class in Python. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return 'int';
  if (typeof value === 'string') return 'str';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Map) return 'dict';
  if (value instanceof PyTuple) return 'tuple';
  if (value instanceof PyRange) return 'range';
  if (value instanceof NativeFunction) return 'function';
  return value.typeName;
}
