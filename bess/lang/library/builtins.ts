/** The built-in functions of Python that scripts for a switch need. */
import { raise } from '../errors.js';
import { asInt, checkCount, checkInt, checkText, MAX_TEXT, requireInt } from '../values/checks.js';
import { order } from '../values/compare.js';
import { collect, isTruthy, iterate, sizeOf } from '../values/items.js';
import { applyBinary } from '../values/operators.js';
import { quote, str } from '../values/text.js';
import { NativeFunction, PyRange, PyTuple, PyView, typeName, type Value } from '../values/values.js';
import { defineGlobals, defineVariadic } from './functions.js';

const FUNCTIONS = defineGlobals({
  'bool(value?, /)': (_, value = false) => isTruthy(value),
  'enumerate(iterable, start?)': (_, values = null, start = 0) => enumerate(collect(values), start),
  'int(value?, base?)': (_, value = 0, base) => toInt(value, base),
  'len(value, /)': (_, value = null) => sizeOf(value) ?? raise('TypeError', `'${typeName(value)}' has no len()`),
  'list(values?, /)': (_, values = []) => collect(values),
  'range(start, stop?, step?, /)': (_, start = null, stop, step = 1) => range(start, stop, step),
  'str(value?, /)': (_, value = '') => str(value),
  'sum(values, /)': (_, values = null) => sum(values),
});

const dict = new NativeFunction('dict', ({ positional: [source = new Map(), ...others], keyword }) => {
  if (others.length > 0) raise('TypeError', 'dict() takes one argument without a name at most');
  if (!(source instanceof Map)) return raise('TypeError', `dict() copies a dict, not a '${typeName(source)}'`);
  const copy = new Map<Value, Value>([...source, ...keyword]);
  checkCount(copy.size);
  return copy;
});

/** All built-in functions except `print`, by name. */
export const BUILTINS: ReadonlyMap<string, NativeFunction> = new Map([
  ...FUNCTIONS,
  ['dict', dict],
  ['max', extreme('max', (sign) => sign > 0)],
  ['min', extreme('min', (sign) => sign < 0)],
]);

/** Makes `print`, which passes whole lines to the host. */
export function createPrint(writeLine: (line: string) => void): NativeFunction {
  return defineVariadic('print', (values) => {
    for (const line of checkText(values.map(str).join(' ')).split('\n')) writeLine(line);
    return null;
  });
}

function enumerate(values: readonly Value[], start: Value): PyView {
  const first = requireInt(start, 'the start of enumerate()');
  const pairs = values.map((value, i) => new PyTuple([checkInt(first + i), value]));
  return new PyView('enumerate', pairs, true);
}

/** `int(value, base)`. */
function toInt(value: Value, base: Value | undefined): number {
  if (typeof value !== 'string') {
    if (base !== undefined) raise('TypeError', 'int() takes a base for a str only');
    return asInt(value) ?? raise('TypeError', `int() takes an int or a str, not '${typeName(value)}'`);
  }
  const radix = base === undefined ? 10 : requireInt(base, 'the base of int()');
  if (radix !== 10 && radix !== 16) raise('ValueError', 'the base of int() is 10 or 16 in the embedded switch');
  const pattern = radix === 16 ? /^([-+]?)(?:0x)?([\da-f]+)$/ : /^([-+]?)(\d+)$/;
  const [, sign, digits] = pattern.exec(value.trim().toLowerCase()) ?? [];
  if (digits === undefined) return raise('ValueError', `int() cannot read ${quote(value)} in base ${radix}`);
  const int = Number.parseInt(digits, radix);
  return checkInt(sign === '-' ? -int : int);
}

function range(start: Value, stop: Value | undefined, step: Value): PyRange {
  const [first, by] = [requireInt(start, "range()'s argument"), requireInt(step, "range()'s step")];
  if (by === 0) raise('ValueError', "range()'s step cannot be zero");
  return stop === undefined ? new PyRange(0, first, by) : new PyRange(first, requireInt(stop, "range()'s stop"), by);
}

function sum(values: Value): Value {
  let total: Value = 0;
  for (const value of iterate(values)) total = applyBinary('+', total, value);
  return total;
}

/** Makes `max` or `min`. */
function extreme(name: string, isBetter: (sign: number) => boolean): NativeFunction {
  return defineVariadic(name, (given) => {
    const values = given.length === 1 ? collect(given[0] as Value) : given;
    if (values.length === 0) raise('ValueError', `${name}() needs at least one value`);
    const characters = values.reduce<number>((sum, value) => sum + (typeof value === 'string' ? value.length : 0), 0);
    if (characters > MAX_TEXT) raise('MemoryError', `the strings of ${name}() are too long to compare`);
    return values.reduce((best, value) => (isBetter(order(value, best)) ? value : best));
  });
}
