/** Between the values of a script and plain JavaScript, for the functions of the host. */
import { typeName } from './describe.js';
import { PyDict } from './dict.js';
import { raise } from './exceptions.js';
import type { HostObject } from './host.js';
import { collect } from './iteration.js';
import { checkCount, checkInt } from './limits.js';
import { isHostObject, PyFloat, PyIterator, PyList, PyRange, PyTuple, PyView, type Value } from './values.js';

/**
 * A value without Python's types: lists and all like them are arrays, a dict is a Map (so that no key, `__proto__` say,
 * can do harm), floats are numbers (so an int is not told from a float that is whole), host objects are themselves.
 */
export type Plain = null | boolean | number | string | Plain[] | PlainMap | HostObject;
export type PlainMap = Map<Plain, Plain>;

/** Values that one conversion may visit. */
const MAX_VALUES = 1 << 20;

/** Raises TypeError, in the script, for what has no plain form: functions, exceptions, a list inside itself. */
export function toPlain(value: Value): Plain {
  return convert(value, [], { left: MAX_VALUES });
}

function convert(value: Value, around: readonly Value[], budget: { left: number }): Plain {
  if (--budget.left < 0) raise('MemoryError', 'the argument is too large');
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof PyFloat) return value.value;
  if (around.includes(value)) raise('TypeError', `the '${typeName(value)}' contains itself`);
  const inside = [...around, value];
  if (value instanceof PyDict) {
    const map: PlainMap = new Map();
    for (const [key, item] of value.items()) map.set(convert(key, inside, budget), convert(item, inside, budget));
    return map;
  }
  if (isSequence(value)) return collect(value).map((item) => convert(item, inside, budget));
  if (isHostObject(value)) return value;
  return raise('TypeError', `a '${typeName(value)}' cannot be an argument here`);
}

function isSequence(value: Value): boolean {
  return (
    value instanceof PyList ||
    value instanceof PyTuple ||
    value instanceof PyRange ||
    value instanceof PyView ||
    value instanceof PyIterator
  );
}

/** For the script: arrays become lists, Maps dicts, whole numbers ints (an error beyond 2**53), others floats. */
export function fromPlain(plain: Plain): Value {
  if (typeof plain === 'number') return Number.isInteger(plain) ? checkInt(plain) : new PyFloat(plain);
  if (Array.isArray(plain)) {
    checkCount(plain.length);
    return new PyList(plain.map(fromPlain));
  }
  if (plain instanceof Map) {
    const dict = new PyDict();
    for (const [key, value] of plain) dict.set(fromPlain(key), fromPlain(value));
    return dict;
  }
  return plain;
}
