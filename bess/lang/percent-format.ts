/** `'%02x:%s' % (a, b)`: Python's printf-style formatting. */
import { repr, str, typeName } from './describe.js';
import { PyDict } from './dict.js';
import { raise } from './exceptions.js';
import { characterOf, checkSize, floatDigits, RADIX } from './format-spec.js';
import { getItem } from './iteration.js';
import { asInt, asNumber } from './operators.js';
import { PyFloat, PyList, PyRange, PyTuple, type Value } from './values.js';

const CONVERSION = /%(?:\(([^)]*)\))?([-+ #0]*)(\d*)(?:\.(\d*))?([a-zA-Z%])?/g;

/** `format % values`: a tuple gives each conversion its value, a dict gives `%(name)s`, all else is the only value. */
export function formatPercent(format: string, values: Value): string {
  const given = values instanceof PyTuple ? values.items : [values];
  let used = 0;
  let named = false;
  const next = (): Value => {
    const value = given[used++];
    return value === undefined ? raise('TypeError', 'not enough values for the format string') : value;
  };
  const text = format.replace(
    CONVERSION,
    (whole, name?: string, flags = '', width = '', precision?: string, type?: string) => {
      if (type === undefined) return raise('ValueError', 'the format string ends within a %');
      if (type === '%') return '%';
      named ||= name !== undefined;
      const value = name === undefined ? next() : getItem(values, name);
      const places = precision === undefined ? null : Number(precision);
      checkSize(Number(width), places);
      return padded(converted(value, flags, places, type, whole), flags, Number(width), type);
    },
  );
  const isMapping = values instanceof PyDict || values instanceof PyList || values instanceof PyRange;
  if (used < given.length && !named && !isMapping) {
    raise('TypeError', 'not all values were used by the format string');
  }
  return text;
}

/** Sign or prefix, and the rest; zeros go between both. */
type Parts = readonly [prefix: string, text: string];

function converted(value: Value, flags: string, precision: number | null, type: string, whole: string): Parts {
  switch (type) {
    case 's':
    case 'r': {
      const text = type === 's' ? str(value) : repr(value);
      return ['', precision === null ? text : Array.from(text).slice(0, precision).join('')];
    }
    case 'c': {
      if (typeof value === 'string' && Array.from(value).length === 1) return ['', value];
      const code = asInt(value);
      return code === null ? raise('TypeError', '%c needs an int or one character') : ['', characterOf(code)];
    }
    case 'd':
    case 'i':
    case 'u':
    case 'o':
    case 'x':
    case 'X':
      return convertedInt(value, flags, precision, type);
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G': {
      const number = asNumber(value);
      if (number === null) return raise('TypeError', `%${type} needs a number, not '${typeName(value)}'`);
      return [signOf(number, flags), floatDigits(number, type, precision)];
    }
    default:
      return raise('ValueError', `'${whole}' is no conversion of a format string`);
  }
}

function convertedInt(value: Value, flags: string, precision: number | null, type: string): Parts {
  const decimal = type === 'd' || type === 'i' || type === 'u';
  const truncated =
    decimal && value instanceof PyFloat && Number.isFinite(value.value) ? Math.trunc(value.value) : null;
  const int = asInt(value) ?? truncated;
  if (int === null)
    return raise('TypeError', `%${type} needs ${decimal ? 'a number' : 'an int'}, not '${typeName(value)}'`);
  const { radix, prefix } = RADIX[decimal ? 'd' : type] as { radix: number; prefix: string };
  const digits = Math.abs(int)
    .toString(radix)
    .padStart(precision ?? 0, '0');
  return [signOf(int, flags) + (flags.includes('#') ? prefix : ''), type === 'X' ? digits.toUpperCase() : digits];
}

function signOf(value: number, flags: string): string {
  if (value < 0 || Object.is(value, -0)) return '-';
  if (flags.includes('+')) return '+';
  return flags.includes(' ') ? ' ' : '';
}

function padded([prefix, text]: Parts, flags: string, width: number, type: string): string {
  const missing = Math.max(0, width - Array.from(prefix + text).length);
  if (flags.includes('-')) return prefix + text + ' '.repeat(missing);
  if (flags.includes('0') && !'src'.includes(type)) return prefix + '0'.repeat(missing) + text;
  return ' '.repeat(missing) + prefix + text;
}
