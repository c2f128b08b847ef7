/** The methods of lists, tuples and dicts. */
import { bindAll, bindArguments } from './arguments.js';
import { compareOrder, equal } from './compare.js';
import { repr, typeName } from './describe.js';
import { PyDict } from './dict.js';
import { raise } from './exceptions.js';
import type { CallArguments } from './host.js';
import { collect } from './iteration.js';
import { checkCount } from './limits.js';
import { requireInt } from './operators.js';
import { PyList, PyTuple, PyView, type Value } from './values.js';

type Method<T> = (self: T, args: CallArguments, name: string) => Value;

export const LIST_METHODS: ReadonlyMap<string, Method<PyList>> = new Map<string, Method<PyList>>([
  ['append', (list, args, name) => extend(list, bindAll(name, ['value'], args))],
  ['clear', (list, args, name) => nothing(name, args) ?? done(list.items.splice(0))],
  ['copy', (list, args, name) => nothing(name, args) ?? new PyList([...list.items])],
  ['count', (list, args, name) => countOf(list.items, args, name)],
  ['extend', (list, args, name) => extend(list, collect(bindAll(name, ['values'], args)[0] as Value))],
  ['index', (list, args, name) => indexOf(list.items, args, name)],
  ['insert', insert],
  ['pop', pop],
  ['remove', (list, args, name) => done(list.items.splice(indexOf(list.items, args, name), 1))],
  ['reverse', (list, args, name) => nothing(name, args) ?? done(list.items.reverse())],
  ['sort', sort],
]);

export const TUPLE_METHODS: ReadonlyMap<string, Method<PyTuple>> = new Map<string, Method<PyTuple>>([
  ['count', (tuple, args, name) => countOf(tuple.items, args, name)],
  ['index', (tuple, args, name) => indexOf(tuple.items, args, name)],
]);

export const DICT_METHODS: ReadonlyMap<string, Method<PyDict>> = new Map<string, Method<PyDict>>([
  ['get', lookUp],
  ['items', (dict, args, name) => nothing(name, args) ?? new PyView('dict_items', pairs(dict))],
  ['keys', (dict, args, name) => nothing(name, args) ?? new PyView('dict_keys', dict.keys())],
  ['pop', dictPop],
  ['setdefault', setDefault],
  ['update', update],
  ['values', (dict, args, name) => nothing(name, args) ?? new PyView('dict_values', dict.values())],
]);

/** The items in order, for `sorted` and `list.sort`. Takes `reverse`; a `key` is not supported. */
export function sorted(name: string, items: readonly Value[], args: CallArguments): Value[] {
  if (args.keyword.has('key')) raise('TypeError', `not supported by the embedded switch: ${name}(key=…)`);
  const [reverse = false] = bindArguments(name, ['reverse'], 0, args);
  const direction = reverse === false || reverse === 0 ? 1 : -1;
  return [...items].sort((a, b) => direction * orderOf(a, b));
}

/** How `a` and `b` are ordered; raises TypeError for what Python does not order. */
export function orderOf(a: Value, b: Value): number {
  const order = compareOrder(a, b);
  if (order === undefined) return raise('TypeError', `'<' does not order '${typeName(a)}' and '${typeName(b)}'`);
  return order;
}

/** Adds items at the end of a list. */
export function extend(list: PyList, items: readonly Value[]): null {
  checkCount(list.items.length + items.length);
  for (const item of items) list.items.push(item);
  return null;
}

/** Raises TypeError for a call with arguments. */
function nothing(name: string, args: CallArguments): undefined {
  bindAll(name, [], args);
}

/** What a method returns that changes its list. */
function done(_: unknown): null {
  return null;
}

function sort(list: PyList, args: CallArguments, name: string): null {
  sorted(name, list.items, args).forEach((item, i) => {
    list.items[i] = item;
  });
  return null;
}

function countOf(items: readonly Value[], args: CallArguments, name: string): number {
  const [wanted = null] = bindAll(name, ['value'], args);
  return items.filter((item) => equal(item, wanted)).length;
}

function indexOf(items: readonly Value[], args: CallArguments, name: string): number {
  const [wanted = null] = bindAll(name, ['value'], args);
  const index = items.findIndex((item) => equal(item, wanted));
  return index < 0 ? raise('ValueError', `${repr(wanted)} is not in the list`) : index;
}

function insert(list: PyList, args: CallArguments, name: string): null {
  const [index = null, value = null] = bindAll(name, ['index', 'value'], args);
  checkCount(list.items.length + 1);
  list.items.splice(requireInt(index, 'an index'), 0, value);
  return null;
}

function pop(list: PyList, args: CallArguments, name: string): Value {
  const [index = -1] = bindArguments(name, ['index'], 0, args);
  const at = requireInt(index, 'an index');
  const resolved = at < 0 ? at + list.items.length : at;
  if (resolved < 0 || resolved >= list.items.length) raise('IndexError', `pop() of an index out of range: ${at}`);
  return list.items.splice(resolved, 1)[0] as Value;
}

function pairs(dict: PyDict): PyTuple[] {
  return dict.items().map((pair) => new PyTuple(pair));
}

function lookUp(dict: PyDict, args: CallArguments, name: string): Value {
  const [key = null, fallback = null] = bindArguments(name, ['key', 'default'], 1, args);
  const value = dict.get(key);
  return value === undefined ? fallback : value;
}

function dictPop(dict: PyDict, args: CallArguments, name: string): Value {
  const [key = null, fallback] = bindArguments(name, ['key', 'default'], 1, args);
  const value = dict.get(key);
  dict.delete(key);
  if (value !== undefined) return value;
  return fallback === undefined ? raise('KeyError', repr(key)) : fallback;
}

function setDefault(dict: PyDict, args: CallArguments, name: string): Value {
  const [key = null, fallback = null] = bindArguments(name, ['key', 'default'], 1, args);
  if (dict.get(key) === undefined) dict.set(key, fallback);
  return dict.get(key) as Value;
}

function update(dict: PyDict, args: CallArguments): null {
  for (const source of args.positional) {
    if (!(source instanceof PyDict)) raise('TypeError', `update() needs a dict, not '${typeName(source)}'`);
    for (const [key, value] of source.items()) dict.set(key, value);
  }
  for (const [key, value] of args.keyword) dict.set(key, value);
  checkCount(dict.size);
  return null;
}
