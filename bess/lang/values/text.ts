/** Values as text: Python's `str` and `repr`, `'%02x' % value` and `f'{value:02x}'`. */
import { raise } from '../errors.js';
import { asInt, checkLength, checkText } from './checks.js';
import { isHostObject, NativeFunction, PyRange, PyTuple, type PyView, typeName, type Value } from './values.js';

export function str(value: Value): string {
  return typeof value === 'string' ? value : repr(value);
}

/** Python's `repr`. Raises MemoryError if the text becomes too long. A list inside itself is shown as `[...]`. */
export function repr(value: Value, around: readonly Value[] = []): string {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return quote(value);
  if (value instanceof PyRange) {
    return `range(${value.start}, ${value.stop}${value.step === 1 ? '' : `, ${value.step}`})`;
  }
  if (value instanceof NativeFunction) return `<function ${value.name}>`;
  if (isHostObject(value)) return value.describe?.() ?? `<${value.typeName} object>`;
  const [open, close] = brackets(value);
  if (around.includes(value)) return `${open}...${close}`;
  const inside = [...around, value];
  let text = open;
  const add = (item: string): void => {
    text = checkText(text === open ? text + item : `${text}, ${item}`);
  };
  if (value instanceof Map) for (const [key, item] of value) add(`${repr(key, inside)}: ${repr(item, inside)}`);
  else for (const item of Array.isArray(value) ? value : value.items) add(repr(item, inside));
  return text + (value instanceof PyTuple && value.items.length === 1 ? ',)' : close);
}

function brackets(value: Value[] | Map<Value, Value> | PyTuple | PyView): readonly [string, string] {
  if (Array.isArray(value)) return ['[', ']'];
  if (value instanceof Map) return ['{', '}'];
  return value instanceof PyTuple ? ['(', ')'] : [`${value.typeName}([`, '])'];
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

/** Quotes a string as Python does: in double quotes only if it contains single ones and no double ones. */
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

/** How a formatted text is padded to its width: `=` fills between the sign and the digits. */
type Placing = Readonly<{ fill: string; align: string; width: number }>;

/** The radix of the integer types. */
const RADIX: Readonly<Record<string, number>> = { b: 2, d: 10, o: 8, x: 16, X: 16 };
const CONVERSION = /%([-0#]*)(\d*)([\s\S]?)/g;
const CONVERSIONS = '%s %r %d %i %x %X %o %%, with a width and the flags - 0 #';
const SPECIFICATION = /^(?:([\s\S])?([<>=^]))?(#)?(0)?(\d*)([bdoxXs]?)$/u;
const SPECIFICATIONS = '[fill][< > ^ =][#][0][width][d x X o b s]';

/** `format % values`: a tuple has a value for each conversion; any other value is the value of the only conversion. */
export function formatPercent(format: string, values: Value): string {
  const given = values instanceof PyTuple ? values.items : [values];
  let used = 0;
  let length = format.length;
  const text = format.replace(CONVERSION, (whole, flags: string, width: string, type: string) => {
    if (whole === '%%') return '%';
    if (type === '') return raise('ValueError', 'the format string ends within a %');
    if (!'srdixXo'.includes(type)) {
      return raise('ValueError', `'${whole}' is no conversion of the embedded switch, which has ${CONVERSIONS}`);
    }
    const value = given[used++];
    if (value === undefined) return raise('TypeError', 'not enough values for the format string');
    const isText = type === 's' || type === 'r';
    if (!isText && asInt(value) === null) raise('TypeError', `%${type} needs an int, not '${typeName(value)}'`);
    const align = flags.includes('-') ? '<' : isText || !flags.includes('0') ? '>' : '0=';
    const shown = isText ? (type === 's' ? str(value) : repr(value)) : value;
    const kind = isText ? 's' : type === 'i' ? 'd' : type;
    const field = formatField(shown, `${align}${flags.includes('#') && !isText ? '#' : ''}${width}${kind}`);
    length += field.length - whole.length;
    checkLength(length);
    return field;
  });
  // As Python: a list or a dict may hold more than the format string shows.
  const isContainer = Array.isArray(values) || values instanceof Map || values instanceof PyRange;
  if (used < given.length && !isContainer) raise('TypeError', 'not all values were used by the format string');
  return text;
}

/** `f'{value:specification}'`. */
export function formatField(value: Value, specification: string): string {
  if (specification === '') return str(value);
  const match = SPECIFICATION.exec(specification);
  if (match === null) {
    return raise('ValueError', `'${specification}' is no format of the embedded switch, which has ${SPECIFICATIONS}`);
  }
  const [, fill, align, alternate, zero, width, type = ''] = match;
  const isText = typeof value === 'string';
  const placing = {
    fill: fill ?? (zero === undefined ? ' ' : '0'),
    align: align ?? (isText ? '<' : zero === undefined ? '>' : '='),
    width: Number(width),
  };
  if (isText) {
    if (type !== '' && type !== 's') raise('ValueError', `a 'str' has no format '${type}'`);
    if (align === '=' || alternate !== undefined) raise('ValueError', `a 'str' has no format '${specification}'`);
    return pad('', value, placing);
  }
  const int = asInt(value) ?? raise('TypeError', `a '${typeName(value)}' has no format '${specification}'`);
  if (type === 's') raise('ValueError', "an 'int' has no format 's'");
  const digits = Math.abs(int).toString(RADIX[type]);
  const sign = (int < 0 ? '-' : '') + (alternate === undefined || type === '' || type === 'd' ? '' : `0${type}`);
  return pad(sign, type === 'X' ? digits.toUpperCase() : digits, placing);
}

function pad(sign: string, text: string, { fill, align, width }: Placing): string {
  checkLength(width);
  const missing = Math.max(0, width - Array.from(sign + text).length);
  if (align === '=') return sign + fill.repeat(missing) + text;
  const before = align === '>' ? missing : align === '^' ? missing >> 1 : 0;
  return fill.repeat(before) + sign + text + fill.repeat(missing - before);
}
