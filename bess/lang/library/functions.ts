/** How the language defines functions for scripts: by a signature, after which the arguments of a call are read. */
import { raise } from '../errors.js';
import { type CallArguments, NativeFunction, type Value } from '../values/values.js';

/** The body of a function. Its arguments come in the order of the signature; undefined for one that was left out. */
export type Implementation<Self> = (self: Self, ...args: (Value | undefined)[]) => Value;

/**
 * Functions by signature: `enumerate(iterable, start?)`. A `?` marks an argument that can be left out; `, /` at the end
 * says that no argument can be given by name, as in Python's own documentation.
 */
export type Definitions<Self> = Readonly<Record<string, Implementation<Self>>>;

/** Makes the functions, by name. Each is bound to the value that it is called on when it is looked up. */
export function defineFunctions<Self>(definitions: Definitions<Self>): Map<string, (self: Self) => NativeFunction> {
  return new Map(
    Object.entries(definitions).map(([signature, run]) => {
      const [name = '', list = ''] = signature.split(/[()]/);
      const parameters = list.split(', ').filter((parameter) => parameter !== '' && parameter !== '/');
      const names = parameters.map((parameter) => parameter.replace('?', ''));
      const required = parameters.filter((parameter) => !parameter.endsWith('?')).length;
      const call = (self: Self, args: CallArguments): Value => {
        if (list.endsWith('/')) refuseNames(name, args);
        return run(self, ...bindArguments(name, names, required, args));
      };
      return [name, (self: Self) => new NativeFunction(name, (args) => call(self, args))];
    }),
  );
}

/** Raises TypeError for a call with arguments by name. */
function refuseNames(name: string, { keyword }: CallArguments): void {
  if (keyword.size > 0) raise('TypeError', `${name}() takes no arguments with a name in the embedded switch`);
}

/** Makes a function of any number of arguments, none of which has a name. */
export function defineVariadic(name: string, run: (values: readonly Value[]) => Value): NativeFunction {
  return new NativeFunction(name, (args) => {
    refuseNames(name, args);
    return run(args.positional);
  });
}

/** Makes functions that are not methods. Their implementations ignore the first parameter. */
export function defineGlobals(definitions: Definitions<null>): [name: string, NativeFunction][] {
  return Array.from(defineFunctions(definitions), ([name, bind]) => [name, bind(null)]);
}

/**
 * Returns the arguments in the order of `parameters`; undefined for one that was left out. The first `required` ones
 * must be present. Raises TypeError for too many, missing, unknown or doubled arguments.
 */
export function bindArguments(
  name: string,
  parameters: readonly string[],
  required: number,
  { positional, keyword }: CallArguments,
): (Value | undefined)[] {
  if (positional.length > parameters.length) {
    const count = parameters.length === 0 ? 'no arguments' : `${parameters.length} argument(s) at most`;
    raise('TypeError', `${name}() takes ${count}, not ${positional.length}`);
  }
  const bound: (Value | undefined)[] = parameters.map((_, i) => positional[i]);
  for (const [key, value] of keyword) {
    const index = parameters.indexOf(key);
    if (index < 0) {
      const known = parameters.length === 0 ? '' : ` (it has: ${parameters.join(', ')})`;
      raise('TypeError', `${name}() has no argument '${key}'${known}`);
    }
    if (bound[index] !== undefined) raise('TypeError', `${name}() got the argument '${key}' twice`);
    bound[index] = value;
  }
  const missing = parameters.find((_, i) => i < required && bound[i] === undefined);
  if (missing !== undefined) raise('TypeError', `${name}() needs the argument '${missing}'`);
  return bound;
}
