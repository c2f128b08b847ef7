/** The items of values: all in turn, by index, and by key. */
import { raise } from '../errors.js';
import { checkCount, MAX_ITEMS, requireInt } from './checks.js';
import { repr } from './text.js';
import { isHostObject, NativeFunction, PyRange, PyTuple, PyView, typeName, type Value } from './values.js';

/** Iterates over a value as a `for` loop does. A list may grow meanwhile, as in Python; a dict may not. */
export function* iterate(value: Value): Generator<Value, void, undefined> {
  if (typeof value === 'string') {
    // By code points, as in Python.
    yield* value;
  } else if (value instanceof PyRange) {
    for (let i = 0; i < value.length; i++) yield value.at(i);
  } else if (value instanceof Map) {
    const { size } = value;
    for (const key of [...value.keys()]) {
      if (value.size !== size) raise('RuntimeError', 'the dict changed its size in a loop over it');
      yield key;
    }
  } else {
    if (value instanceof PyView && value.isIterator) {
      if (value.used) raise('TypeError', `this ${value.typeName} was used up by an earlier loop: make a list(…) of it`);
      value.used = true;
    }
    const items = itemsOf(value) ?? raise('TypeError', `'${typeName(value)}' is not iterable`);
    for (let i = 0; i < items.length; i++) yield items[i] as Value;
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

/** The items of a list, tuple or view; null for other values. */
export function itemsOf(value: Value): readonly Value[] | null {
  if (Array.isArray(value)) return value;
  return value instanceof PyTuple || value instanceof PyView ? value.items : null;
}

/** The result of `len(value)`; undefined for a value that has no length. */
export function sizeOf(value: Value): number | undefined {
  if (typeof value === 'string') return Array.from(value).length;
  if (value instanceof Map) return value.size;
  if (value instanceof PyView && value.isIterator) return undefined;
  return value instanceof PyRange ? value.length : itemsOf(value)?.length;
}

/** The cost of an operation on a value, in steps. */
export function costOf(value: Value): number {
  if (typeof value === 'string') return value.length >> 8;
  // More than for a list, because each item of a view can be a tuple of its own.
  if (value instanceof PyView) return value.items.length >> 2;
  // A range can be longer than any list, but no operation visits more items of it than a list may hold.
  return value === null || typeof value !== 'object' ? 0 : Math.min(sizeOf(value) ?? 0, MAX_ITEMS) >> 5;
}

/** Whether `if value:` holds. */
export function isTruthy(value: Value): boolean {
  if (typeof value === 'string') return value !== '';
  return value !== null && value !== false && value !== 0 && sizeOf(value) !== 0;
}

/**
 * Returns the value; raises TypeError if it cannot be the key of a dict. Only None, ints, strings, objects and
 * functions can: JavaScript's Map compares these as Python does. Of bools it does not: to Python, True and 1 are the
 * same key.
 */
export function checkKey(value: Value): Value {
  const isKey = typeof value === 'string' || typeof value === 'number' || value === null || isHostObject(value);
  if (isKey || value instanceof NativeFunction) return value;
  const type = typeName(value);
  if (type === 'list' || type === 'dict') raise('TypeError', `unhashable type: '${type}'`);
  return raise('TypeError', `the key of a dict is a str, an int or None in the embedded switch, not '${type}'`);
}

/** `value[index]`. */
export function getItem(value: Value, index: Value): Value {
  if (value instanceof Map) return present(value.get(checkKey(index)), index);
  if (isHostObject(value) && value.getItem !== undefined) return present(value.getItem(index), index);
  if (value instanceof PyRange) return value.at(place(value.length, index, 'range'));
  const items = typeof value === 'string' ? Array.from(value) : value instanceof PyView ? null : itemsOf(value);
  if (items === null) return raise('TypeError', `'${typeName(value)}' cannot be indexed`);
  return items[place(items.length, index, typeName(value))] as Value;
}

/** `value[index] = item`. */
export function setItem(value: Value, index: Value, item: Value): void {
  if (value instanceof Map) {
    value.set(checkKey(index), item);
    checkCount(value.size);
  } else if (Array.isArray(value)) {
    value[place(value.length, index, 'list')] = item;
  } else {
    raise('TypeError', `the items of a '${typeName(value)}' cannot be assigned`);
  }
}

function present(value: Value | undefined, key: Value): Value {
  return value === undefined ? raise('KeyError', repr(key)) : value;
}

function place(length: number, index: Value, type: string): number {
  const at = requireInt(index, `the index of a ${type}`);
  const resolved = at < 0 ? at + length : at;
  if (resolved < 0 || resolved >= length) raise('IndexError', `${type} index ${at} is out of range (length ${length})`);
  return resolved;
}
