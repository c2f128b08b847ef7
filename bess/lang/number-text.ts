/** `int(…)` and `float(…)`. */
import { quote, typeName } from './describe.js';
import { raise } from './exceptions.js';
import { checkInt } from './limits.js';
import { asInt, asNumber, requireInt } from './operators.js';
import { PyFloat, type Value } from './values.js';

/** Prefixes that may stand before the digits of a base, and that base 0 goes by. */
const PREFIXES: Readonly<Record<string, number>> = { '0b': 2, '0o': 8, '0x': 16 };

/** `int(value, base)`: of a number cut towards zero, of a string its digits. */
export function toInt(value: Value = 0, base?: Value): number {
  if (typeof value === 'string')
    return textToInt(value, base === undefined ? 10 : requireInt(base, 'the base of int()'));
  if (base !== undefined) raise('TypeError', 'int() takes a base for a str only');
  if (value instanceof PyFloat) {
    if (!Number.isFinite(value.value)) raise('OverflowError', 'an infinite float or nan is no int');
    return checkInt(Math.trunc(value.value));
  }
  const int = asInt(value);
  return int === null ? raise('TypeError', `int() takes a number or a str, not '${typeName(value)}'`) : int;
}

/** `float(value)`. */
export function toFloat(value: Value): PyFloat {
  const number = asNumber(value);
  if (number !== null) return new PyFloat(number);
  if (typeof value !== 'string') return raise('TypeError', `float() takes a number or a str, not '${typeName(value)}'`);
  const text = value.trim().toLowerCase();
  const special = /^([-+]?)(inf|infinity|nan)$/.exec(text);
  if (special !== null) {
    const size = special[2] === 'nan' ? Number.NaN : Number.POSITIVE_INFINITY;
    return new PyFloat(special[1] === '-' ? -size : size);
  }
  if (!/^[-+]?(\d(_?\d)*\.?(\d(_?\d)*)?|\.\d(_?\d)*)(e[-+]?\d(_?\d)*)?$/.test(text)) {
    raise('ValueError', `float() cannot read ${quote(value)}`);
  }
  return new PyFloat(Number(text.replaceAll('_', '')));
}

function textToInt(text: string, base: number): number {
  const match = /^([-+]?)(0[box])?(_?[0-9a-z]+(?:_[0-9a-z]+)*)$/.exec(text.trim().toLowerCase());
  const [, sign = '', prefix = '', body = ''] = match ?? [];
  const prefixBase = PREFIXES[prefix];
  const radix = base === 0 ? (prefixBase ?? 10) : base;
  if (radix < 2 || radix > 36) raise('ValueError', 'the base of int() is 0, or 2 to 36');
  // In base 16 '0b1' is digits, not a prefix.
  const digits = (prefixBase === radix ? body : prefix + body).replaceAll('_', '');
  const misplaced = body.startsWith('_') && prefixBase !== radix;
  const leadingZero = base === 0 && prefix === '' && /^0+[1-9]/.test(digits);
  if (match === null || misplaced || leadingZero || ![...digits].every((digit) => Number.parseInt(digit, radix) >= 0)) {
    raise('ValueError', `int() cannot read ${quote(text)} in base ${base}`);
  }
  // Number() of a decimal is exact where parseInt need not be; both are beyond 2**53 alike, and checkInt sees that.
  const value = Number.parseInt(digits, radix);
  return checkInt(sign === '-' ? -value : value);
}
