/**
 * Combines functions to one. Each combination is a function of its own, made from source text: V8 inlines a call when the
 * same place in the source has always called the same function (docs/v8.md, "One shape"), and one `one(…) && other(…)` for
 * all filters would call all of them. No text of a filter gets into the source.
 */
import type { Match } from './frame.js';

let made = 0;

function own(parts: Readonly<Record<string, Match>>, result: string): Match {
  // V8 takes the same text for the same function.
  const source = `return (u8, at, length) => ${result}; // ${++made}`;
  return new Function(...Object.keys(parts), source)(...Object.values(parts)) as Match;
}

export const both = (one: Match, other: Match): Match =>
  own({ one, other }, 'one(u8, at, length) && other(u8, at, length)');

export const either = (one: Match, other: Match): Match =>
  own({ one, other }, 'one(u8, at, length) || other(u8, at, length)');

export const not = (one: Match): Match => own({ one }, '!one(u8, at, length)');
