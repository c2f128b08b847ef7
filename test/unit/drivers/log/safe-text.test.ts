/** Text of others in our lines: it is quoted, escaped and cut. */
import { describe, expect, it } from 'vitest';
import { isPlain, oneLine, ownLines, quoted } from '../../../../drivers/log/safe-text.js';

/** One character of each class that could forge a line or control a terminal. */
const HOSTILE = [
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\u001b[2J', '\\x1b[2J'],
  ['\u0000', '\\x00'],
  ['\u007f', '\\x7f'],
  ['\u009b31m', '\\x9b31m'],
  ['\u0085', '\\x85'],
  ['\u2028', '\\u2028'],
  ['\u2029', '\\u2029'],
  ['\u202e', '\\u202e'],
  ['\u2066', '\\u2066'],
  ['\u2069', '\\u2069'],
  ['\u200b', '\\u200b'],
  ['\ufeff', '\\ufeff'],
  ['\ud800', '\\ud800'],
  ['\u{e0001}', '\\u{e0001}'],
] as const;

describe('quoted', () => {
  it.each(HOSTILE)('escapes %j', (hidden, shown) => {
    expect(quoted(`a${hidden}b`)).toBe(`'a${shown}b'`);
    expect(isPlain(hidden)).toBe(false);
    expect(isPlain(quoted(hidden))).toBe(true);
  });

  it('keeps letters of all scripts, and escapes what could end the quotes', () => {
    expect(quoted('Grüße, 世界 🙂')).toBe("'Grüße, 世界 🙂'");
    expect(quoted("a' in use by 'b")).toBe("'a\\' in use by \\'b'");
    expect(quoted('\\n\t')).toBe("'\\\\n\\t'");
  });

  it('cuts the text, and says so outside of the quotes', () => {
    expect(quoted('x'.repeat(100))).toBe(`'${'x'.repeat(100)}'`);
    expect(quoted('x'.repeat(101))).toBe(`'${'x'.repeat(100)}'…`);
    expect(quoted('abcdef', 3)).toBe("'abc'…");
    // A surrogate that lost its other half is no character.
    expect(quoted('ab🙂', 3)).toBe("'ab\\ud83d'…");
  });
});

describe('oneLine', () => {
  it.each(HOSTILE)('escapes %j', (hidden, shown) => {
    expect(oneLine(`port vm1: ${hidden}`)).toBe(`port vm1: ${shown}`);
  });

  it('keeps what our lines consist of, and cuts what is longer than any of them', () => {
    const line = "port vm1: it's … 5 µs, \\n\tC:\\x";
    expect(oneLine(line)).toBe(line);
    expect(oneLine('x'.repeat(5000))).toBe(`${'x'.repeat(2000)}…`);
    expect(oneLine('\n'.repeat(5000)).length).toBeLessThanOrEqual(2001);
  });
});

describe('ownLines', () => {
  it('keeps the lines of a table, and nothing else that moves the cursor', () => {
    expect(ownLines('┌──┐\n│\ta│\r\u001b[A')).toBe('┌──┐\n│\ta│\\r\\x1b[A');
  });
});
