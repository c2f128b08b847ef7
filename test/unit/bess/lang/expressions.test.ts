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
    ['-2 ** 2, 2 ** -1, 2 ** 3 ** 2, -2 ** -2', '(-4, 0.5, 512, -0.25)'],
    ['7 // 2, -7 // 2, 7 // -2, -7 // -2', '(3, -4, -4, 3)'],
    ['7 % 3, -7 % 3, 7 % -3, -7 % -3', '(1, 2, -2, -1)'],
    ['7 / 2, 4 / 2, 7.5 // 2, -7.5 % 2', '(3.5, 2.0, 3.0, 0.5)'],
    ['0x1F, 0b101, 0o17, 1_000_000, 0xdead_beef', '(31, 5, 15, 1000000, 3735928559)'],
    [
      '1e16, 1e15, 1e-5, 0.0001, .5, 5., 1e22, -0.0',
      '(1e+16, 1000000000000000.0, 1e-05, 0.0001, 0.5, 5.0, 1e+22, -0.0)',
    ],
    [
      '0x020000000001 >> 40, 0xffffffffffff & 0xff00ff, 1 << 40, -5 & 0xff, ~7',
      '(2, 16711935, 1099511627776, 251, -8)',
    ],
    ['5 ^ -3, 12 | 3, True & False, True | 2, True + 1', '(-8, 15, False, 3, 2)'],
    [
      '9007199254740991 // 2, -9007199254740991 // 10, 2 ** 52',
      '(4503599627370495, -900719925474100, 4503599627370496)',
    ],
    ["int('12'), int(' -5 '), int('0x1f', 16), int('101', 2), int('0b11', 0), int(-3.9)", '(12, -5, 31, 5, 3, -3)'],
    ["float('1.5'), float('inf'), float(2), 0.1 + 0.2", '(1.5, inf, 2.0, 0.30000000000000004)'],
    ['hex(255), hex(-255), bin(5), oct(8), abs(-3), pow(2, 10)', "('0xff', '-0xff', '0b101', '0o10', 3, 1024)"],
  ]);
});

describe('conditions', () => {
  check([
    ['1 < 2 < 3, 1 < 2 > 3, 1 < 3 > 2 == 2, 1 == 1.0', '(True, False, True, True)'],
    ["1 and 2, 0 or 'x', [] and 1, None or 0 or ''", "(2, 'x', [], '')"],
    ['not 1 == 2, not not 1, not []', '(True, True, True)'],
    ['1 if True else 2, 1 if 0 else 2 if 0 else 3', '(1, 3)'],
    ["'a' in 'abc', 1.0 in (1, 2), 'x' not in {'x': 1}, 6 in range(0, 9, 3)", '(True, True, False, True)'],
    ['None is None, 1 is not None, [] is []', '(True, True, False)'],
    [
      "(1, 2) < (1, 3), [1] < [1, 0], 'a' < 'b', {'a': 1} == {'a': 1.0}, (1,) == [1]",
      '(True, True, True, True, False)',
    ],
    ["bool(''), bool([0]), bool(0.0), bool(range(0)), bool({})", '(False, True, False, False, False)'],
  ]);
});

describe('strings', () => {
  check([
    [`'a' 'b' "c", 'ab' * 3, 3 * 'x', 'x' * -1`, "('abc', 'ababab', 'xxx', '')"],
    [`'it\\'s', "say \\"hi\\"", 'both \\' and "'`, `("it's", 'say "hi"', 'both \\' and "')`],
    [`'\\x41\\u0042\\n\\t\\\\', r'\\n', '\\101', '\\q'`, `('AB\\n\\t\\\\', '\\\\n', 'A', '\\\\q')`],
    [`'''triple\nline''', """a"b'c"""`, `('triple\\nline', 'a"b\\'c')`],
    ["'abcdef'[1:-1], 'abcdef'[::-2], 'abc'[-1], len('a😀'), 'a😀'[1]", "('bcde', 'fdb', 'c', 2, '😀')"],
    [
      "'a,b,c'.split(',', 1), ' a  b '.split(), ','.join('abc'), ' x '.strip()",
      "(['a', 'b,c'], ['a', 'b'], 'a,b,c', 'x')",
    ],
    ["'AbC'.lower(), 'AbC'.upper(), 'aaa'.replace('a', 'b', 2), '7'.zfill(3)", "('abc', 'ABC', 'bba', '007')"],
    [
      "'abc'.startswith('ab'), 'abc'.endswith(('x', 'c')), 'abc'.find('x'), 'xxaxx'.strip('x')",
      "(True, True, -1, 'a')",
    ],
    ["str(1.0), str(None), str([1, 'a']), repr('x'), chr(65), ord('A')", `('1.0', 'None', "[1, 'a']", "'x'", 'A', 65)`],
  ]);
});

describe('formatting', () => {
  check([
    [
      `'%d' % 5, '%02x' % 10, '%s-%s' % ('a', 1), '%5d|%-5d|%05d|%+d' % (1, 2, 3, 4)`,
      `('5', '0a', 'a-1', '    1|2    |00003|+4')`,
    ],
    [
      `'%x %X %o %#x' % (255, 255, 8, 255), '%.2f %g %e' % (3.14159, 1e10, 12345.678), '%%' % ()`,
      `('ff FF 10 0xff', '3.14 1e+10 1.234568e+04', '%')`,
    ],
    [`'%s' % [1], '%s' % (None,), '%r' % 'x', '%(a)s %(b)03d' % {'a': 1, 'b': 2}`, `('[1]', 'None', "'x'", '1 002')`],
    [
      `'%.0f' % 0.5, '%.0f' % 1.5, '%.2f' % 0.125, '%.3f' % 1e-10, '%.1e' % 9.99`,
      `('0', '2', '0.12', '0.000', '1.0e+01')`,
    ],
    [
      `f'{1 + 1}', f'{5:02x}', f'{5:04d}', f'{"a":>10}|', f'{"a":<3}|', f'{"a":^5}|'`,
      `('2', '05', '0005', '         a|', 'a  |', '  a  |')`,
    ],
    [
      `f'{{x}}', f'{3.14159:.2f}', f'{1!r}{"a"!r}', f'{255:#x}', f'{1000000:,}', f'{5:{"0"}{3}d}'`,
      `('{x}', '3.14', "1'a'", '0xff', '1,000,000', '005')`,
    ],
    [
      `f'{ {"a": 1}["a"] }', f'a' 'b{c}' f'{1}', rf'\\n{1}', f'{1 != 2}', f'{True:5}', f'{[1, 2, 3][::2]}'`,
      `('1', 'ab{c}1', '\\\\n1', 'True', '    1', '[1, 3]')`,
    ],
    [
      `'{} {}'.format(1, 'a'), '{0}{1}{0}'.format(1, 2), '{a:>5}'.format(a=1), '{0[1]}{{'.format([1, 2])`,
      `('1 a', '121', '    1', '2{')`,
    ],
    [
      `f'{1234.5:10.2f}|', f'{-12:08}', f'{0.256:.1%}', f'{123.0:.3}', f'{12.0:.3}', f'{1e20}'`,
      `('   1234.50|', '-0000012', '25.6%', '1.23e+02', '12.0', '1e+20')`,
    ],
  ]);
});

describe('lists, tuples, dicts', () => {
  check([
    [
      '[0, 1, 2, 3, 4][1:4], [0, 1, 2, 3][::-1], (1, 2, 3)[:2], [1, 2, 3][-2:]',
      '([1, 2, 3], [3, 2, 1, 0], (1, 2), [2, 3])',
    ],
    [
      'range(10)[2:5], list(range(10, 0, -3)), range(5)[-1], len(range(0, 10, 3))',
      '(range(2, 5), [10, 7, 4, 1], 4, 4)',
    ],
    [
      "{'a': 1, 'b': [2]}, {1: 'a', 1.0: 'b', True: 'c'}, {(1, 2): None}[(1, 2)]",
      "({'a': 1, 'b': [2]}, {1: 'c'}, None)",
    ],
    ['(), (1,), [], [1.0, None, True], [[0] * 2] * 2', '((), (1,), [], [1.0, None, True], [[0, 0], [0, 0]])'],
    [
      "[x for x in range(10) if x % 2 if x > 3], [(x, y) for x in range(2) for y in 'ab']",
      "([5, 7, 9], [(0, 'a'), (0, 'b'), (1, 'a'), (1, 'b')])",
    ],
    [
      "{k: v for k, v in [('a', 1), ('b', 2)]}, sum(x for x in range(5)), [x if x else -1 for x in (0, 1)]",
      "({'a': 1, 'b': 2}, 10, [-1, 1])",
    ],
    [
      "{'a': 1}.get('b'), {'a': 1}.get('b', 2), {'a': 1}.items(), list({'a': 1}.keys())",
      "(None, 2, dict_items([('a', 1)]), ['a'])",
    ],
    [
      "dict(a=1), dict([('a', 1)], b=2), list(zip([1, 2], 'ab')), list(enumerate('ab', 1))",
      "({'a': 1}, {'a': 1, 'b': 2}, [(1, 'a'), (2, 'b')], [(1, 'a'), (2, 'b')])",
    ],
    [
      "min(3, 1, 2), max([1, 5, 2]), sum([1.5, 2]), sorted('cab', reverse=True), min([], default=None)",
      "(1, 5, 3.5, ['c', 'b', 'a'], None)",
    ],
    [
      'any([0, 1]), all([]), tuple([1]), list(reversed([1, 2])), isinstance(True, int), isinstance(1.0, (int, str))',
      '(True, True, (1,), [2, 1], True, False)',
    ],
  ]);
});
