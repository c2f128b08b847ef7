/** The items of values: to go through, by index and by key. */
import { raise } from '../errors.js';
import { checkCount, MAX_ITEMS, requireInt } from './checks.js';
import { repr } from './text.js';
import { isHostObject, NativeFunction, PyRange, PyTuple, PyView, typeName, type Value } from './values.js';

/** What a `for` loop goes through. A list may grow meanwhile, as in Python; a dict may not. */
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
      if (value.used) raise('TypeError', `this ${value.typeName} was gone through already: make a list(…) of it`);
      value.used = true;
    }
    const items = itemsOf(value) ?? raise('TypeError', `'${typeName(value)}' is nothing to go through, as a list is`);
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

/** The items of a value that holds them in a row. */
export function itemsOf(value: Value): readonly Value[] | null {
  if (Array.isArray(value)) return value;
  return value instanceof PyTuple || value instanceof PyView ? value.items : null;
}

/** `len(value)`; undefined for a value that has none. */
export function sizeOf(value: Value): number | undefined {
  if (typeof value === 'string') return Array.from(value).length;
  if (value instanceof Map) return value.size;
  if (value instanceof PyView && value.isIterator) return undefined;
  return value instanceof PyRange ? value.length : itemsOf(value)?.length;
}

/** What an operation on a value costs, in steps. */
export function costOf(value: Value): number {
  if (typeof value === 'string') return value.length >> 8;
  // Each item of a view can be a tuple of its own.
  if (value instanceof PyView) return value.items.length >> 2;
  // No more of a range than a list may hold.
  return value === null || typeof value !== 'object' ? 0 : Math.min(sizeOf(value) ?? 0, MAX_ITEMS) >> 5;
}

/** What `if value:` sees. */
export function isTruthy(value: Value): boolean {
  if (typeof value === 'string') return value !== '';
  return value !== null && value !== false && value !== 0 && sizeOf(value) !== 0;
}

/** The value itself, if it can be the key of a dict. JavaScript's Map tells apart what Python does, but for True and 1. */
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
  if (items === null) return raise('TypeError', `'${typeName(value)}' has no items to pick by [ ]`);
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
