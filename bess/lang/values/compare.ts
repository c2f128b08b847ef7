/** Python's comparisons: `==`, `<`, `in`, `is` and their like. */
import { raise } from '../errors.js';
import { asInt } from './checks.js';
import { checkKey, collect } from './items.js';
import { isHostObject, PyRange, PyTuple, PyView, typeName, type Value } from './values.js';

/** Largest number of pairs that one comparison looks at: nested lists can make it exponential. */
const MAX_PAIRS = 1 << 18;

/** Python's comparison operators. */
const OPERATORS: Readonly<Record<string, (left: Value, right: Value) => boolean>> = {
  '==': (left, right) => equal(left, right),
  '!=': (left, right) => !equal(left, right),
  '<': (left, right) => order(left, right) < 0,
  '<=': (left, right) => order(left, right) <= 0,
  '>': (left, right) => order(left, right) > 0,
  '>=': (left, right) => order(left, right) >= 0,
  is: (left, right) => left === right,
  'is not': (left, right) => left !== right,
  in: (left, right) => contains(right, left),
  'not in': (left, right) => !contains(right, left),
};

/** Compares two values by one of {@link OPERATORS}. */
export function compare(operator: string, left: Value, right: Value): boolean {
  return OPERATORS[operator]?.(left, right) ?? false;
}

export function equal(left: Value, right: Value, budget = { pairs: MAX_PAIRS }): boolean {
  if (--budget.pairs < 0) raise('MemoryError', 'these values are too large to compare');
  const int = asInt(left);
  if (int !== null) return int === asInt(right);
  if (left === right) return true;
  if (left instanceof PyView || right instanceof PyView)
    raise('TypeError', 'what keys() and the like return cannot be compared: make a list(…) of it');
  if (Array.isArray(left)) return Array.isArray(right) && equalItems(left, right, budget);
  if (left instanceof PyTuple) return right instanceof PyTuple && equalItems(left.items, right.items, budget);
  if (left instanceof PyRange) return right instanceof PyRange && equalItems(collect(left), collect(right), budget);
  if (!(left instanceof Map && right instanceof Map) || left.size !== right.size) return false;
  return [...left].every(([key, value]) => right.has(key) && equal(value, right.get(key) as Value, budget));
}

/** Negative, 0 or positive as left sorts before, with or after right. Only ints and strings have an order. */
export function order(left: Value, right: Value): number {
  const [a, b] = [asInt(left), asInt(right)];
  if (a !== null && b !== null) return a - b;
  if (typeof left === 'string' && typeof right === 'string') return left === right ? 0 : left < right ? -1 : 1;
  return raise('TypeError', `'${typeName(left)}' and '${typeName(right)}' have no order`);
}

function equalItems(left: readonly Value[], right: readonly Value[], budget: { pairs: number }): boolean {
  return left.length === right.length && left.every((item, i) => equal(item, right[i] as Value, budget));
}

function contains(container: Value, item: Value): boolean {
  if (typeof container === 'string') {
    if (typeof item === 'string') return container.includes(item);
    return raise('TypeError', `'in <str>' needs a str on its left, not '${typeName(item)}'`);
  }
  if (container instanceof Map) return container.has(checkKey(item));
  if (isHostObject(container) && container.getItem !== undefined) return container.getItem(item) !== undefined;
  const budget = { pairs: MAX_PAIRS };
  return collect(container).some((value) => equal(value, item, budget));
}
