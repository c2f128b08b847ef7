/** Python's format specifications: `{x:>10}`, `{x:#06x}`, `{x:.3f}` (library reference, "Format Specification"). */
import { fixed, general, scientific } from './decimal.js';
import { floatText, str, typeName } from './describe.js';
import { raise } from './exceptions.js';
import { checkText, MAX_TEXT } from './limits.js';
import { asInt, asNumber } from './operators.js';
import type { Value } from './values.js';

interface FormatSpec {
  readonly fill: string;
  /** Empty when none is given. */
  readonly align: string;
  /** A 0 before the width: fills numbers behind their sign. */
  readonly zero: boolean;
  readonly sign: string;
  readonly alternate: boolean;
  readonly width: number;
  readonly grouping: string;
  /** null when none is given. */
  readonly precision: number | null;
  readonly type: string;
}

const SPEC = /^(?:([\s\S])?([<>=^]))?([-+ ])?(#)?(0)?(\d*)([,_])?(?:\.(\d+))?([a-zA-Z%])?$/u;

/** Radix and prefix of the integer types. */
export const RADIX: Readonly<Record<string, { readonly radix: number; readonly prefix: string }>> = {
  b: { radix: 2, prefix: '0b' },
  d: { radix: 10, prefix: '' },
  o: { radix: 8, prefix: '0o' },
  x: { radix: 16, prefix: '0x' },
  X: { radix: 16, prefix: '0X' },
};

/** `format(value, spec)`. */
export function formatValue(value: Value, spec: string): string {
  if (spec === '') return str(value);
  const parsed = parseSpec(spec);
  const { type } = parsed;
  if (typeof value === 'string') {
    if (type !== '' && type !== 's') return unknownType(type, value);
    if (parsed.sign + parsed.grouping !== '' || parsed.align === '=')
      raise('ValueError', `the format '${spec}' is not one of a str`);
    const text = parsed.precision === null ? value : Array.from(value).slice(0, parsed.precision).join('');
    return pad('', text, parsed, '<');
  }
  const int = asInt(value);
  if (int !== null && (type === '' || type in RADIX)) return formatInt(int, parsed);
  if (int !== null && type === 'c') return pad('', characterOf(int), parsed, '<');
  const number = asNumber(value);
  if (number !== null && (type === '' || 'eEfFgG%'.includes(type))) {
    return formatFloat(number, parsed);
  }
  if (number !== null) return unknownType(type, value);
  return raise('TypeError', `a '${typeName(value)}' takes no format ('${spec}')`);
}

/** The character of `%c` and `{:c}`. */
export function characterOf(code: number): string {
  if (code < 0 || code > 0x10ffff) raise('OverflowError', `${code} is no character`);
  return String.fromCodePoint(code);
}

/** Digits of |value| for the float types; `f` has six places unless `precision` says otherwise. */
export function floatDigits(value: number, type: string, precision: number | null): string {
  if (!Number.isFinite(value)) {
    const text = Number.isNaN(value) ? 'nan' : 'inf';
    return type === 'E' || type === 'F' || type === 'G' ? text.toUpperCase() : text;
  }
  const places = precision ?? 6;
  switch (type) {
    case 'e':
      return scientific(value, places);
    case 'E':
      return scientific(value, places).toUpperCase();
    case 'g':
      return general(value, places);
    case 'G':
      return general(value, places).toUpperCase();
    default:
      return fixed(value, places);
  }
}

function parseSpec(spec: string): FormatSpec {
  const match = SPEC.exec(spec);
  if (match === null) return raise('ValueError', `'${spec}' is no format specification`);
  const [, fill, align, sign = '', alternate, zero, width = '', grouping = '', precision, type = ''] = match;
  const parsed = {
    fill: fill ?? (zero === undefined ? ' ' : '0'),
    align: align ?? '',
    zero: zero !== undefined,
    sign,
    alternate: alternate !== undefined,
    width: Number(width),
    grouping,
    precision: precision === undefined ? null : Number(precision),
    type,
  };
  checkSize(parsed.width, parsed.precision);
  return parsed;
}

/** Raises for a width or precision that no line has. */
export function checkSize(width: number, precision: number | null): void {
  if (width > MAX_TEXT || (precision ?? 0) > MAX_TEXT) raise('ValueError', 'the width or precision is too large');
}

function formatInt(value: number, spec: FormatSpec): string {
  const { radix, prefix } = RADIX[spec.type === '' ? 'd' : spec.type] as { radix: number; prefix: string };
  if (spec.precision !== null) raise('ValueError', 'a precision is for floats and strings');
  const digits = Math.abs(value).toString(radix);
  const text = spec.type === 'X' ? digits.toUpperCase() : digits;
  const size = radix === 10 ? 3 : 4;
  return pad(signOf(value, spec) + (spec.alternate ? prefix : ''), group(text, spec.grouping, size), spec, '>');
}

function formatFloat(value: number, spec: FormatSpec): string {
  const sign = signOf(value, spec);
  let digits: string;
  if (spec.type === '%') {
    digits = `${floatDigits(value * 100, 'f', spec.precision)}%`;
  } else if (spec.type !== '') {
    digits = floatDigits(value, spec.type, spec.precision);
  } else {
    digits = spec.precision === null ? floatText(Math.abs(value)) : generalWithPoint(Math.abs(value), spec.precision);
  }
  return pad(sign, group(digits, spec.grouping, 3), spec, '>');
}

/** No type, but a precision: as `g`, with a digit after the point, and an exponent one place earlier. */
function generalWithPoint(value: number, precision: number): string {
  if (!Number.isFinite(value)) return floatText(value);
  const text = general(value, precision, 1);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function signOf(value: number, spec: FormatSpec): string {
  if (value < 0 || Object.is(value, -0)) return '-';
  return spec.sign === '-' ? '' : spec.sign;
}

/** Sets a comma or underscore between groups of the digits before the point. */
function group(text: string, separator: string, size: number): string {
  if (separator === '') return text;
  const whole = /^[\da-fA-F]+/.exec(text)?.[0] ?? '';
  return whole.replace(new RegExp(`(?<=.)(?=(?:.{${size}})+$)`, 'g'), separator) + text.slice(whole.length);
}

function pad(sign: string, text: string, spec: FormatSpec, otherwise: string): string {
  const missing = Math.max(0, spec.width - Array.from(sign + text).length);
  const byDefault = spec.zero && otherwise === '>' ? '=' : otherwise;
  switch (spec.align === '' ? byDefault : spec.align) {
    case '<':
      return checkText(sign + text + spec.fill.repeat(missing));
    case '^': {
      const before = missing >> 1;
      return checkText(spec.fill.repeat(before) + sign + text + spec.fill.repeat(missing - before));
    }
    case '=':
      return checkText(sign + spec.fill.repeat(missing) + text);
    default:
      return checkText(spec.fill.repeat(missing) + sign + text);
  }
}

function unknownType(type: string, value: Value): never {
  return raise('ValueError', `the format '${type}' is not one of a '${typeName(value)}'`);
}
