/** What an app is told on the command line. A misspelt option that is ignored would cost somebody an hour. */
import { AppError } from '../errors.js';
import type { StackOptions } from '../stack.js';

/** @throws AppError that names the first option which is none of `known` */
export function checkOptions(app: string, options: StackOptions, known: readonly string[] = []): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const choice = known.length === 0 ? 'it takes none' : `it takes ${known.join(', ')}`;
  throw new AppError(`${app}: unknown option '${unknown}' (${choice})`);
}
