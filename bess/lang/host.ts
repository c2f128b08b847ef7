/** The face of the switch towards a script: what a script can reach, and what the language asks of it. */
import type { Value } from './values.js';

/** An object of the host's: a module, a port, the `bess` object. */
export interface HostObject {
  /** Its class, as messages name it: `L2Forward`. */
  readonly typeName: string;
  /** A method (a NativeFunction) or a value; undefined when there is none of that name. */
  getAttribute(name: string): Value | undefined;
  /** `object[key]` and `key in object`, for an object that has items; undefined when it has none of that key. */
  getItem?(key: Value): Value | undefined;
  /** What `str(object)` and `print(object)` show; `<typeName object>` without it. */
  describe?(): string;
}

/** Positional and keyword arguments as the script gave them. */
export interface CallArguments {
  readonly positional: readonly Value[];
  readonly keyword: ReadonlyMap<string, Value>;
}

/** What runs a script; each method may throw a {@link HostError}, which the script sees at the place of the call. */
export interface ScriptHost {
  /**
   * Global names that the host gives: `bess`, and the classes of modules and ports as NativeFunctions, their name the
   * class's. A call creates an anonymous module.
   */
  readonly globals: ReadonlyMap<string, Value>;
  /** `name::Class(args)`: creates a module with the name given. */
  createNamed(className: string, name: string, args: CallArguments): HostObject;
  /** `from:ogate -> igate:to`. The gates are ints, unchecked; so is whether the objects are modules. */
  connect(from: HostObject, ogate: number, to: HostObject, igate: number): void;
  /** $NAME, `os.environ` and `os.getenv`; undefined when it is not set. */
  variable(name: string): string | undefined;
  /** What the host adds to the error for a name that is not defined: the names that it has; empty where that does not help. */
  unknownName?(name: string): string;
  /** A line of the script's output. */
  print(line: string): void;
  /** A line for the log: that a variable is not set and its default is used. */
  notice?(line: string): void;
  /** `os.path.exists` */
  exists(path: string): boolean;
  /** `os.unlink`; an error's `code` (`ENOENT`) chooses Python's class of it. */
  unlink(path: string): void;
}

/** An error that a host function throws: `EEXIST`, 'MAC address … already exists'. */
export class HostError extends Error {
  override readonly name = 'HostError';

  constructor(
    message: string,
    readonly code?: string,
  ) {
    super(message);
  }
}
