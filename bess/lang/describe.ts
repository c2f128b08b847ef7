/** How values look: Python's `type`, `bool`, `str` and `repr`. */
import { PyDict } from './dict.js';
import { checkText } from './limits.js';
import {
  ExceptionType,
  isHostObject,
  NativeFunction,
  PyFloat,
  PyIterator,
  PyList,
  PyRange,
  PyTuple,
  PyView,
  ScriptException,
  ScriptFunction,
  type Value,
} from './values.js';

/** The name of a value's class. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return 'int';
  if (typeof value === 'string') return 'str';
  if (value instanceof PyFloat) return 'float';
  if (value instanceof PyList) return 'list';
  if (value instanceof PyTuple) return 'tuple';
  if (value instanceof PyDict) return 'dict';
  if (value instanceof PyRange) return 'range';
  if (value instanceof NativeFunction) return 'builtin_function_or_method';
  if (value instanceof ScriptFunction) return 'function';
  if (value instanceof ExceptionType) return 'type';
  if (value instanceof ScriptException) return value.type.name;
  return value.typeName;
}

/** What `if value:` sees. */
export function isTruthy(value: Value): boolean {
  if (value === null || value === false || value === 0 || value === '') return false;
  if (value instanceof PyFloat) return value.value !== 0;
  if (value instanceof PyList || value instanceof PyTuple || value instanceof PyView) return value.items.length > 0;
  if (value instanceof PyDict) return value.size > 0;
  if (value instanceof PyRange) return value.length > 0;
  return true;
}

export function str(value: Value): string {
  if (typeof value === 'string') return value;
  if (value instanceof ScriptException) return value.message;
  return repr(value);
}

/** Raises MemoryError when the text grows too long; a list in itself shows as `[...]`. */
export function repr(value: Value, around: readonly Value[] = []): string {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return quote(value);
  if (value instanceof PyFloat) return floatText(value.value);
  if (value instanceof PyList)
    return around.includes(value) ? '[...]' : reprItems('[', value, value.items, ']', around);
  if (value instanceof PyTuple) {
    const close = value.items.length === 1 ? ',)' : ')';
    return around.includes(value) ? '(...)' : reprItems('(', value, value.items, close, around);
  }
  if (value instanceof PyDict) return reprDict(value, around);
  if (value instanceof PyRange) {
    return `range(${value.start}, ${value.stop}${value.step === 1 ? '' : `, ${value.step}`})`;
  }
  if (value instanceof NativeFunction) return `<built-in function ${value.name}>`;
  if (value instanceof ScriptFunction) return `<function ${value.definition.name}>`;
  if (value instanceof ExceptionType) return `<class '${value.name}'>`;
  if (value instanceof ScriptException) return `${value.type.name}(${value.message && quote(value.message)})`;
  if (value instanceof PyView) return reprItems(`${value.typeName}([`, value, value.items, '])', around);
  if (value instanceof PyIterator) return `<${value.typeName} object>`;
  return isHostObject(value) && value.describe !== undefined ? value.describe() : `<${value.typeName} object>`;
}

function reprItems(
  open: string,
  container: Value,
  items: readonly Value[],
  close: string,
  around: readonly Value[],
): string {
  const inside = [...around, container];
  let text = open;
  for (let i = 0; i < items.length; i++) {
    text = checkText(`${text}${i === 0 ? '' : ', '}${repr(items[i] as Value, inside)}`);
  }
  return text + close;
}

function reprDict(dict: PyDict, around: readonly Value[]): string {
  if (around.includes(dict)) return '{...}';
  const inside = [...around, dict];
  let text = '{';
  for (const [key, value] of dict.items()) {
    const separator = text === '{' ? '' : ', ';
    text = checkText(`${text}${separator}${repr(key, inside)}: ${repr(value, inside)}`);
  }
  return `${text}}`;
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

/** A string as Python quotes it: double quotes only around a text that has single ones and no double. */
export function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = text.replace(/[\\\p{Cc}\p{Cs}]|['"]/gu, (character) => {
    if (character === '"' || character === "'") return character === mark ? `\\${character}` : character;
    const code = character.codePointAt(0) ?? 0;
    const hex = code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
    return ESCAPES[character] ?? hex;
  });
  return mark + body + mark;
}

/** Python's repr of a float: JavaScript's digits, an exponent of two digits beyond 1e16 and below 1e-4. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0.0';
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) {
    const [digits = '', exponent = ''] = value.toExponential().split('e');
    return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
  }
  // JavaScript writes 0.0001 and 123456789012345680 without an exponent as well.
  const text = String(value);
  return text.includes('.') ? text : `${text}.0`;
}
