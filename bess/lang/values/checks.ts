/** What a value must be, and how large it may be. */
import { raise } from '../errors.js';
import { typeName, type Value } from './values.js';

/** The int that a value is (a bool is one too), otherwise null. */
export function asInt(value: Value): number | null {
  if (typeof value === 'number') return value;
  return typeof value === 'boolean' ? Number(value) : null;
}

/** The int that a value must be for `what`, such as an index. */
export function requireInt(value: Value, what: string): number {
  return asInt(value) ?? raise('TypeError', `${what} must be an int, not '${typeName(value)}'`);
}

/** The string that a value must be. */
export function requireText(value: Value, what: string): string {
  return typeof value === 'string' ? value : raise('TypeError', `${what} must be a str, not '${typeName(value)}'`);
}

// A script that is out of bounds ends, so that none can hang the switch or fill its memory. No switch needs so much.

/**
 * Steps: a statement, a turn of a loop or a call is one; long statements (see `TokenReader.costed`) and large values (see `costOf`)
 * cost more.
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

/** The text itself, if it is not too long. */
export function checkText(text: string): string {
  checkLength(text.length);
  return text;
}

/** Raises MemoryError for more items than a list may have. */
export function checkCount(count: number): void {
  if (count > MAX_ITEMS) raise('MemoryError', `a list may have ${MAX_ITEMS} items at most`);
}

/** The int itself, if a JavaScript number holds it exactly; never -0. */
export function checkInt(value: number): number {
  if (!Number.isSafeInteger(value)) {
    raise('OverflowError', 'the integer is beyond those of the embedded switch (2**53 - 1)');
  }
  return value === 0 ? 0 : value;
}
