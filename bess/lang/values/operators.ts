/** Python's arithmetic on the values of a script. */
import { raise } from '../errors.js';
import { asInt, checkCount, checkInt, checkLength, checkText } from './checks.js';
import { formatPercent } from './text.js';
import { typeName, type Value } from './values.js';

const NO_FLOATS = 'the numbers of the embedded switch are ints';

const INT_OPERATORS: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => checkInt(a + b),
  '-': (a, b) => checkInt(a - b),
  '*': (a, b) => checkInt(a * b),
  '/': () => raise('TypeError', `'/' makes a float, but ${NO_FLOATS}: use //`),
  // By BigInt: a / b rounds, and near 2**53 it rounds over an integer.
  '//': (a, b) => checkInt(Number((BigInt(a) - BigInt(modulo(a, b))) / BigInt(b))),
  '%': (a, b) => checkInt(modulo(a, b)),
  '**': (a, b) => (b < 0 ? raise('ValueError', `a negative power is a float, but ${NO_FLOATS}`) : checkInt(a ** b)),
  '<<': (a, b) => (checkShift(b) && a !== 0 ? checkInt(a * 2 ** b) : 0),
  '>>': (a, b) => (checkShift(b) && b > 53 ? (a < 0 ? -1 : 0) : checkInt(Math.floor(a / 2 ** b))),
  // By BigInt: JavaScript cuts to 32 bits, and a MAC address has 48.
  '&': (a, b) => Number(BigInt(a) & BigInt(b)),
  '|': (a, b) => Number(BigInt(a) | BigInt(b)),
  '^': (a, b) => Number(BigInt(a) ^ BigInt(b)),
};

/** `left operator right`; raises TypeError for types that have no such operator. */
export function applyBinary(operator: string, left: Value, right: Value): Value {
  const result = applyToInts(operator, left, right) ?? applyToSequences(operator, left, right);
  if (result !== undefined) return result;
  return raise('TypeError', `unsupported operand types for ${operator}: '${typeName(left)}' and '${typeName(right)}'`);
}

/** `-value`, `+value`, `~value`. */
export function applySign(operator: string, value: Value): number {
  const int = asInt(value) ?? raise('TypeError', `unsupported operand type for ${operator}: '${typeName(value)}'`);
  return checkInt(operator === '~' ? -int - 1 : operator === '-' ? -int : int);
}

function applyToInts(operator: string, left: Value, right: Value): Value | undefined {
  if (typeof left === 'boolean' && typeof right === 'boolean') {
    // Of two bools, only these operators make a bool.
    if (operator === '&') return left && right;
    if (operator === '|') return left || right;
    if (operator === '^') return left !== right;
  }
  const [a, b] = [asInt(left), asInt(right)];
  return a === null || b === null ? undefined : INT_OPERATORS[operator]?.(a, b);
}

/** The remainder with the sign of the divisor. */
function modulo(a: number, b: number): number {
  if (b === 0) raise('ZeroDivisionError', 'division by zero');
  const remainder = a % b;
  return remainder !== 0 && remainder < 0 !== b < 0 ? remainder + b : remainder;
}

function checkShift(count: number): true {
  return count < 0 ? raise('ValueError', 'negative shift count') : true;
}

function applyToSequences(operator: string, left: Value, right: Value): Value | undefined {
  if (operator === '%' && typeof left === 'string') return formatPercent(left, right);
  if (operator === '+') return concatenate(left, right);
  if (operator !== '*') return undefined;
  const times = asInt(right);
  if (times !== null) return repeat(left, times);
  const timesLeft = asInt(left);
  return timesLeft === null ? undefined : repeat(right, timesLeft);
}

function concatenate(left: Value, right: Value): Value | undefined {
  if (typeof left === 'string') {
    if (typeof right === 'string') return checkText(left + right);
    return raise('TypeError', `can only add a str to a str, not '${typeName(right)}' (use str(…) or a format)`);
  }
  if (!Array.isArray(left) || !Array.isArray(right)) return undefined;
  checkCount(left.length + right.length);
  return [...left, ...right];
}

/** Adds items at the end of a list. */
export function extend(list: Value[], items: readonly Value[]): null {
  checkCount(list.length + items.length);
  for (const item of items) list.push(item);
  return null;
}

function repeat(value: Value, times: number): Value | undefined {
  const count = Math.max(0, times);
  if (typeof value === 'string') {
    checkLength(value.length * count);
    return value === '' ? '' : value.repeat(count);
  }
  if (!Array.isArray(value)) return undefined;
  checkCount(value.length * count);
  return Array.from({ length: value.length * count }, (_, i) => value[i % value.length] as Value);
}
