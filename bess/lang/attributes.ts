/** `value.name`: the methods of the language's own types, and what the host's objects have. */
import { DICT_METHODS, LIST_METHODS, TUPLE_METHODS } from './container-methods.js';
import { typeName } from './describe.js';
import { PyDict } from './dict.js';
import { raise } from './exceptions.js';
import type { CallArguments } from './host.js';
import { formatMethod } from './str-format.js';
import { STRING_METHODS } from './string-methods.js';
import { isHostObject, NativeFunction, PyList, PyTuple, type Value } from './values.js';

/** Raises AttributeError when there is none of that name. */
export function getAttribute(value: Value, name: string): Value {
  const attribute = isHostObject(value) ? value.getAttribute(name) : methodOf(value, name);
  if (attribute !== undefined) return attribute;
  return raise('AttributeError', `'${typeName(value)}' has no attribute '${name}'`);
}

function methodOf(value: Value, name: string): NativeFunction | undefined {
  if (typeof value === 'string' && name === 'format') {
    return new NativeFunction(name, (args) => formatMethod(value, args, getAttribute));
  }
  if (typeof value === 'string') return bind(STRING_METHODS, value, name);
  if (value instanceof PyList) return bind(LIST_METHODS, value, name);
  if (value instanceof PyTuple) return bind(TUPLE_METHODS, value, name);
  if (value instanceof PyDict) return bind(DICT_METHODS, value, name);
  return undefined;
}

function bind<T>(
  methods: ReadonlyMap<string, (self: T, args: CallArguments, name: string) => Value>,
  self: T,
  name: string,
): NativeFunction | undefined {
  const method = methods.get(name);
  return method === undefined ? undefined : new NativeFunction(name, (args) => method(self, args, name));
}
