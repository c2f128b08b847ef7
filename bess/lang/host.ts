/** What a script can reach of the switch, what the language asks of it, and what the switch sees of a script's values. */
import { raise } from './errors.js';
import { collect, itemsOf } from './values/items.js';
import { type CallArguments, type HostObject, isHostObject, PyRange, typeName, type Value } from './values/values.js';

/**
 * What runs a script. A method may throw any error, which ends the script at the place of the call; the error's `code`
 * (`EEXIST`), if it has one, becomes that of the {@link BessScriptError}.
 */
export interface ScriptHost {
  /**
   * Global names that the host gives: `bess`, and the classes of modules and ports as NativeFunctions, which have the
   * names of the classes. A call creates an anonymous module.
   */
  readonly globals: ReadonlyMap<string, Value>;
  /** `name::Class(args)`: creates a module with the name given. */
  createNamed(className: string, name: string, args: CallArguments): HostObject;
  /** `from:ogate -> igate:to`. The host checks the gates, which are ints, and whether the objects are modules. */
  connect(from: HostObject, ogate: number, to: HostObject, igate: number): void;
  /** $NAME, `os.environ` and `os.getenv`; undefined if it is not set. */
  variable(name: string): string | undefined;
  /** What the host adds to the error for a name that is not defined: the names that it has; empty if that does not help. */
  unknownName?(name: string): string;
  /** A line of the script's output. */
  print(line: string): void;
  /** A line for the log: that a variable is not set and its default is used. */
  notice?(line: string): void;
  /** `os.path.exists` */
  exists(path: string): boolean;
  /** `os.unlink` */
  unlink(path: string): void;
}

/**
 * A value without Python's types: lists and all like them are arrays, a dict is a Map (so that no key, such as
 * `__proto__`, can do harm), host objects are themselves.
 */
export type Plain = null | boolean | number | string | Plain[] | PlainMap | HostObject;
export type PlainMap = Map<Plain, Plain>;

/** Values that one conversion may visit. */
const MAX_VALUES = 1 << 18;

/** Raises TypeError, in the script, for what has no plain form: a function, or a list inside itself. */
export function toPlain(value: Value): Plain {
  return convert(value, [], { left: MAX_VALUES });
}

function convert(value: Value, around: readonly Value[], budget: { left: number }): Plain {
  if (--budget.left < 0) raise('MemoryError', 'the argument is too large');
  if (value === null || typeof value !== 'object' || isHostObject(value)) return value;
  if (around.includes(value)) raise('TypeError', `the '${typeName(value)}' contains itself`);
  const inside = [...around, value];
  const plain = (item: Value): Plain => convert(item, inside, budget);
  if (value instanceof Map) return new Map(Array.from(value, ([key, item]) => [plain(key), plain(item)]));
  if (value instanceof PyRange || itemsOf(value) !== null) return collect(value).map(plain);
  return raise('TypeError', `a '${typeName(value)}' cannot be an argument here`);
}
