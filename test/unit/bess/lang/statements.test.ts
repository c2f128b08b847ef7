/** Statements of `.bess` scripts: each output is what CPython 3.11 prints for the same text. */
import { describe, expect, it } from 'vitest';
import { BessScriptError, runScript } from '../../../../bess/lang/index.js';
import { errorOf, printedBy, RecordingHost } from '../../../support/bess/lang-host.js';

describe('assignment', () => {
  it('unpacks, chains and swaps', () => {
    const script = `
a, b = 1, 2
a, b = b, a
(c, d), e = (1, 2), 3
[f, g] = 'xy'
h = i = []
h.append(1)
print(a, b, c, d, e, f, g, i)`;
    expect(printedBy(script)).toEqual(['2 1 1 2 3 x y [1]']);
  });

  it('changes lists and dicts in place', () => {
    const script = `
d = {'b': [1]}
d['a'] = 1
d['a'] += 5
d['b'][0] = 7
l = [1, 2]
m = l
m += (3,)
m[-1] *= 2
print(d, l, l is m)
l.extend([4]); l.append('x')
print(l, d.get('q'), len(d))`;
    expect(printedBy(script)).toEqual(["{'b': [7], 'a': 6} [1, 2, 6] True", "[1, 2, 6, 4, 'x'] None 2"]);
  });

  it('knows the augmented operators', () => {
    const script = `
x = 5
x -= 1; x //= 2; x **= 3; x %= 5; x <<= 2; x |= 1; x ^= 3; x &= 0xfe; x >>= 1
print(x)`;
    expect(printedBy(script)).toEqual(['7']);
  });
});

describe('loops and conditions', () => {
  it('runs for, break, continue, elif', () => {
    const script = `
for i in range(10):
    if i == 2: continue
    elif i > 4:
        break
    else:
        pass
    print(i)
for a, (b, c) in [(1, (2, 3))]: print(a, b, c)
for i, x in enumerate(['a', 'b']): print(i, x)
for x in 1, 2: print(x)`;
    expect(printedBy(script)).toEqual(['0', '1', '3', '4', '1 2 3', '0 a', '1 b', '1', '2']);
  });

  it('sees a list that grows in its loop', () => {
    const script = `
l = [1]
for x in l:
    if len(l) < 4: l.append(x + 1)
print(l)`;
    expect(printedBy(script)).toEqual(['[1, 2, 3, 4]']);
  });

  it('keeps the names of a comprehension to itself', () => {
    const script = `
i = 7; x = [1, 2]
print([i for i in range(3)], [x for x in x], [[a, b] for a in x for b in range(a)], i, x)
[only for only in x]
only`;
    const host = new RecordingHost();
    expect(errorOf(script, host).message).toContain("5:1: NameError: name 'only' is not defined");
    expect(host.printed).toEqual(['[0, 1, 2] [1, 2] [[1, 0], [2, 0], [2, 1]] 7 [1, 2]']);
  });
});

describe('lines', () => {
  it('joins lines in brackets and after a backslash; skips comments and blank lines', () => {
    const script = `
# a comment
if True:
    x = 1 + \\
        2

    # another

    y = (3,   # a comment
4)
print({'a':
   1}['a'], x, y); print('z')   # end`;
    expect(printedBy(script)).toEqual(['1 3 (3, 4)', 'z']);
  });

  it('takes tabs, Windows line ends, a byte order mark and no newline at the end', () => {
    expect(printedBy('\uFEFFif 1:\r\n\tprint(1)\r\n\tif 2:\r\n\t    print(2)\r\nprint(3)')).toEqual(['1', '2', '3']);
  });

  it('tells names from the keywords they begin with', () => {
    const script = `
class_ = 1; iff = 2; notx = 3; inn = 4; orr = 5; asx = 6; assertx = 7; isx = 8
print(class_ + iff + notx + inn + orr + asx + assertx + isx)`;
    expect(printedBy(script)).toEqual(['36']);
  });
});

describe('calls', () => {
  it('take arguments by place, by name and from a dict', () => {
    const script = `
m::M()
n = m.connect(m, 1, igate=2)
print(n is m, dict(**{'a': 1}, b=2), list(enumerate(start=3, iterable='a')))`;
    expect(printedBy(script)).toEqual(["True {'a': 1, 'b': 2} [(3, 'a')]"]);
  });
});

describe('os', () => {
  it('unlinks a socket that may not be there', () => {
    const host = new RecordingHost({ HOME: '/h' }, new Set(['/tmp/a.sock']));
    const script = `
import os
for path in ['/tmp/a.sock', '/tmp/b.sock']:
    print(os.path.exists(path))
    if os.path.exists(path): os.unlink(path)
print(os.path.join('/tmp', 'a', '/b', 'c'), os.environ['HOME'], os.environ.get('X', 'd'), os.getenv('X'), 'X' in os.environ)`;
    runScript(script, 'test.bess', host);
    expect(host.printed).toEqual(['True', 'False', '/b/c /h d None False']);
    expect(host.files.size).toBe(0);
  });

  it('says that there is no other module', () => {
    expect(errorOf('import os, sys').message).toContain('not supported by the embedded switch: import sys (only os)');
  });
});

describe('print', () => {
  it('gives the host whole lines', () => {
    const script = `
print('a', 1, None)
print()
print('two\\nlines')`;
    expect(printedBy(script)).toEqual(['a 1 None', '', 'two', 'lines']);
  });
});

describe('an assignment with an operator', () => {
  it('evaluates the object and the index once, in that order', () => {
    const script = `
l = [1, 2]
[print('object') or l][0][print('index') or 1] += print('value') or 5
print(l)`;
    expect(printedBy(script)).toEqual(['object', 'index', 'value', '[1, 7]']);
  });
});

describe('limits', () => {
  it.each([
    ['l = [1]\nfor x in l: l.append(x)', 'steps'],
    ["s = 'ab'\nfor i in range(99): s += s", 'characters at most'],
    ['l = [1]\nfor i in range(99): l = l + l', 'items at most'],
    ['x = [0] * 10 ** 12', 'items at most'],
    ["x = 'a' * 10 ** 12", 'characters at most'],
    ["x = '%99999999d' % 1", 'characters at most'],
    ["x = f'{1:99999999}'", 'characters at most'],
    ['x = list(range(10 ** 12))', 'items at most'],
    ['for i in range(10 ** 12): pass', 'steps'],
    ['[1 for i in range(10 ** 6) for j in range(10 ** 6)]', 'items at most'],
    ['d = {}\nfor i in range(10 ** 6): d[i] = 0', 'items at most'],
    ['1 in range(10 ** 12)', 'items at most'],
    ["'%999999d' * 9 % (1, 2, 3, 4, 5, 6, 7, 8, 9)", 'characters at most'],
    ['a = [0] * 10 ** 5\nb = a + []\n[b, 1] in [[a, 2]] * 9', 'too large to compare'],
    ['a = []\nfor i in range(10 ** 5): a = [a]\nprint(a)', 'nested too deeply'],
    ['a = []\nfor i in range(60): a = [a, a]\nprint(a)', 'characters at most'],
    ['a = []\nb = []\nfor i in range(60):\n a = [a, a]\n b = [b, b]\nprint(a == b)', 'too large to compare'],
    ['a = []\nfor i in range(60): a = [a, a]\nm::M()\nm.add(a)', 'too large'],
    ['a = []\na.append(a)\nm::M()\nm.add(a)', 'contains itself'],
    ["x = ('a,' * 2 ** 18).split(',')", 'items at most'],
    ["x = ('a ' * 2 ** 18).split()", 'items at most'],
    ['d = {}\nfor i in range(2 ** 17): d[i] = 0\nx = dict(d, a=1)', 'items at most'],
    ["s = 'a' * 2 ** 20\nx = max([s, s])", 'too long to compare'],
    ["s = 'a' * 2 ** 20\nx = 'b' in [s + ''] * 2 ** 17", 'too large to compare'],
    ['x = 2 ** 53', 'beyond those'],
    ['x = 9007199254740991 + 1', 'beyond those'],
    ['x = 1 << 60', 'beyond those'],
  ])('%s', (script, expected) => {
    const error = errorOf(script);
    expect(error).toBeInstanceOf(BessScriptError);
    expect(error.message).toContain(expected);
  });

  // Each does much in a statement; so the loop must end after few turns.
  it.each([
    ['a long statement', '', `x = ${'1 + '.repeat(9999)}1`],
    ['a long list', '', `x = [${'1, '.repeat(9999)}]`],
    ['a long comprehension', '', `x = [${'1 + '.repeat(9999)}y for y in [1, 2]]`],
    ['a long target', 'l = [1]', `for l[${'0 + '.repeat(9999)}0] in 'ab': pass`],
    ['a comparison of lists in lists', 'a = [[0] * 999] * 99\nb = [[0] * 999] * 99', 'x = a == b'],
    ['an output of lists in lists', 'a = [[12345678] * 999] * 9', 'print(a)'],
    ['an output of many lines', "a = '\\n' * 999", 'print(a)'],
    ['a default that is shown', "a = 'a' * 2 ** 20", 'x = $NONE!a'],
    ['the items of a dict', 'd = {}\nfor i in range(9999): d[i] = i', 'x = d.items()'],
    ['an enumeration', 'l = [0] * 9999', 'x = enumerate(l)'],
  ])('counts %s as many steps', (_, before, statement) => {
    expect(errorOf(`${before}\nfor i in range(9999): ${statement.replace(/^(if|for) .*/, '\n $&')}`).message).toContain(
      'more than 1000000 steps',
    );
  });
});
