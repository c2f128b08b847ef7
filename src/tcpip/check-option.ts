/** Checks the options of the stack: one line names the call, the option, what is allowed and what was found. */
import { ArgumentError } from '../errors.js';

/**
 * Checks an option that is a whole number from `least` to `most`, or one of two words.
 * @throws ArgumentError when it is not
 */
export function checkOption(call: string, name: string, value: unknown, least: number, most: number): void;
export function checkOption(call: string, name: string, value: unknown, one: string, other: string): void;
export function checkOption(
  call: string,
  name: string,
  value: unknown,
  least: number | string,
  most: number | string,
): void {
  if (typeof least === 'string') {
    if (value === least || value === most) return;
    throw new ArgumentError(`${call}: ${name} is '${least}' or '${most}', found ${String(value)}`);
  }
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= Number(most)) return;
  throw new ArgumentError(`${call}: ${name} is a whole number from ${least} to ${most}, found ${String(value)}`);
}
