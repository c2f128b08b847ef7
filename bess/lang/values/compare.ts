/** Python's comparisons: `==`, `<`, `in`, `is` and their like. */
import { raise } from '../errors.js';
import { asInt } from './checks.js';
import { checkKey, collect, costOf } from './items.js';
import { isHostObject, PyRange, PyTuple, PyView, typeName, type Value } from './values.js';

/** Largest number of pairs that one comparison looks at: nested lists can make it exponential. */
const MAX_PAIRS = 1 << 18;

/** How many pairs a comparison may still look at. A long string counts as several. */
type Budget = { pairs: number };

/** Python's comparison operators. */
const OPERATORS: Readonly<Record<string, (left: Value, right: Value, budget: Budget) => boolean>> = {
  '==': equal,
  '!=': (left, right, budget) => !equal(left, right, budget),
  '<': (left, right) => order(left, right) < 0,
  '<=': (left, right) => order(left, right) <= 0,
  '>': (left, right) => order(left, right) > 0,
  '>=': (left, right) => order(left, right) >= 0,
  is: (left, right) => left === right,
  'is not': (left, right) => left !== right,
  in: (left, right, budget) => contains(right, left, budget),
  'not in': (left, right, budget) => !contains(right, left, budget),
};

/** Compares two values by one of {@link OPERATORS}, and passes the number of pairs that it looked at to `count`. */
export function compare(operator: string, left: Value, right: Value, count: (pairs: number) => void): boolean {
  const budget = { pairs: MAX_PAIRS };
  const holds = OPERATORS[operator]?.(left, right, budget) ?? false;
  count(MAX_PAIRS - budget.pairs);
  return holds;
}

function equal(left: Value, right: Value, budget: Budget): boolean {
  budget.pairs -= typeof left === 'string' ? 1 + costOf(left) : 1;
  if (budget.pairs < 0) raise('MemoryError', 'these values are too large to compare');
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

function equalItems(left: readonly Value[], right: readonly Value[], budget: Budget): boolean {
  return left.length === right.length && left.every((item, i) => equal(item, right[i] as Value, budget));
}

function contains(container: Value, item: Value, budget: Budget): boolean {
  if (typeof container === 'string') {
    if (typeof item === 'string') return container.includes(item);
    return raise('TypeError', `'in <str>' needs a str on its left, not '${typeName(item)}'`);
  }
  if (container instanceof Map) return container.has(checkKey(item));
  if (isHostObject(container) && container.getItem !== undefined) return container.getItem(item) !== undefined;
  return collect(container).some((value) => equal(value, item, budget));
}
