/** Python's comparisons: `==`, `<`, `in`, `is` and their like. */
import { typeName } from './describe.js';
import { PyDict } from './dict.js';
import { raise } from './exceptions.js';
import { iterate } from './iteration.js';
import { asNumber } from './operators.js';
import { isHostObject, PyList, PyRange, PyTuple, type Value } from './values.js';

/** Pairs that one comparison may look at: lists that hold each other twice would take for ever. */
const MAX_PAIRS = 1 << 20;

/** `left operator right`, for each of Python's comparison operators. */
export function compare(operator: string, left: Value, right: Value): boolean {
  switch (operator) {
    case '==':
      return equal(left, right);
    case '!=':
      return !equal(left, right);
    case 'is':
      return left === right;
    case 'is not':
      return left !== right;
    case 'in':
      return contains(right, left);
    case 'not in':
      return !contains(right, left);
    default:
      return ordered(operator, left, right);
  }
}

export function equal(left: Value, right: Value, budget = { pairs: MAX_PAIRS }): boolean {
  if (--budget.pairs < 0) raise('MemoryError', 'these values are too large to compare');
  const x = asNumber(left);
  if (x !== null) return x === asNumber(right);
  if (left === right) return true;
  if (left instanceof PyList) return right instanceof PyList && equalItems(left.items, right.items, budget);
  if (left instanceof PyTuple) return right instanceof PyTuple && equalItems(left.items, right.items, budget);
  if (left instanceof PyDict) return right instanceof PyDict && equalDicts(left, right, budget);
  if (left instanceof PyRange) return right instanceof PyRange && equalRanges(left, right);
  return false;
}

function equalItems(left: readonly Value[], right: readonly Value[], budget: { pairs: number }): boolean {
  if (left.length !== right.length) return false;
  return left.every((item, i) => equal(item, right[i] as Value, budget));
}

function equalDicts(left: PyDict, right: PyDict, budget: { pairs: number }): boolean {
  if (left.size !== right.size) return false;
  return left.items().every(([key, value]) => {
    const other = right.get(key);
    return other !== undefined && equal(value, other, budget);
  });
}

function equalRanges(left: PyRange, right: PyRange): boolean {
  if (left.length !== right.length || left.length === 0) return left.length === right.length;
  return left.start === right.start && (left.length === 1 || left.step === right.step);
}

function contains(container: Value, item: Value): boolean {
  if (typeof container === 'string') {
    if (typeof item === 'string') return container.includes(item);
    return raise('TypeError', `'in <str>' needs a str on its left, not '${typeName(item)}'`);
  }
  if (container instanceof PyDict) return container.get(item) !== undefined;
  if (isHostObject(container) && container.getItem !== undefined) return container.getItem(item) !== undefined;
  if (container instanceof PyRange) {
    const number = asNumber(item);
    if (number === null) return false;
    const index = (number - container.start) / container.step;
    return Number.isInteger(index) && index >= 0 && index < container.length;
  }
  for (const value of iterate(container)) {
    if (equal(value, item)) return true;
  }
  return false;
}

function ordered(operator: string, left: Value, right: Value): boolean {
  const order = compareOrder(left, right, { pairs: MAX_PAIRS });
  if (order === undefined) {
    const types = `'${typeName(left)}' and '${typeName(right)}'`;
    return raise('TypeError', `'${operator}' does not order ${types}`);
  }
  switch (operator) {
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    default:
      return order >= 0;
  }
}

/** Negative, 0 or positive as left sorts before, with or after right; NaN for a nan; undefined for unlike types. */
export function compareOrder(left: Value, right: Value, budget = { pairs: MAX_PAIRS }): number | undefined {
  if (--budget.pairs < 0) raise('MemoryError', 'these values are too large to compare');
  const x = asNumber(left);
  const y = asNumber(right);
  if (x !== null && y !== null) return x === y ? 0 : x < y ? -1 : x > y ? 1 : Number.NaN;
  if (typeof left === 'string' && typeof right === 'string') return left === right ? 0 : left < right ? -1 : 1;
  const bothLists = left instanceof PyList && right instanceof PyList;
  const bothTuples = left instanceof PyTuple && right instanceof PyTuple;
  if (!bothLists && !bothTuples) return undefined;
  const length = Math.min(left.items.length, right.items.length);
  for (let i = 0; i < length; i++) {
    const a = left.items[i] as Value;
    const b = right.items[i] as Value;
    if (!equal(a, b, budget)) return compareOrder(a, b, budget);
  }
  return left.items.length - right.items.length;
}
