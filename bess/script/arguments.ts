/**
 * The arguments of a call in a script, read by name and type. BESS's protobuf messages refuse unknown names and values
 * of a wrong type; so does this, with a line that names the call and the argument.
 */
import { BessError } from '../errors.js';
import { type Plain, type PlainMap, toPlain, type Value } from '../lang/index.js';

export class Arguments {
  private readonly given = new Map<string, Plain>();
  private readonly read = new Set<string>();

  /**
   * @param call the name of the call in errors: `L2Forward()` or `fwd.add()`
   * @param names names of the positional arguments, in order; BESS takes none for modules and ports
   */
  constructor(
    private readonly call: string,
    positional: readonly Value[],
    keyword: ReadonlyMap<string, Value>,
    names: readonly string[] = [],
  ) {
    if (positional.length > names.length) {
      const takes = names.length === 0 ? 'arguments by name only' : `at most ${names.length} without a name`;
      throw this.wrong(`takes ${takes}; ${positional.length} were given`);
    }
    positional.forEach((value, i) => {
      this.given.set(names[i], toPlain(value));
    });
    for (const [name, value] of keyword) {
      if (this.given.has(name)) throw this.wrong(`'${name}' is given twice`);
      this.given.set(name, toPlain(value));
    }
  }

  /** Whether the script gave the argument with a value other than None. */
  has(name: string): boolean {
    return this.take(name) !== null;
  }

  string(name: string): string | null {
    const value = this.take(name);
    if (value === null || typeof value === 'string') return value;
    throw this.wrongType(name, 'a string', value);
  }

  /** An integer from `min` to `max`; `otherwise` if the script gave none. */
  integer(name: string, otherwise: number, min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.take(name);
    if (value === null) return otherwise;
    return this.checkInteger(name, value, min, max);
  }

  boolean(name: string): boolean {
    const value = this.take(name);
    if (value === null) return false;
    if (typeof value === 'boolean') return value;
    throw this.wrongType(name, 'True or False', value);
  }

  integers(name: string): number[] {
    return this.list(name).map((value) => this.checkInteger(name, value, 0, Number.MAX_SAFE_INTEGER));
  }

  strings(name: string): string[] {
    return this.list(name).map((value) => {
      if (typeof value === 'string') return value;
      throw this.wrongType(name, 'a list of strings', value);
    });
  }

  dictionaries(name: string): PlainMap[] {
    return this.list(name).map((value) => {
      if (value instanceof Map) return value;
      throw this.wrongType(name, 'a list of dictionaries', value);
    });
  }

  /** An object of class `type`, which the script got from the switch. `wanted` names it in errors. */
  object<T>(name: string, type: abstract new (...args: never[]) => T, wanted: string): T {
    const value = this.take(name);
    if (value instanceof type) return value;
    throw this.wrongType(name, wanted, value);
  }

  /** Throws for an argument that was not read. Call it after all arguments have been read. */
  finish(): void {
    for (const name of this.given.keys()) {
      if (this.read.has(name)) continue;
      const known = [...this.read].join(', ');
      throw this.wrong(`there is no argument '${name}'${known === '' ? '' : `; known are ${known}`}`);
    }
  }

  private list(name: string): readonly Plain[] {
    const value = this.take(name);
    if (value === null) return [];
    if (Array.isArray(value)) return value;
    throw this.wrongType(name, 'a list', value);
  }

  private checkInteger(name: string, value: Plain, min: number, max: number): number {
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw this.wrongType(name, 'an integer', value);
    if (value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`;
    throw this.wrong(`'${name}' must be ${range}, not ${value}`);
  }

  private take(name: string): Plain {
    this.read.add(name);
    return this.given.get(name) ?? null;
  }

  private wrongType(name: string, wanted: string, value: Plain): BessError {
    return this.wrong(`'${name}' must be ${wanted}, not ${describe(value)}`);
  }

  private wrong(reason: string): BessError {
    return new BessError('EINVAL', `${this.call}: ${reason}`);
  }
}

/** The value in the words of an error. */
function describe(value: Plain): string {
  if (value === null) return 'None';
  if (typeof value === 'string') return `the string '${value}'`;
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) return 'a list';
  return value instanceof Map ? 'a dictionary' : `a ${value.typeName}`;
}
