/** Bounds on what a script may use, so that none can hang the switch or fill its memory; far above what one needs. */
import { raise } from './exceptions.js';

/** Steps: a statement, a turn of a loop or a call is one; large values cost more (see `costOf`). */
export const MAX_STEPS = 1_000_000;
/** Calls of the script's functions in each other. */
export const MAX_CALLS = 64;
/** Characters of a string. */
export const MAX_TEXT = 1 << 20;
/** Items of a list or tuple. */
export const MAX_ITEMS = 1 << 17;

/** The text itself, if it is not too long. */
export function checkText(text: string): string {
  if (text.length > MAX_TEXT) raise('MemoryError', `a string may have ${MAX_TEXT} characters at most`);
  return text;
}

/** Raises MemoryError for more items than a list may have. */
export function checkCount(count: number): void {
  if (count > MAX_ITEMS) raise('MemoryError', `a list may have ${MAX_ITEMS} items at most`);
}

/** The int itself, if it is one that a JavaScript number holds exactly. */
export function checkInt(value: number): number {
  if (!Number.isSafeInteger(value)) {
    raise('OverflowError', 'the integer is beyond those of the embedded switch (2**53 - 1)');
  }
  // No -0 among the ints.
  return value === 0 ? 0 : value;
}
