/** `value.name`: the methods of the language's own types, and the attributes of the host's objects. */
import { raise } from '../errors.js';
import { checkCount, checkLength, requireText } from '../values/checks.js';
import { checkKey, collect } from '../values/items.js';
import { extend } from '../values/operators.js';
import { type Dict, isHostObject, PyTuple, PyView, typeName, type Value } from '../values/values.js';
import { defineFunctions } from './functions.js';

const STRING_METHODS = defineFunctions<string>({
  'endswith(suffix, /)': (text, suffix = null) => text.endsWith(requireText(suffix, 'the argument of endswith()')),
  'isdigit()': (text) => /^\d+$/.test(text),
  'join(values, /)': (text, values = null) => join(text, collect(values)),
  'lower()': (text) => text.toLowerCase(),
  'replace(old, new, /)': (text, before = null, after = null) => replace(text, before, after),
  'split(sep?)': (text, separator = null) => split(text, separator),
  'startswith(prefix, /)': (text, start = null) => text.startsWith(requireText(start, 'the argument of startswith()')),
  'strip()': (text) => text.trim(),
  'upper()': (text) => text.toUpperCase(),
});

const LIST_METHODS = defineFunctions<Value[]>({
  'append(value, /)': (list, value = null) => extend(list, [value]),
  'extend(values, /)': (list, values = null) => extend(list, collect(values)),
});

const DICT_METHODS = defineFunctions<Dict>({
  'get(key, default?, /)': (dict, key = null, otherwise = null) => {
    const value = dict.get(checkKey(key));
    return value === undefined ? otherwise : value;
  },
  'items()': (dict) =>
    new PyView(
      'dict_items',
      Array.from(dict, (pair) => new PyTuple(pair)),
    ),
  'keys()': (dict) => new PyView('dict_keys', [...dict.keys()]),
  'values()': (dict) => new PyView('dict_values', [...dict.values()]),
});

/** Returns an attribute of a value; raises AttributeError if there is none of this name. */
export function getAttribute(value: Value, name: string): Value {
  if (isHostObject(value)) return value.getAttribute(name) ?? noAttribute(value, name, value.attributeNames?.() ?? []);
  if (typeof value === 'string')
    return STRING_METHODS.get(name)?.(value) ?? noAttribute(value, name, STRING_METHODS.keys());
  if (Array.isArray(value)) return LIST_METHODS.get(name)?.(value) ?? noAttribute(value, name, LIST_METHODS.keys());
  if (value instanceof Map) return DICT_METHODS.get(name)?.(value) ?? noAttribute(value, name, DICT_METHODS.keys());
  return noAttribute(value, name, []);
}

function noAttribute(value: Value, name: string, known: Iterable<string>): never {
  const instead = typeof value === 'string' && name === 'format' ? "; use f'…' or '…' % (…)" : '';
  const names = [...known].sort().join(', ');
  const has = names === '' ? '' : `; it has: ${names}`;
  return raise('AttributeError', `'${typeName(value)}' has no attribute '${name}'${instead}${has}`);
}

function join(separator: string, values: readonly Value[]): string {
  const texts = values.map((value, i) => requireText(value, `item ${i} of join()`));
  checkLength(texts.reduce((sum, text) => sum + text.length + separator.length, 0) - separator.length);
  return texts.join(separator);
}

function replace(text: string, old: Value, replacement: Value): string {
  const [before, after] = [requireText(old, 'what is replaced'), requireText(replacement, 'the replacement')];
  const parts = before === '' ? ['', ...text, ''] : text.split(before);
  checkLength(text.length + (parts.length - 1) * (after.length - before.length));
  return parts.join(after);
}

function split(text: string, separator: Value): Value[] {
  if (separator === '') raise('ValueError', 'the separator of split() is empty');
  const by = separator === null ? null : requireText(separator, 'the separator');
  const parts = by === null ? text.split(/\s+/).filter((part) => part !== '') : text.split(by);
  checkCount(parts.length);
  return parts;
}
