/** Splits a filter expression into words: the language of pcap-filter(7). */

export interface Word {
  readonly text: string;
  /** Where it begins in the expression, from 1. */
  readonly place: number;
}

/** A filter expression that cannot be used. The message names the word and what is possible. */
export class FilterError extends Error {
  override readonly name = 'FilterError';
}

const MAX_LENGTH = 4096;
/** What stands in brackets is one word. */
const WORD = /\(|\)|&&?|\|\||!=|!|==?|<=?|>=?|\[[^\]]*\]|[^\s()!&|=<>[\]]+/gy;

/** @throws FilterError when the expression has a character that begins no word */
export function wordsOf(expression: string): Word[] {
  if (expression.length > MAX_LENGTH) throw new FilterError(`filter: longer than ${MAX_LENGTH} characters`);
  const words: Word[] = [];
  for (let at = 0; ; ) {
    while (/\s/.test(expression.charAt(at))) at++;
    if (at === expression.length) return words;
    WORD.lastIndex = at;
    const [text] = WORD.exec(expression) ?? [];
    if (text === undefined) throw new FilterError(`filter: '${expression.charAt(at)}' at ${at + 1} begins no word`);
    words.push({ text, place: at + 1 });
    at += text.length;
  }
}
