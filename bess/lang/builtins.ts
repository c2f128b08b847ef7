/** Python's built-in functions, as far as the embedded switch has them. */
import { bindAll, bindArguments } from './arguments.js';
import { orderOf, sorted } from './container-methods.js';
import { isTruthy, repr, str, typeName } from './describe.js';
import { PyDict } from './dict.js';
import { raise } from './exceptions.js';
import type { CallArguments } from './host.js';
import { collect, iterate, lengthOf } from './iteration.js';
import { checkInt, checkText } from './limits.js';
import { toFloat, toInt } from './number-text.js';
import { applyBinary, applySign, requireInt, requireText } from './operators.js';
import {
  ExceptionType,
  NativeFunction,
  PyFloat,
  PyIterator,
  PyList,
  PyRange,
  PyTuple,
  ScriptException,
  type Value,
} from './values.js';

type Builtin = (args: CallArguments, name: string) => Value;

const BUILTINS: readonly [string, Builtin][] = [
  ['abs', (args, name) => absolute(one(name, args))],
  ['all', (args, name) => collect(one(name, args)).every(isTruthy)],
  ['any', (args, name) => collect(one(name, args)).some(isTruthy)],
  ['bin', (args, name) => radixText(one(name, args), 2, '0b')],
  ['bool', (args, name) => isTruthy(oneOr(false, name, args))],
  ['chr', (args, name) => character(requireInt(one(name, args), 'the argument of chr()'))],
  ['dict', toDict],
  ['enumerate', enumerate],
  ['float', (args, name) => toFloat(oneOr(0, name, args))],
  ['hex', (args, name) => radixText(one(name, args), 16, '0x')],
  ['int', (args, name) => toInt(...(bindArguments(name, ['value', 'base'], 0, args) as [Value?, Value?]))],
  ['isinstance', isInstance],
  ['len', (args, name) => lengthOf(one(name, args))],
  ['list', (args, name) => new PyList(items(name, args))],
  ['max', (args, name) => extreme(name, args, (order) => order > 0)],
  ['min', (args, name) => extreme(name, args, (order) => order < 0)],
  ['oct', (args, name) => radixText(one(name, args), 8, '0o')],
  ['ord', (args, name) => codePoint(requireText(one(name, args), 'the argument of ord()'))],
  ['pow', (args, name) => power(bindAll(name, ['base', 'exp'], args))],
  ['range', range],
  ['repr', (args, name) => repr(one(name, args))],
  ['reversed', (args, name) => new PyIterator('reversed', collect(one(name, args)).reverse())],
  ['sorted', sortedList],
  ['str', (args, name) => str(oneOr('', name, args))],
  ['sum', sum],
  ['tuple', (args, name) => new PyTuple(items(name, args))],
  ['zip', zip],
];

/** By name, `print` apart, which needs the host. */
export const BUILTIN_FUNCTIONS: ReadonlyMap<string, NativeFunction> = new Map(
  BUILTINS.map(([name, builtin]) => [name, new NativeFunction(name, (args) => builtin(args, name))]),
);

function one(name: string, args: CallArguments): Value {
  return bindAll(name, ['value'], args)[0] as Value;
}

/** The only argument, or `otherwise` for none. */
function oneOr(otherwise: Value, name: string, args: CallArguments): Value {
  const [value = otherwise] = bindArguments(name, ['value'], 0, args);
  return value;
}

function items(name: string, args: CallArguments): Value[] {
  const [values] = bindArguments(name, ['values'], 0, args);
  return values === undefined ? [] : collect(values);
}

function absolute(value: Value): Value {
  const negative = value instanceof PyFloat ? value.value < 0 : requireInt(value, 'the argument of abs()') < 0;
  return applySign(negative ? '-' : '+', value);
}

function radixText(value: Value, radix: number, prefix: string): string {
  const int = requireInt(value, 'the number');
  return `${int < 0 ? '-' : ''}${prefix}${Math.abs(int).toString(radix)}`;
}

function character(code: number): string {
  if (code < 0 || code > 0x10ffff) raise('ValueError', `${code} is no character`);
  return String.fromCodePoint(code);
}

function codePoint(text: string): number {
  if (lengthOf(text) !== 1) raise('TypeError', 'ord() needs one character');
  return text.codePointAt(0) as number;
}

function power([base = null, exponent = null]: Value[]): Value {
  return applyBinary('**', base, exponent);
}

function toDict(args: CallArguments): PyDict {
  const dict = new PyDict();
  const [source] = args.positional;
  if (args.positional.length > 1)
    raise('TypeError', `dict() takes one argument at most, not ${args.positional.length}`);
  if (source instanceof PyDict) {
    for (const [key, value] of source.items()) dict.set(key, value);
  } else if (source !== undefined) {
    for (const item of collect(source)) {
      const pair = collect(item);
      if (pair.length !== 2) raise('ValueError', `dict() needs pairs, but one item has ${pair.length} part(s)`);
      dict.set(pair[0] as Value, pair[1] as Value);
    }
  }
  for (const [key, value] of args.keyword) dict.set(key, value);
  return dict;
}

function enumerate(args: CallArguments, name: string): PyIterator {
  const [values = null, start = 0] = bindArguments(name, ['iterable', 'start'], 1, args);
  const first = requireInt(start, 'the start of enumerate()');
  return new PyIterator(
    'enumerate',
    collect(values).map((value, i) => new PyTuple([checkInt(first + i), value])),
  );
}

function zip(args: CallArguments, name: string): PyIterator {
  if (args.keyword.size > 0) bindAll(name, [], { positional: [], keyword: args.keyword });
  const columns = args.positional.map(collect);
  const length = columns.reduce((least, column) => Math.min(least, column.length), columns[0]?.length ?? 0);
  const rows = Array.from({ length }, (_, i) => new PyTuple(columns.map((column) => column[i] as Value)));
  return new PyIterator('zip', rows);
}

function range(args: CallArguments, name: string): PyRange {
  if (args.keyword.size > 0 || args.positional.length === 0) bindAll(name, ['stop'], args);
  if (args.keyword.size > 0) raise('TypeError', 'range() takes no arguments with a name');
  const [first = null, second, third] = bindArguments(name, ['start', 'stop', 'step'], 1, args);
  const a = requireInt(first, "range()'s argument");
  const step = third === undefined ? 1 : requireInt(third, "range()'s step");
  if (step === 0) raise('ValueError', "range()'s step cannot be zero");
  return second === undefined ? new PyRange(0, a, 1) : new PyRange(a, requireInt(second, "range()'s argument"), step);
}

function sortedList(args: CallArguments, name: string): PyList {
  const [values, ...rest] = args.positional;
  if (values === undefined) return raise('TypeError', 'sorted() needs the argument to sort');
  return new PyList(sorted(name, collect(values), { positional: rest, keyword: args.keyword }));
}

function sum(args: CallArguments, name: string): Value {
  const [values = null, start = 0] = bindArguments(name, ['iterable', 'start'], 1, args);
  if (typeof start === 'string') raise('TypeError', "sum() adds no strings (use ''.join(…))");
  let total: Value = start;
  for (const value of iterate(values)) total = applyBinary('+', total, value);
  return total;
}

function extreme(name: string, args: CallArguments, isBetter: (order: number) => boolean): Value {
  const { keyword, positional } = args;
  if (keyword.has('key')) raise('TypeError', `not supported by the embedded switch: ${name}(key=…)`);
  const rest = new Map([...keyword].filter(([key]) => key !== 'default'));
  if (rest.size > 0) bindAll(name, [], { positional: [], keyword: rest });
  const [only] = positional;
  const values = positional.length === 1 && only !== undefined ? collect(only) : positional;
  let best = values.length > 0 ? values[0] : keyword.get('default');
  if (best === undefined) return raise('ValueError', `${name}() of nothing`);
  for (const value of values.slice(1)) {
    if (isBetter(orderOf(value, best))) best = value;
  }
  return best;
}

function isInstance(args: CallArguments, name: string): boolean {
  const [value = null, types = null] = bindAll(name, ['value', 'type'], args);
  const wanted = types instanceof PyTuple ? types.items : [types];
  return wanted.some((type) => {
    if (type instanceof ExceptionType) return value instanceof ScriptException && value.type.isA(type);
    if (!(type instanceof NativeFunction)) return raise('TypeError', `'${typeName(type)}' is no type for isinstance()`);
    // A bool is an int as well.
    return typeName(value) === type.name || (type.name === 'int' && typeof value === 'boolean');
  });
}

/** `print`, which hands the host whole lines. */
export interface Printer {
  readonly print: NativeFunction;
  /** Prints the line that is not ended yet, if any. */
  flush(): void;
}

/** `print(…, sep=' ', end='\n')`; `flush` is taken and needs nothing. */
export function createPrint(writeLine: (line: string) => void): Printer {
  let pending = '';
  const print = new NativeFunction('print', ({ positional, keyword }) => {
    const options = bindArguments('print', ['sep', 'end', 'flush'], 0, { positional: [], keyword });
    const separator = optionalText(options[0], ' ', 'sep');
    const text = positional.map(str).join(separator) + optionalText(options[1], '\n', 'end');
    const lines = checkText(pending + text).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) writeLine(line);
    return null;
  });
  return {
    print,
    flush: () => {
      if (pending !== '') writeLine(pending);
      pending = '';
    },
  };
}

function optionalText(value: Value | undefined, otherwise: string, name: string): string {
  return value === undefined || value === null ? otherwise : requireText(value, `print()'s ${name}`);
}
