/** Reading the arguments of a call, for the functions of the language and of the host. */
import { raise } from './exceptions.js';
import type { CallArguments } from './host.js';
import type { Value } from './values.js';

/**
 * The arguments in the order of `parameters`, undefined for one left out. `required` is how many of the first ones must
 * be there. Raises TypeError for too many, missing, unknown or doubled arguments.
 */
export function bindArguments(
  name: string,
  parameters: readonly string[],
  required: number,
  args: CallArguments,
): (Value | undefined)[] {
  const { positional, keyword } = args;
  if (positional.length > parameters.length) {
    const count = parameters.length === 0 ? 'no arguments' : `${parameters.length} argument(s) at most`;
    raise('TypeError', `${name}() takes ${count}, not ${positional.length}`);
  }
  const bound: (Value | undefined)[] = parameters.map((_, i) => positional[i]);
  for (const [key, value] of keyword) {
    const index = parameters.indexOf(key);
    if (index < 0) raise('TypeError', `${name}() has no argument '${key}'${known(parameters)}`);
    if (bound[index] !== undefined) raise('TypeError', `${name}() got the argument '${key}' twice`);
    bound[index] = value;
  }
  const missing = parameters.find((_, i) => i < required && bound[i] === undefined);
  if (missing !== undefined) raise('TypeError', `${name}() needs the argument '${missing}'`);
  return bound;
}

/** As {@link bindArguments}, for parameters that are all required. */
export function bindAll(name: string, parameters: readonly string[], args: CallArguments): Value[] {
  return bindArguments(name, parameters, parameters.length, args) as Value[];
}

function known(parameters: readonly string[]): string {
  return parameters.length === 0 ? '' : ` (it has: ${parameters.join(', ')})`;
}
