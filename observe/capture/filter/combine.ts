/**
 * Combines functions to one. Each combination is a function of its own, made from source text: V8 inlines a call when the
 * same place in the source has always called the same function (docs/v8.md, "One shape"), and one `one(…) && other(…)` for
 * all filters would call all of them. No text of a filter gets into the source. Where Node may not make code from text
 * (`--disallow-code-generation-from-strings`), combinations share their functions, and are slower.
 */
import type { Match } from './frame.js';

let made = 0;

/** Returns a function of a frame whose result is this expression of `one` and `other`; null when no code may be made. */
function own(result: string, one: Match, other: Match): Match | null {
  try {
    // V8 takes the same text for the same function.
    const make = new Function('one', 'other', `return (u8, at, length) => ${result}; // ${++made}`);
    return make(one, other) as Match;
  } catch {
    return null;
  }
}

export const both = (one: Match, other: Match): Match =>
  own('one(u8, at, length) && other(u8, at, length)', one, other) ??
  ((u8, at, length) => one(u8, at, length) && other(u8, at, length));

export const either = (one: Match, other: Match): Match =>
  own('one(u8, at, length) || other(u8, at, length)', one, other) ??
  ((u8, at, length) => one(u8, at, length) || other(u8, at, length));

export const not = (one: Match): Match =>
  own('!one(u8, at, length)', one, one) ?? ((u8, at, length) => !one(u8, at, length));
