/**
 * The arguments of a call in a script, read by name and type. What BESS's protobuf messages would refuse (an unknown
 * name, a string for a number) is refused here, with a line that names the call and the argument.
 *
 * Values are plain: null, booleans, integers as numbers, strings, arrays, and Maps for dictionaries.
 */
import { BessError } from '../errors.js';

/** One entry of an `entries` list. */
export type Dictionary = ReadonlyMap<unknown, unknown>;

export class Arguments {
  private readonly given = new Map<string, unknown>();
  private readonly read = new Set<string>();

  /**
   * @param call what is called, for errors: `L2Forward()` or `fwd.add()`
   * @param names names of the positional arguments, in order; BESS takes none for modules and ports
   */
  constructor(
    private readonly call: string,
    positional: readonly unknown[],
    keyword: ReadonlyMap<string, unknown>,
    names: readonly string[] = [],
  ) {
    if (positional.length > names.length) {
      const takes = names.length === 0 ? 'arguments by name only' : `at most ${names.length} without a name`;
      throw this.wrong(`takes ${takes}; ${positional.length} were given`);
    }
    positional.forEach((value, i) => {
      this.given.set(names[i], value);
    });
    for (const [name, value] of keyword) {
      if (this.given.has(name)) throw this.wrong(`'${name}' is given twice`);
      this.given.set(name, value);
    }
  }

  /** True where the script gave the argument, and not None. */
  has(name: string): boolean {
    return this.take(name) !== null;
  }

  string(name: string): string | null {
    const value = this.take(name);
    if (value === null || typeof value === 'string') return value;
    throw this.wrongType(name, 'a string', value);
  }

  /** An integer of `min` to `max`, or `otherwise` where none is given. */
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

  dictionaries(name: string): Dictionary[] {
    return this.list(name).map((value) => {
      if (value instanceof Map) return value;
      throw this.wrongType(name, 'a list of dictionaries', value);
    });
  }

  /** Call it last: refuses what nobody has read. */
  finish(): void {
    for (const name of this.given.keys()) {
      if (this.read.has(name)) continue;
      const known = [...this.read].join(', ');
      throw this.wrong(`there is no argument '${name}'${known === '' ? '' : `; known are ${known}`}`);
    }
  }

  private list(name: string): readonly unknown[] {
    const value = this.take(name);
    if (value === null) return [];
    if (Array.isArray(value)) return value;
    throw this.wrongType(name, 'a list', value);
  }

  private checkInteger(name: string, value: unknown, min: number, max: number): number {
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw this.wrongType(name, 'an integer', value);
    if (value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`;
    throw this.wrong(`'${name}' must be ${range}, not ${value}`);
  }

  private take(name: string): unknown {
    this.read.add(name);
    return this.given.get(name) ?? null;
  }

  private wrongType(name: string, wanted: string, value: unknown): BessError {
    return this.wrong(`'${name}' must be ${wanted}, not ${describe(value)}`);
  }

  private wrong(reason: string): BessError {
    return new BessError('EINVAL', `${this.call}: ${reason}`);
  }
}

/** A value as an error may show it. */
function describe(value: unknown): string {
  if (typeof value === 'string') return `the string '${value}'`;
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Map) return 'a dictionary';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (value === null) return 'None';
  return typeof value === 'number' ? String(value) : 'an object';
}
