/** The interface between the language and the switch that runs a script, and the values that they exchange. */
import { raise } from './errors.js';
import { collect, itemsOf } from './values/items.js';
import { type CallArguments, type HostObject, isHostObject, PyRange, typeName, type Value } from './values/values.js';

/** What runs a script. An error of a method ends the script there; its `code` becomes that of the BessScriptError. */
export interface ScriptHost {
  /** The global names: `bess`, and for each class of modules and ports a NativeFunction that creates one. */
  readonly globals: ReadonlyMap<string, Value>;
  /** `name::Class(args)`: creates a module with this name. */
  createNamed(className: string, name: string, args: CallArguments): HostObject;
  /** `from:ogate -> igate:to`. The host checks the gates, which are ints, and whether the objects are modules. */
  connect(from: HostObject, ogate: number, to: HostObject, igate: number): void;
  /** The value of a variable, for `$NAME`, `os.environ` and `os.getenv`; undefined if it is not set. */
  variable(name: string): string | undefined;
  /** Text to add to the error for an undefined name, such as the names that the host has; empty for none. */
  unknownName?(name: string): string;
  /** A line of the script's output. */
  print(line: string): void;
  /** Logs that a variable is not set and its default is used. */
  notice?(line: string): void;
  /** `os.path.exists` */
  exists(path: string): boolean;
  /** `os.unlink` */
  unlink(path: string): void;
}

/** A value for the host: lists, tuples, ranges and views are arrays; a dict is a Map, safe from `__proto__`. */
export type Plain = null | boolean | number | string | Plain[] | PlainMap | HostObject;
export type PlainMap = Map<Plain, Plain>;

/** Largest number of values that one conversion visits. */
const MAX_VALUES = 1 << 18;

/** Converts a value. Raises TypeError in the script for a function, and for a list that contains itself. */
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
