/** Errors of `.bess` scripts: where they are, what they say, and that nothing else is thrown. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BessScriptError, parse, runScript, toPlain, type Value } from '../../../../bess/lang/index.js';
import { errorOf, RecordingHost } from '../../../support/bess/lang-host.js';

describe('syntax errors', () => {
  it.each([
    ['x = (1', "1:5: '(' is never closed"],
    ['x = [1)', "1:7: ')' does not close '[' (line 1, column 5)"],
    ['x = 1)', "1:6: ')' closes nothing"],
    ['x = 1 +', '1:8: expected an expression but found the end of the line'],
    ['if x\n  y', "1:5: expected ':' but found the end of the line"],
    ['if x:\ny', "2:1: expected an indented block but found 'y'"],
    ['x = 1\n  y = 2', '2:3: unexpected indentation'],
    ['if 1:\n    x\n  y', '3:3: this indentation matches no block around it'],
    ['if 1:\n\tx\n        y', '3:9: tabs and spaces are mixed in the indentation'],
    ['a b', "1:3: expected the end of the line but found 'b'"],
    ['else: pass', "1:1: expected a statement but found 'else'"],
    ["x = 'abc", "1:5: the string 'abc is never closed"],
    ["x = '''abc\ndef", "1:5: the string '''abc… is never closed"],
    ['x = 012', '1:5: 012 is not a number'],
    ['x = 12ab', '1:5: 12ab is not a number'],
    ['x = 9007199254740992', '1:5: 9007199254740992 is beyond the integers'],
    ['x = ?', '1:5: unexpected character "?"'],
    ['x = 1 \\ \n', "1:7: a '\\' that continues a line must be the last character on it"],
    ['x = a == not b', "1:10: expected an expression but found 'not'"],
    ['f(a=1, 2)', '1:8: an argument without a name follows one with a name'],
    ['f(a=1, a=2)', "1:10: the argument 'a' is given twice"],
    ['break', "1:1: 'break' outside a loop"],
    ['for x in y: pass\ncontinue', "2:1: 'continue' outside a loop"],
    ['a.x = 1', '1:1: cannot assign to an attribute'],
    ['f() = 1', '1:1: cannot assign to the result of a call'],
    ['1 = x', '1:1: cannot assign to a constant'],
    ['a, b += 1', '1:1: cannot assign to a tuple with an operator'],
    ['x[]', "1:3: expected an index but found ']'"],
  ])('%j', (script, expected) => {
    const error = errorOf(script);
    expect(error.kind).toBe('syntax');
    expect(error.message).toContain(`test.bess:${expected}`);
    expect([error.file, error.line, error.column].join(':')).toBe(error.message.split(': ', 1)[0]);
  });

  it.each([
    ['class A: pass', "1:1: 'class' (use dicts)"],
    ['x = lambda: 1', "1:5: 'lambda'"],
    ['with a: pass', "1:1: 'with'"],
    ['@a\ndef f(): pass', "1:1: '@' (decorators)"],
    ['def f(): pass', "1:1: 'def' (use a loop)"],
    ['return 1', "1:1: 'return'"],
    ['while x: pass', "1:1: 'while' (use: for … in range(…))"],
    ['try: x\nexcept: pass', "1:1: 'try' (test before it fails, as in: if os.path.exists(path): …)"],
    ["raise ConfError('x')", "1:1: 'raise' (use: assert False, 'why')"],
    ['del x[0]', "1:1: 'del'"],
    ['from os import path', "1:1: 'from' (use: import os)"],
    ['import os, sys', '1:12: import sys (only os)'],
    ['import os.path as p', "1:16: 'as'"],
    ["x = b'ab'", "1:5: bytes (b'ab')"],
    ['x = 1.5 + 2', '1:5: 1.5 (floats)'],
    ['x = 1e-9', '1:5: 1e-9 (floats)'],
    ['(x := 1)', "1:4: ':='"],
    ['x = y[1:2]', '1:8: a slice (write a list: [x[i] for i in range(…)])'],
    ['x = y[::2]', '1:7: a slice (write a list: [x[i] for i in range(…)])'],
    ['x = (y for y in z)', '1:8: a generator (write a list, or a loop)'],
    ['x = sum(y for y in z)', '1:11: a generator (write a list, or a loop)'],
    ['x = {y: 1 for y in z}', '1:11: a dict comprehension (write a list, or a loop)'],
    ['f(*x)', "1:3: '*' before an argument"],
    ["x = f'{y=}'", '1:8: {name=}'],
    ["x = f'{y:{z}}'", '1:10: a field in the format of a field'],
    ["x = '\\q'", "1:5: \\q in a string (it can have \\n \\r \\t \\\\ \\' \\\" \\xHH \\uHHHH, and a string r'…' none)"],
  ])('of Python that there is not: %j', (script, expected) => {
    const place = /^\d+:\d+: /.exec(expected)?.[0] ?? '';
    const text = `${place}not supported by the embedded switch: ${expected.slice(place.length)}`;
    expect(errorOf(script).message).toBe(`test.bess:${text}`);
  });

  it.each([
    [
      "'{}'.format(1)",
      "1:6: AttributeError: 'str' has no attribute 'format'; use f'…' or '…' % (…); it has: endswith, ",
    ],
    ['[].sort()', "1:4: AttributeError: 'list' has no attribute 'sort'; it has: append, extend"],
    ['{}.pop(1)', "1:4: AttributeError: 'dict' has no attribute 'pop'; it has: get, items, keys, values"],
    ['(1,).index(1)', "1:6: AttributeError: 'tuple' has no attribute 'index'"],
    [
      'sorted([1])',
      "1:1: NameError: name 'sorted' is not defined in the embedded switch, which has bool, dict, enumerate, ",
    ],
    ['import os\nos.system(1)', "2:4: AttributeError: 'os' has no attribute 'system'; it has: environ, getenv, path, "],
    ['7 / 2', "1:3: TypeError: '/' makes a float, but the numbers of the embedded switch are ints: use //"],
    ['2 ** -1', '1:1: ValueError: a negative power is a float, but the numbers of the embedded switch are ints'],
    [
      "'%.2f' % 1",
      "1:8: ValueError: '%.' is no conversion of the embedded switch, which has %s %r %d %i %x %X %o %%, with a ",
    ],
    ["'%(a)s' % {'a': 1}", "1:9: ValueError: '%(' is no conversion of the embedded switch, which has "],
    [
      "f'{1:,}'",
      "1:4: ValueError: ',' is no format of the embedded switch, which has [fill][< > ^ =][#][0][width][d x X o b s]",
    ],
    ["f'{1:s}'", "1:4: ValueError: an 'int' has no format 's'"],
    ['f\'{"a":d}\'', "1:4: ValueError: a 'str' has no format 'd'"],
    ["f'{[]:5}'", "1:4: TypeError: a 'list' has no format '5'"],
    ['{True: 1}', "1:2: TypeError: the key of a dict is a str, an int or None in the embedded switch, not 'bool'"],
    [
      '{}.keys() == {}.keys()',
      '1:11: TypeError: what keys() and the like return cannot be compared: make a list(…) of it',
    ],
    ['[1] < [2]', "1:5: TypeError: 'list' and 'list' have no order"],
    ['(1,) + (2,)', "1:6: TypeError: unsupported operand types for +: 'tuple' and 'tuple'"],
    ["print('a', end='')", '1:1: TypeError: print() takes no arguments with a name in the embedded switch'],
    ["int('11', 2)", '1:1: ValueError: the base of int() is 10 or 16 in the embedded switch'],
    [
      "e = enumerate('ab')\nprint(list(e), list(e))",
      '2:16: TypeError: this enumerate was used up by an earlier loop: make a list(…) of it',
    ],
  ])('of Python that there is not, found while it runs: %j', (script, expected) => {
    const error = errorOf(script);
    expect(error.kind).toBe('runtime');
    expect(error.message).toContain(`test.bess:${expected}`);
  });

  it.each([
    ['a:1', "1:3: expected '->' after the output gate (as in a:1 -> b)"],
    ['a -> ', '1:5: expected an expression but found the end of the line'],
    ['1:a:2 -> b', "1:1: an input gate needs '->' before it (as in a -> 1:b)"],
    ['a -> 1:b:2', "1:10: an output gate needs '->' after it (as in a:1 -> b)"],
    ['a -> 1:b:2:3 -> c', "1:12: expected '->' but found a third gate"],
    ['a + b -> c', "1:1: expected a module next to '->' (put an expression in parentheses)"],
    ['a -> b\n  -> c', '2:3: unexpected indentation'],
    ['a::M', "1:2: expected name::Module(…) around '::'"],
    ["f'{$X}'", '1:4: $X: BESS does not look for variables inside strings'],
    ['$X!', "1:4: expected a string, a name or '(' after '!' but found the end of the line"],
    ['x = $', '1:5: unexpected character "$"'],
  ])('%j', (script, expected) => {
    expect(errorOf(script).message).toBe(`test.bess:${expected}`);
  });

  it('are found in f-strings at their place', () => {
    expect(errorOf("x = 1\ny = f'ab{1 +}'").message).toContain('test.bess:2:13: expected an expression');
    expect(errorOf("y = f'''a\n  {b c}'''").message).toContain(
      "test.bess:2:6: expected the end of the expression but found 'c'",
    );
    expect(errorOf("y = f'a}'").message).toContain("test.bess:1:8: a single '}'");
    expect(errorOf("y = f'a{b'").message).toContain("test.bess:1:8: '{' in an f-string is never closed");
  });

  it('stop a script before any of it runs', () => {
    const host = new RecordingHost();
    expect(errorOf('a::M()\nprint(1)\nx = )', host).kind).toBe('syntax');
    expect([host.log, host.printed]).toEqual([[], []]);
  });
});

describe('runtime errors', () => {
  it.each([
    ['x = 1\ny = x + nope', "2:9: NameError: name 'nope' is not defined"],
    ["x = 1 + 'a'", "1:7: TypeError: unsupported operand types for +: 'int' and 'str'"],
    ["x = 'a' + 1", "1:9: TypeError: can only add a str to a str, not 'int' (use str(…) or a format)"],
    ['x = [1]\nprint(x[1])', '2:8: IndexError: list index 1 is out of range (length 1)'],
    ["d = {}\nd['k']", "2:2: KeyError: 'k'"],
    ['x = (1 +\n  2 // 0)', '2:5: ZeroDivisionError: division by zero'],
    ["'abc'.nope()", "1:7: AttributeError: 'str' has no attribute 'nope'"],
    ['a, b = [1]', '1:1: ValueError: 2 value(s) expected for the names on the left, but there are 1'],
    ['for x in 5: pass', "1:1: TypeError: 'int' is not iterable"],
    ["int('x')", "1:1: ValueError: int() cannot read 'x' in base 10"],
    ["assert 1 == 2, 'one\\nis not two'", '1:1: AssertionError: one is not two'],
    ['len()', "1:1: TypeError: len() needs the argument 'value'"],
    ['len(1, 2)', '1:1: TypeError: len() takes 1 argument(s) at most, not 2'],
    ['len(value=[])', '1:1: TypeError: len() takes no arguments with a name in the embedded switch'],
    ['enumerate([], b=2)', "1:1: TypeError: enumerate() has no argument 'b' (it has: iterable, start)"],
    ["'%d' % 'a'", "1:6: TypeError: %d needs an int, not 'str'"],
    ["'%d %d' % 1", '1:9: TypeError: not enough values for the format string'],
    ["'%d' % (1, 2)", '1:6: TypeError: not all values were used by the format string'],
    ["f'{1}{nope}'", "1:7: NameError: name 'nope' is not defined"],
    ["a::M()\na:'1' -> a", "2:3: TypeError: a gate is an int, not the 'str' '1'"],
    ['a::M()\nx = 5\na -> x', "3:6: TypeError: '->' connects modules, not 'int'"],
    ['a::M()\na -> a:1', "2:8: TypeError: an output gate needs '->' after it"],
    ['x = {[]: 1}', "1:6: TypeError: unhashable type: 'list'"],
    ['1()', "1:1: TypeError: 'int' is not callable"],
  ])('%j', (script, expected) => {
    const error = errorOf(script);
    expect(error.kind).toBe('runtime');
    expect(error.message).toContain(`test.bess:${expected}`);
    expect(error.message).not.toContain('\n');
  });

  it('of the host have its text and its code', () => {
    const error = errorOf("fwd::M()\n\n  \nfwd.add(\n  'twice')");
    expect(error.message).toBe("test.bess:4:1: EEXIST MAC address 'twice' already exists");
    expect(error.code).toBe('EEXIST');
    expect(error.cause).toBeInstanceOf(Error);
    const busy = errorOf('a, b::M()\na -> b:99 -> a');
    expect(busy.message).toBe('test.bess:2:11: EBUSY gate 99 is connected already');
    expect(busy.code).toBe('EBUSY');
    expect(errorOf("import os\nos.unlink('x')").message).toBe('test.bess:2:1: FileNotFoundError: no such file: x');
    expect(errorOf('a::M()\na.break').message).toContain("expected a name but found 'break'");
  });
});

describe('plain values', () => {
  it('come back as they went', () => {
    const plain = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constant(null),
        fc.boolean(),
        fc.integer(),
        fc.string(),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.array(fc.tuple(fc.string(), tie('value')), { maxLength: 4 }).map((pairs) => new Map(pairs)),
      ),
    })).value;
    fc.assert(
      fc.property(plain, (value) => {
        expect(toPlain(value as Value)).toEqual(value);
      }),
    );
  });

  it('have arrays for all that holds items in a row', () => {
    const host = new RecordingHost();
    runScript("m::M()\nm.add([(1, 2), range(2), {'a': 1}.items(), enumerate('a')])", 'test.bess', host);
    expect(host.added).toEqual([[[1, 2], [0, 1], [['a', 1]], [[0, 'a']]]]);
  });
});

/** A script with most of the language in it, to be damaged. */
const VALID = `
import os
N = int($N!'2'); names = ['a%d' % i for i in range(N)]
fwd::M(size=1 << 4, entries=[{'addr': '%02x:%02x' % (0x02, i & 0xff), 'gate': i} for i in range(N)])
for i, name in enumerate(names):
    m = M(vdev=f'{name:>4},{i + 1!r}')
    Source() -> 0:m:1 -> \\
        fwd
    if i % 2 == 0 and not name.startswith('b'):
        fwd:i + 1 -> Sink()
    elif i > 5: break
    else: continue
if os.path.exists('/x'):
    os.unlink('/x')
print(str(names), '''a
b''', r"\\n")
x, (y, z) = 1, [2, 3]; x += y ** -(-z)
d = {'a': x if x > 1 else None}; d['b'] = ~x // 2
assert x > 1, "x is {}".replace('{}', str(x))
`;
const PIECES = VALID.split(/(\w+|\s|[^\w\s])/).filter((piece) => piece !== '');

/** Runs a script, which may be anything: it ends, and has no other errors than its own. */
function expectOwnErrors(source: string): void {
  try {
    runScript(source, 'fuzz.bess', new RecordingHost());
  } catch (error) {
    expect(error).toBeInstanceOf(BessScriptError);
    const { message, line, column } = error as BessScriptError;
    expect(message).toMatch(/^fuzz\.bess:[1-9]\d*:[1-9]\d*: ./);
    expect(message).not.toContain('\n');
    const lines = source.replace(/\r\n?/g, '\n').split('\n');
    expect(line).toBeLessThanOrEqual(lines.length);
    expect(column).toBeLessThanOrEqual((lines[line - 1]?.length ?? 0) + 1);
  }
}

describe('any text', () => {
  it('is a script or a BessScriptError', () => {
    expect(() => runScript(VALID, 'valid.bess', new RecordingHost())).not.toThrow();
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), expectOwnErrors), { numRuns: 500 });
  });

  it('of the words of a script is one', () => {
    const text = fc.array(fc.constantFrom(...PIECES), { maxLength: 60 }).map((pieces) => pieces.join(''));
    fc.assert(fc.property(text, expectOwnErrors), { numRuns: 1500 });
  });

  it('that was a script and lost, doubled or changed a piece is one', () => {
    const place = fc.nat({ max: PIECES.length - 1 });
    const change = fc.tuple(place, fc.nat({ max: 3 }), fc.constantFrom('', ...PIECES), place);
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        const pieces = [...PIECES];
        for (const [at, count, piece, from] of changes) pieces.splice(at, count, piece, pieces[from] ?? '');
        expectOwnErrors(pieces.join(''));
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    '(',
    '[',
    '{',
    ')',
    '-',
    'not ',
    '1+',
    'a.',
    'a()',
    'a[0]',
    'x\n',
    'x;',
    'a=',
    'a,',
    '2**',
    '1 if 0 else ',
    '1<',
    "f'{a}'",
    "'",
    '"',
    "'''",
    'a -> ',
    'a:',
    '$',
    'a::M() ',
    '::',
    '#',
    '\\\n',
    '\\',
    '\n',
    '\t',
    'lambda ',
    '1',
    '1.',
    '1_',
    '.',
    'for x in [1] ',
    'é',
    '😀',
    '{{',
    "f'{",
    'if 1:\n ',
    'elif 1: x\n',
    'for x in y:\n ',
    'x if ',
    'not in ',
    '\uFEFF',
    '\0',
  ])('%j, ten thousand times', (piece) => {
    expectOwnErrors(piece.repeat(10_000));
    expectOwnErrors(`x = f'{${piece.repeat(1_000)}}'`);
  });

  it('is refused when it is too long', () => {
    expect(() => parse('x\n'.repeat(1 << 18), 'long.bess')).toThrow(BessScriptError);
  });
});
