/** Checks of the type and the size of values. */
import { raise } from '../errors.js';
import { typeName, type Value } from './values.js';

/** The value as an int; null if it is no int. A bool is one, too. */
export function asInt(value: Value): number | null {
  if (typeof value === 'number') return value;
  return typeof value === 'boolean' ? Number(value) : null;
}

/** The value as an int; raises TypeError if it is no int. `what` names the value in the message. */
export function requireInt(value: Value, what: string): number {
  return asInt(value) ?? raise('TypeError', `${what} must be an int, not '${typeName(value)}'`);
}

/** The value as a string; raises TypeError if it is no string. `what` names the value in the message. */
export function requireText(value: Value, what: string): string {
  return typeof value === 'string' ? value : raise('TypeError', `${what} must be a str, not '${typeName(value)}'`);
}

// A script that exceeds one of these limits is ended, so that no script can hang the switch or fill its memory. They
// are far above what the script of any switch needs.

/**
 * Steps of a script. A statement, one pass of a loop and a call are one each; long statements (see
 * `TokenReader.costed`) and large values (see `costOf`) cost more.
 */
export const MAX_STEPS = 1_000_000;
/** Characters of a string. */
export const MAX_TEXT = 1 << 20;
/** Items of a list, tuple or dict. */
export const MAX_ITEMS = 1 << 17;

/** Raises MemoryError for a string of more characters than one may have. */
export function checkLength(length: number): void {
  if (length > MAX_TEXT) raise('MemoryError', `a string may have ${MAX_TEXT} characters at most`);
}

/** Returns the text; raises MemoryError if it is too long. */
export function checkText(text: string): string {
  checkLength(text.length);
  return text;
}

/** Raises MemoryError for more items than a list may have. */
export function checkCount(count: number): void {
  if (count > MAX_ITEMS) raise('MemoryError', `a list may have ${MAX_ITEMS} items at most`);
}

/** Returns the int, never -0; raises OverflowError if a JavaScript number cannot hold it exactly. */
export function checkInt(value: number): number {
  if (!Number.isSafeInteger(value)) {
    raise('OverflowError', 'the integer is beyond those of the embedded switch (2**53 - 1)');
  }
  return value === 0 ? 0 : value;
}
