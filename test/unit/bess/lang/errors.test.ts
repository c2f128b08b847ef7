/** Errors of `.bess` scripts: where they are, what they say, and that nothing else is thrown. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BessScriptError, fromPlain, PyFloat, parse, repr, runScript, toPlain } from '../../../../bess/lang/index.js';
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
    ['def f(a=1, b): pass', '1:5: in f(), the parameter b without a default follows a with one'],
    ['def f(a, a): pass', '1:5: two parameters of f() have the same name'],
    ['break', "1:1: 'break' outside a loop"],
    ['for x in y:\n def f(): continue', "2:11: 'continue' outside a loop"],
    ['return 1', "1:1: 'return' outside a function"],
    ['f() = 1', '1:1: cannot assign to the result of a call'],
    ['1 = x', '1:1: cannot assign to a constant'],
    ['a, b += 1', '1:1: cannot assign to a tuple with an operator'],
    ['try:\n x\nexcept:\n x\nexcept E:\n x', "3:1: an 'except' without a type must be the last"],
    ['try: x\ny', "2:1: expected 'except' but found 'y'"],
    ["x = '\\xZ'", '1:5: \\x in a string needs 2 hex digits of a character'],
    ['x[]', "1:3: expected an index but found ']'"],
  ])('%j', (script, expected) => {
    const error = errorOf(script);
    expect(error.kind).toBe('syntax');
    expect(error.message).toContain(`test.bess:${expected}`);
    expect([error.file, error.line, error.column].join(':')).toBe(error.message.split(': ', 1)[0]);
  });

  it.each([
    ['class A: pass', "1:1: not supported by the embedded switch: 'class'"],
    ['x = lambda: 1', "1:5: not supported by the embedded switch: 'lambda'"],
    ['with a: pass', "1:1: not supported by the embedded switch: 'with'"],
    ['@a\ndef f(): pass', "1:1: not supported by the embedded switch: '@' (decorators)"],
    ['from os import path', "1:1: not supported by the embedded switch: 'from' (use: import os)"],
    ["x = b'ab'", "1:5: not supported by the embedded switch: bytes (b'ab')"],
    ['(x := 1)', "1:4: not supported by the embedded switch: ':='"],
    ["x = f'{y=}'", '1:8: not supported by the embedded switch: {name=}'],
  ])('%j', (script, expected) => {
    expect(errorOf(script).message).toBe(`test.bess:${expected}`);
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
    ['x = (1 +\n  2 / 0)', '2:5: ZeroDivisionError: division by zero'],
    ["'abc'.nope()", "1:7: AttributeError: 'str' has no attribute 'nope'"],
    ['a, b = [1]', '1:1: ValueError: 2 value(s) expected for the names on the left, but there are 1'],
    ['for x in 5: pass', "1:1: TypeError: 'int' is nothing to go through"],
    ["int('x')", "1:1: ValueError: int() cannot read 'x' in base 10"],
    ["assert 1 == 2, 'one\\nis not two'", '1:1: AssertionError: one is not two'],
    ["if True:\n    raise ConfError('no ports')", '2:5: ConfError: no ports'],
    ['def f(a): return a\nf()', "2:1: TypeError: f() needs the argument 'a'"],
    ['def f(a): return a\nf(1, b=2)', "2:1: TypeError: f() has no argument 'b' (it has: a)"],
    ['def f():\n  return nope\nf()', "2:10: NameError: name 'nope' is not defined"],
    ["'%d' % 'a'", "1:6: TypeError: %d needs a number, not 'str'"],
    ["f'{1}{nope}'", "1:7: NameError: name 'nope' is not defined"],
    ['a::M()\na.x = 1', "2:1: AttributeError: the attributes of a 'M' cannot be assigned"],
    ["a::M()\na:'1' -> a", "2:3: TypeError: a gate is an int, not the 'str' '1'"],
    ['a::M()\nx = 5\na -> x', "3:6: TypeError: '->' connects modules, not 'int'"],
    ['a::M()\na -> a:1', "2:8: TypeError: an output gate needs '->' after it"],
    ['x = {[]: 1}', "1:6: TypeError: unhashable type: 'list'"],
    ['1()', "1:1: TypeError: 'int' is nothing to call"],
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
        expect(toPlain(fromPlain(value as Parameters<typeof fromPlain>[0]))).toEqual(value);
      }),
    );
  });

  it('keep whole numbers ints and the others floats', () => {
    expect(repr(fromPlain([1, 1.5]))).toBe('[1, 1.5]');
    expect(toPlain(new PyFloat(1))).toBe(1);
  });
});

/** A script with most of the language in it, to be damaged. */
const VALID = `
import os
N = int($N!'2'); names = ['a%d' % i for i in range(N)]
def mac(i, base=0x02): return '%02x:%02x' % (base, i & 0xff)
fwd::M(size=1 << 4, entries=[{'addr': mac(i), 'gate': i} for i in range(N)])
for i, name in enumerate(names):
    m = M(vdev=f'{name:>4},{i + 1!r}')
    Source() -> 0:m:1 -> \\
        fwd
    if i % 2 == 0 and not name.startswith('b'):
        fwd:i + 1 -> Sink()
    elif i > 5: break
    else: continue
try:
    os.unlink('/x')
except OSError as e: print(e, '''a
b''')
x, (y, z) = 1, [2, 3]; x += y ** -z
while x < 10: x *= 2
assert x > 1, "x is {}".format(x)
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
    'def f():\n pass\n',
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
