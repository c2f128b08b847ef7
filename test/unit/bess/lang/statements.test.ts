/** Statements of `.bess` scripts: each output is what CPython 3.11 prints for the same text. */
import { describe, expect, it } from 'vitest';
import { ScriptGrammar } from '../../../../bess/lang/grammar.js';
import { BessScriptError, runScript } from '../../../../bess/lang/index.js';
import { errorOf, printedBy, RecordingHost } from '../../../support/bess/lang-host.js';

describe('the grammar', () => {
  it('passes the checks that are left out at run time', () => {
    expect(() => new ScriptGrammar(true)).not.toThrow();
  });
});

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
l.extend([4]); l.insert(0, 'x'); l.remove(2); l.reverse()
print(l.pop(), l.pop(0), l)
d.update({'c': 3}, z=4)
print(d.pop('a'), d.setdefault('q', 0), d.setdefault('c', 0), len(d))`;
    expect(printedBy(script)).toEqual(["{'b': [7], 'a': 6} [1, 2, 6] True", 'x 4 [6, 1]', '6 0 3 4']);
  });

  it('knows the augmented operators', () => {
    const script = `
x = 5
x -= 1; x //= 2; x **= 3; x %= 5; x <<= 2; x |= 1; x ^= 3; x &= 0xfe; x >>= 1
z = 7; z /= 2
print(x, z)`;
    expect(printedBy(script)).toEqual(['7 3.5']);
  });
});

describe('loops and conditions', () => {
  it('runs for, while, break, continue, elif', () => {
    const script = `
for i in range(10):
    if i == 2: continue
    elif i > 4:
        break
    else:
        pass
    print(i, end=' ')
n = 0
while True:
    n += 1
    if n > 3: break
print(n)
for a, (b, c) in [(1, (2, 3))]: print(a, b, c)
for i, x in enumerate(['a', 'b']): print(i, x)
for x in 1, 2: print(x)`;
    expect(printedBy(script)).toEqual(['0 1 3 4 4', '1 2 3', '0 a', '1 b', '1', '2']);
  });

  it('sees a list that grows in its loop, and goes through an iterator once', () => {
    const script = `
l = [1]
for x in l:
    if len(l) < 4: l.append(x + 1)
e = enumerate('ab')
print(l, list(e), list(e))`;
    expect(printedBy(script)).toEqual(["[1, 2, 3, 4] [(0, 'a'), (1, 'b')] []"]);
  });
});

describe('lines', () => {
  it('joins lines in brackets and after a backslash, and passes over comments and blank lines', () => {
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

describe('functions', () => {
  it('binds arguments by place, by name and by default', () => {
    const script = `
def f(a, b=2, c=3):
    return a * 100 + b * 10 + c
print(f(1), f(1, c=5), f(a=4, b=5), f(*[7, 8]), f(**{'a': 9}))
def nothing(): pass
def fact(n):
    if n <= 1: return 1
    return n * fact(n - 1)
print(nothing(), fact(10))`;
    expect(printedBy(script)).toEqual(['123 125 453 783 923', 'None 3628800']);
  });

  it('has Python scopes: locals, closures, shared defaults, names of comprehensions', () => {
    const script = `
x = 5
def f():
    x = 1
    def g(y): return x + y
    return g(10)
def k():
    try:
        print(x)
    except UnboundLocalError: print('unbound')
    x = 2
def keep(x, l=[]):
    l.append(x)
    return l
k()
keep(1)
i = 7
print(f(), x, keep(2), [i for i in range(3)], i)`;
    expect(printedBy(script)).toEqual(['unbound', '11 5 [1, 2] [0, 1, 2] 7']);
  });
});

describe('exceptions', () => {
  it('are caught by class, by tuple, by base, and raised again', () => {
    const script = `
def attempt(what):
    try:
        if what == 0: nope
        if what == 1: [][0]
        if what == 2: {}['k']
        if what == 3: 1 / 0
        if what == 4: raise ValueError('bad %d' % 3)
        if what == 5: assert False, 'msg'
        if what == 6: raise ConfError
        return 'none'
    except NameError as e: return 'name ' + str(e)
    except (KeyError, IndexError) as e: return 'lookup ' + str(e)
    except ArithmeticError: return 'arithmetic'
    except Exception as e: return repr(e)
for what in range(8): print(attempt(what))
try:
    try: raise TypeError('t')
    except TypeError: raise
except Exception as e: print('again', e)
try: e
except NameError: print('e is gone')`;
    expect(printedBy(script)).toEqual([
      "name name 'nope' is not defined",
      'lookup list index 0 is out of range (length 0)',
      "lookup 'k'",
      'arithmetic',
      "ValueError('bad 3')",
      "AssertionError('msg')",
      'ConfError()',
      'none',
      'again t',
      'e is gone',
    ]);
  });

  it('gives the errors of the host to the script', () => {
    const script = `
a::M()
try: a.add('twice')
except bess.Error as e: print(e)
try: a:99 -> a
except: print('busy')`;
    expect(printedBy(script)).toEqual(["EEXIST MAC address 'twice' already exists", 'busy']);
  });
});

describe('os', () => {
  it('unlinks a socket that may not be there', () => {
    const host = new RecordingHost({ HOME: '/h' }, new Set(['/tmp/a.sock']));
    const script = `
import os
for path in ['/tmp/a.sock', '/tmp/b.sock']:
    print(os.path.exists(path))
    try: os.unlink(path)
    except FileNotFoundError: print('none')
try: os.remove('x')
except OSError as e: print(e)
print(os.path.join('/tmp', 'a', '/b', 'c'), os.environ['HOME'], os.environ.get('X', 'd'), os.getenv('X'), 'X' in os.environ)`;
    runScript(script, 'test.bess', host);
    expect(host.printed).toEqual(['True', 'False', 'none', 'no such file: x', '/b/c /h d None False']);
    expect(host.files.size).toBe(0);
  });

  it('says that there is no other module', () => {
    expect(errorOf('import os, sys').message).toContain('not supported by the embedded switch: import sys (only os)');
  });
});

describe('print', () => {
  it('gives the host whole lines', () => {
    const script = `
print('a', 'b', sep='', end='!\\n')
print()
print('two\\nlines')
print('open', end='')`;
    expect(printedBy(script)).toEqual(['ab!', '', 'two', 'lines', 'open']);
  });
});

describe('limits', () => {
  it.each([
    ['while True: pass', 'steps'],
    ['while True:\n try: x\n except: pass', 'steps'],
    ['l = [1]\nfor x in l: l.append(x)', 'steps'],
    ["s = 'ab'\nwhile 1: s += s", 'characters at most'],
    ['l = [1]\nwhile 1: l = l + l', 'items at most'],
    ['x = [0] * 10 ** 12', 'items at most'],
    ["x = 'a' * 10 ** 12", 'characters at most'],
    ["x = '%99999999d' % 1", 'too large'],
    ["x = f'{1:99999999}'", 'too large'],
    ['x = list(range(10 ** 12))', 'items at most'],
    ['for i in range(10 ** 12): pass', 'steps'],
    ['def f(): return f()\nf()', 'functions call each other'],
    ['a = []\nfor i in range(60): a = [a, a]\nprint(a)', 'characters at most'],
    ['a = []\nb = []\nfor i in range(60):\n a = [a, a]\n b = [b, b]\nprint(a == b)', 'too large to compare'],
    ['a = []\nfor i in range(60): a = [a, a]\nm::M()\nm.add(a)', 'too large'],
    ['a = []\na.append(a)\nm::M()\nm.add(a)', 'contains itself'],
    ['x = 2 ** 53', 'beyond those'],
    ['x = 9007199254740991 + 1', 'beyond those'],
    ['x = 1 << 60', 'beyond those'],
  ])('%s', (script, expected) => {
    const error = errorOf(script);
    expect(error).toBeInstanceOf(BessScriptError);
    expect(error.message).toContain(expected);
  });
});
