/** Expressions of `.bess` scripts: each value is what CPython 3.11 prints for the same text. */
import { describe, expect, it } from 'vitest';
import { reprOf } from '../../../support/bess/lang-host.js';

/** Checks rows of [expression, repr of its value]. */
function check(rows: readonly (readonly [string, string])[]): void {
  it.each(rows)('%s', (expression, expected) => {
    expect(reprOf(expression)).toBe(expected);
  });
}

describe('numbers', () => {
  check([
    ['1 + 2 * 3 - 4 // 3', '6'],
    ['-2 ** 2, 2 ** 3 ** 2, 2 ** 0, (-2) ** 3', '(-4, 512, 1, -8)'],
    ['7 // 2, -7 // 2, 7 // -2, -7 // -2', '(3, -4, -4, 3)'],
    ['7 % 3, -7 % 3, 7 % -3, -7 % -3', '(1, 2, -2, -1)'],
    ['0x1F, 0b101, 0o17, 1_000_000, 0xdead_beef', '(31, 5, 15, 1000000, 3735928559)'],
    [
      '0x020000000001 >> 40, 0xffffffffffff & 0xff00ff, 1 << 40, -5 & 0xff, ~7',
      '(2, 16711935, 1099511627776, 251, -8)',
    ],
    ['5 ^ -3, 12 | 3, True & False, True | 2, True + 1, -0', '(-8, 15, False, 3, 2, 0)'],
    ['0 << 99, 1 >> 99, -1 >> 99, -5 >> 1', '(0, 0, -1, -3)'],
    [
      '9007199254740991 // 2, -9007199254740991 // 10, 2 ** 52',
      '(4503599627370495, -900719925474100, 4503599627370496)',
    ],
    ["int('12'), int(' -5 '), int('0x1f', 16), int('1F', 16), int(True), int()", '(12, -5, 31, 31, 1, 0)'],
  ]);
});

describe('conditions', () => {
  check([
    ['1 < 2 < 3, 1 < 2 > 3, 1 < 3 > 2 == 2, 1 == True', '(True, False, True, True)'],
    ["1 and 2, 0 or 'x', [] and 1, None or 0 or ''", "(2, 'x', [], '')"],
    ['not 1 == 2, not not 1, not []', '(True, True, True)'],
    ['1 if True else 2, 1 if 0 else 2 if 0 else 3', '(1, 3)'],
    ["'a' in 'abc', 1 in (1, 2), 'x' not in {'x': 1}, 6 in range(0, 9, 3)", '(True, True, False, True)'],
    ['None is None, 1 is not None, [] is []', '(True, True, False)'],
    [
      "'a' < 'b', 2 >= 1, {'a': 1} == {'a': 1}, (1,) == [1], range(2) == range(0, 2), [1, (2,)] == [1, (2,)]",
      '(True, True, True, False, True, True)',
    ],
    ["bool(''), bool([0]), bool(()), bool(range(0)), bool({}), bool(len)", '(False, True, False, False, False, True)'],
  ]);
});

describe('strings', () => {
  check([
    [`'a' 'b' "c", 'ab' * 3, 3 * 'x', 'x' * -1`, "('abc', 'ababab', 'xxx', '')"],
    [`'it\\'s', "say \\"hi\\"", 'both \\' and "'`, `("it's", 'say "hi"', 'both \\' and "')`],
    [`'\\x41\\u0042\\n\\t\\\\', r'\\n', 'a\\\nb'`, `('AB\\n\\t\\\\', '\\\\n', 'ab')`],
    [`'''triple\nline''', """a"b'c"""`, `('triple\\nline', 'a"b\\'c')`],
    ["'abc'[-1], len('a😀'), 'a😀'[1]", "('c', 2, '😀')"],
    [
      "'a,b,c'.split(','), ' a  b '.split(), ','.join('abc'), ' x '.strip()",
      "(['a', 'b', 'c'], ['a', 'b'], 'a,b,c', 'x')",
    ],
    ["'AbC'.lower(), 'AbC'.upper(), 'aaa'.replace('a', 'b'), 'ab'.replace('', '-')", "('abc', 'ABC', 'bbb', '-a-b-')"],
    ["'abc'.startswith('ab'), 'abc'.endswith('x'), '12'.isdigit(), ''.isdigit()", '(True, False, True, False)'],
    ["str(1), str(None), str([1, 'a']), str('x'), str()", `('1', 'None', "[1, 'a']", 'x', '')`],
  ]);
});

describe('formatting', () => {
  check([
    [
      `'%d' % 5, '%02x' % 10, '%s-%s' % ('a', 1), '%5d|%-5d|%05d|%i' % (1, 2, -3, 4)`,
      `('5', '0a', 'a-1', '    1|2    |-0003|4')`,
    ],
    [`'%x %X %o %#x' % (255, 255, 8, 255), '%%' % (), '%-4s|%4s' % ('a', 'b')`, `('ff FF 10 0xff', '%', 'a   |   b')`],
    [`'%s' % [1], '%s' % (None,), '%r' % 'x', '%s' % {'a': 1}, '%d' % True`, `('[1]', 'None', "'x'", "{'a': 1}", '1')`],
    [
      `f'{1 + 1}', f'{5:02x}', f'{5:04d}', f'{"a":>10}|', f'{"a":<3}|', f'{"a":^5}|'`,
      `('2', '05', '0005', '         a|', 'a  |', '  a  |')`,
    ],
    [
      `f'{{x}}', f'{1!r}{"a"!r}', f'{255:#x}', f'{-12:08}', f'{5:*^5}', f'{"a"!r:>5}'`,
      `('{x}', "1'a'", '0xff', '-0000012', '**5**', "  'a'")`,
    ],
    [
      `f'{ {"a": 1}["a"] }', f'a' 'b{c}' f'{1}', rf'\\n{1}', f'{1 != 2}', f'{True:5}', f'{[1][0]::>3}', f'{"b":s}{6:b}'`,
      `('1', 'ab{c}1', '\\\\n1', 'True', '    1', '::1', 'b110')`,
    ],
  ]);
});

describe('lists, tuples, dicts', () => {
  check([
    [
      'list(range(10, 0, -3)), range(5)[-1], len(range(0, 10, 3)), range(2), range(0, 4, 2)',
      '([10, 7, 4, 1], 4, 4, range(0, 2), range(0, 4, 2))',
    ],
    ["{'a': 1, 'b': [2]}, {1: 'a', None: 'b'}[None], {1: 'a', 1: 'b'}", "({'a': 1, 'b': [2]}, 'b', {1: 'b'})"],
    [
      '(), (1,), [], [1, None, True], [[0] * 2] * 2, [1] + [2]',
      '((), (1,), [], [1, None, True], [[0, 0], [0, 0]], [1, 2])',
    ],
    [
      "[x for x in range(10) if x % 2 if x > 3], [(x, y) for x in range(2) for y in 'ab']",
      "([5, 7, 9], [(0, 'a'), (0, 'b'), (1, 'a'), (1, 'b')])",
    ],
    ['[x if x else -1 for x in (0, 1)], [[y for y in range(x)] for x in range(3)]', '([-1, 1], [[], [0], [0, 1]])'],
    [
      "{'a': 1}.get('b'), {'a': 1}.get('b', 2), {'a': None}.get('a', 2), {'a': 1}.items(), list({'a': 1}.keys())",
      "(None, 2, None, dict_items([('a', 1)]), ['a'])",
    ],
    ["dict(a=1), dict({'a': 1}, b=2), list(enumerate('ab', 1))", "({'a': 1}, {'a': 1, 'b': 2}, [(1, 'a'), (2, 'b')])"],
    ["min(3, 1, 2), max([1, 5, 2]), max('a', 'b'), sum([1, 2]), sum(range(5))", "(1, 5, 'b', 3, 10)"],
  ]);
});
