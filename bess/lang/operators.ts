/** Python's arithmetic on the values of a script. */
import { typeName } from './describe.js';
import { raise } from './exceptions.js';
import { checkCount, checkInt, checkText, MAX_TEXT } from './limits.js';
import { formatPercent } from './percent-format.js';
import { PyFloat, PyList, PyTuple, type Value } from './values.js';

/** `left operator right`; raises TypeError for types that have no such operator. */
export function applyBinary(operator: string, left: Value, right: Value): Value {
  const result = applyToNumbers(operator, left, right) ?? applyToSequences(operator, left, right);
  if (result !== undefined) return result;
  return raise('TypeError', `unsupported operand types for ${operator}: '${typeName(left)}' and '${typeName(right)}'`);
}

/** `-value`, `+value`, `~value`. */
export function applySign(operator: string, value: Value): Value {
  const int = asInt(value);
  if (int !== null) return checkInt(operator === '~' ? -int - 1 : operator === '-' ? -int : int);
  if (value instanceof PyFloat && operator !== '~') return operator === '-' ? new PyFloat(-value.value) : value;
  return raise('TypeError', `unsupported operand type for ${operator}: '${typeName(value)}'`);
}

/** The int that a value is (a bool is one too), else null. */
export function asInt(value: Value): number | null {
  if (typeof value === 'number') return value;
  return typeof value === 'boolean' ? Number(value) : null;
}

/** The number that a value is, be it int or float, else null. */
export function asNumber(value: Value): number | null {
  return value instanceof PyFloat ? value.value : asInt(value);
}

function applyToNumbers(operator: string, left: Value, right: Value): Value | undefined {
  if (typeof left === 'boolean' && typeof right === 'boolean') {
    // These alone make a bool of two.
    if (operator === '&') return left && right;
    if (operator === '|') return left || right;
    if (operator === '^') return left !== right;
  }
  const a = asInt(left);
  const b = asInt(right);
  if (a !== null && b !== null) return intOperation(operator, a, b);
  const x = asNumber(left);
  const y = asNumber(right);
  return x === null || y === null ? undefined : floatOperation(operator, x, y);
}

function intOperation(operator: string, a: number, b: number): Value | undefined {
  switch (operator) {
    case '+':
      return checkInt(a + b);
    case '-':
      return checkInt(a - b);
    case '*':
      return checkInt(a * b);
    case '/':
      return floatOperation('/', a, b);
    case '//':
      checkDivisor(b);
      // By BigInt: a / b rounds, and near 2**53 it rounds over an integer.
      return checkInt(Number((BigInt(a) - BigInt(floorModulo(a, b))) / BigInt(b)));
    case '%':
      checkDivisor(b);
      return checkInt(floorModulo(a, b));
    case '**':
      return intPower(a, b);
    case '<<':
    case '>>':
      return shift(operator, a, b);
    // JavaScript's own cut to 32 bits, and a MAC address has 48.
    case '&':
      return Number(BigInt(a) & BigInt(b));
    case '|':
      return Number(BigInt(a) | BigInt(b));
    case '^':
      return Number(BigInt(a) ^ BigInt(b));
    default:
      return undefined;
  }
}

/** The remainder with the sign of the divisor. */
function floorModulo(a: number, b: number): number {
  const remainder = a % b;
  return remainder !== 0 && remainder < 0 !== b < 0 ? remainder + b : remainder;
}

function intPower(base: number, exponent: number): Value {
  if (exponent < 0) {
    checkDivisor(base);
    return new PyFloat(base ** exponent);
  }
  return checkInt(base ** exponent);
}

function shift(operator: string, value: number, count: number): number {
  if (count < 0) raise('ValueError', 'negative shift count');
  if (operator === '>>') return count > 53 ? (value < 0 ? -1 : 0) : checkInt(Math.floor(value / 2 ** count));
  return value === 0 ? 0 : checkInt(value * 2 ** count);
}

function floatOperation(operator: string, x: number, y: number): PyFloat | undefined {
  switch (operator) {
    case '+':
      return new PyFloat(x + y);
    case '-':
      return new PyFloat(x - y);
    case '*':
      return new PyFloat(x * y);
    case '/':
      checkDivisor(y);
      return new PyFloat(x / y);
    case '//':
      checkDivisor(y);
      return new PyFloat(Math.floor((x - floorModulo(x, y)) / y));
    case '%':
      checkDivisor(y);
      return new PyFloat(floorModulo(x, y));
    case '**':
      return floatPower(x, y);
    default:
      return undefined;
  }
}

function floatPower(x: number, y: number): PyFloat {
  if (x === 0 && y < 0) checkDivisor(0);
  if (x < 0 && !Number.isInteger(y)) raise('ValueError', 'a negative number to a fractional power is complex');
  const result = x ** y;
  if (!Number.isFinite(result) && Number.isFinite(x) && Number.isFinite(y)) raise('OverflowError', 'result too large');
  return new PyFloat(result);
}

function checkDivisor(divisor: number): void {
  if (divisor === 0) raise('ZeroDivisionError', 'division by zero');
}

function applyToSequences(operator: string, left: Value, right: Value): Value | undefined {
  if (operator === '%' && typeof left === 'string') return checkText(formatPercent(left, right));
  if (operator === '+') return concatenate(left, right);
  if (operator === '*') {
    const times = asInt(right);
    if (times !== null) return repeat(left, times);
    const timesLeft = asInt(left);
    if (timesLeft !== null) return repeat(right, timesLeft);
  }
  return undefined;
}

function concatenate(left: Value, right: Value): Value | undefined {
  if (typeof left === 'string') {
    if (typeof right === 'string') return checkText(left + right);
    return raise('TypeError', `can only add a str to a str, not '${typeName(right)}' (use str(…) or a format)`);
  }
  if (left instanceof PyList && right instanceof PyList) {
    checkCount(left.items.length + right.items.length);
    return new PyList([...left.items, ...right.items]);
  }
  if (left instanceof PyTuple && right instanceof PyTuple) {
    checkCount(left.items.length + right.items.length);
    return new PyTuple([...left.items, ...right.items]);
  }
  return undefined;
}

function repeat(value: Value, times: number): Value | undefined {
  const count = Math.max(0, times);
  if (typeof value === 'string') {
    if (value.length * count > MAX_TEXT) raise('MemoryError', `a string may have ${MAX_TEXT} characters at most`);
    return value === '' ? '' : value.repeat(count);
  }
  if (!(value instanceof PyList || value instanceof PyTuple)) return undefined;
  checkCount(value.items.length * count);
  const { length } = value.items;
  const items = Array.from({ length: length * count }, (_, i) => value.items[i % length] as Value);
  return value instanceof PyList ? new PyList(items) : new PyTuple(items);
}

/** The int that a value must be for `what`, say an index. */
export function requireInt(value: Value, what: string): number {
  const int = asInt(value);
  if (int === null) return raise('TypeError', `${what} must be an int, not '${typeName(value)}'`);
  return int;
}

/** The string that a value must be. */
export function requireText(value: Value, what: string): string {
  if (typeof value !== 'string') return raise('TypeError', `${what} must be a str, not '${typeName(value)}'`);
  return value;
}
