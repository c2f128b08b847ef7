/** Checks the options of an app: a misspelt option is an error. */
import { AppError } from '../errors.js';
import type { StackOptions } from '../stack.js';

/**
 * Checks that an app knows all its options.
 * @param known names of the options that the app takes
 * @throws AppError that names the first unknown option
 */
export function checkOptions(app: string, options: StackOptions, known: readonly string[] = []): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const choice = known.length === 0 ? 'it takes none' : `it takes ${known.join(', ')}`;
  throw new AppError(`${app}: unknown option '${unknown}' (${choice})`);
}
