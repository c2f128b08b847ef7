/** Going through values, and their parts by index and slice. */
import { repr, typeName } from './describe.js';
import { PyDict } from './dict.js';
import { raise } from './exceptions.js';
import { checkCount, MAX_ITEMS } from './limits.js';
import { requireInt } from './operators.js';
import { isHostObject, PyIterator, PyList, PyRange, PyTuple, PyView, type Value } from './values.js';

/** What `for` sees. A list may grow meanwhile, as in Python; a dict may not. */
export function* iterate(value: Value): Generator<Value, void, undefined> {
  if (typeof value === 'string') {
    // By code points, as Python's strings are.
    yield* value;
  } else if (value instanceof PyList || value instanceof PyTuple || value instanceof PyView) {
    for (let i = 0; i < value.items.length; i++) yield value.items[i] as Value;
  } else if (value instanceof PyRange) {
    for (let i = 0; i < value.length; i++) yield value.at(i);
  } else if (value instanceof PyDict) {
    const { size } = value;
    for (const key of value.keys()) {
      if (value.size !== size) raise('RuntimeError', 'the dict changed its size in a loop over it');
      yield key;
    }
  } else if (value instanceof PyIterator) {
    for (let item = value.take(); item !== undefined; item = value.take()) yield item;
  } else {
    raise('TypeError', `'${typeName(value)}' is nothing to go through (a list, a range, …)`);
  }
}

/** All items of a value. */
export function collect(value: Value): Value[] {
  if (value instanceof PyRange) checkCount(value.length);
  const items: Value[] = [];
  for (const item of iterate(value)) {
    items.push(item);
    checkCount(items.length);
  }
  return items;
}

/** `len(value)`. */
export function lengthOf(value: Value): number {
  if (typeof value === 'string') return codePointCount(value);
  if (value instanceof PyList || value instanceof PyTuple || value instanceof PyView) return value.items.length;
  if (value instanceof PyDict) return value.size;
  if (value instanceof PyRange) return value.length;
  return raise('TypeError', `'${typeName(value)}' has no len()`);
}

/** What an operation on a value costs, in steps. */
export function costOf(value: Value): number {
  if (typeof value === 'string') return value.length >> 8;
  if (value instanceof PyList || value instanceof PyTuple || value instanceof PyView) return value.items.length >> 5;
  if (value instanceof PyDict) return value.size >> 5;
  // No more of a range than a list may hold.
  return value instanceof PyRange ? Math.min(value.length, MAX_ITEMS) >> 5 : 0;
}

/** `value[index]`. */
export function getItem(value: Value, index: Value): Value {
  if (value instanceof PyDict) return present(value.get(index), index);
  if (isHostObject(value) && value.getItem !== undefined) return present(value.getItem(index), index);
  if (typeof value === 'string') {
    const characters = Array.from(value);
    return characters[position(characters.length, index, 'str')] as string;
  }
  if (value instanceof PyList || value instanceof PyTuple) {
    return value.items[position(value.items.length, index, typeName(value))] as Value;
  }
  if (value instanceof PyRange) return value.at(position(value.length, index, 'range'));
  return raise('TypeError', `'${typeName(value)}' has no items`);
}

/** `value[index] = item`. */
export function setItem(value: Value, index: Value, item: Value): void {
  if (value instanceof PyDict) {
    value.set(index, item);
    checkCount(value.size);
  } else if (value instanceof PyList) {
    value.items[position(value.items.length, index, 'list')] = item;
  } else {
    raise('TypeError', `the items of a '${typeName(value)}' cannot be assigned`);
  }
}

/** `value[start:stop:step]`; null for a bound left out. */
export function getSlice(value: Value, bounds: readonly Value[]): Value {
  const pick = <T>(length: number, at: (index: number) => T): T[] =>
    sliceIndices(length, bounds).map((index) => at(index));
  if (typeof value === 'string') {
    const characters = Array.from(value);
    return pick(characters.length, (i) => characters[i] as string).join('');
  }
  if (value instanceof PyList) return new PyList(pick(value.items.length, (i) => value.items[i] as Value));
  if (value instanceof PyTuple) return new PyTuple(pick(value.items.length, (i) => value.items[i] as Value));
  if (value instanceof PyRange) return sliceRange(value, bounds);
  return raise('TypeError', `'${typeName(value)}' cannot be sliced`);
}

function sliceRange(range: PyRange, bounds: readonly Value[]): PyRange {
  const { start, stop, step } = resolveBounds(range.length, bounds);
  return new PyRange(range.at(start), range.at(stop), range.step * step);
}

function sliceIndices(length: number, bounds: readonly Value[]): number[] {
  const { start, stop, step } = resolveBounds(length, bounds);
  const range = new PyRange(start, stop, step);
  return Array.from({ length: range.length }, (_, i) => range.at(i));
}

/** Python's `slice.indices`: negative bounds count from the end, and all are cut to what there is. */
function resolveBounds(length: number, bounds: readonly Value[]): { start: number; stop: number; step: number } {
  const [first = null, second = null, third = null] = bounds;
  const step = third === null ? 1 : requireInt(third, "a slice's step");
  if (step === 0) raise('ValueError', "a slice's step cannot be zero");
  const lowest = step > 0 ? 0 : -1;
  const highest = step > 0 ? length : length - 1;
  const resolve = (bound: Value, otherwise: number): number => {
    if (bound === null) return otherwise;
    const index = requireInt(bound, "a slice's bound");
    return Math.min(Math.max(index < 0 ? index + length : index, lowest), highest);
  };
  return {
    start: resolve(first, step > 0 ? lowest : highest),
    stop: resolve(second, step > 0 ? highest : lowest),
    step,
  };
}

function position(length: number, index: Value, type: string): number {
  const at = requireInt(index, `the index of a ${type}`);
  const resolved = at < 0 ? at + length : at;
  if (resolved < 0 || resolved >= length) raise('IndexError', `${type} index ${at} is out of range (length ${length})`);
  return resolved;
}

function present(value: Value | undefined, key: Value): Value {
  return value === undefined ? raise('KeyError', repr(key)) : value;
}

function codePointCount(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
