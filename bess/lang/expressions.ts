/** Evaluates expressions. */

import type * as Ast from './ast.js';
import type {
  Argument,
  Comprehension,
  Expression,
  FormattedPart,
  OperatorAndOperand,
  Primary,
  Trailer,
} from './ast.js';
import { getAttribute } from './attributes.js';
import { compare } from './compare.js';
import { isTruthy, repr, str, typeName } from './describe.js';
import { PyDict } from './dict.js';
import { BessScriptError, type Position } from './errors.js';
import { exception, raise } from './exceptions.js';
import { formatValue } from './format-spec.js';
import type { CallArguments } from './host.js';
import { collect, costOf, getItem, getSlice, iterate } from './iteration.js';
import { checkCount, checkText, MAX_STEPS } from './limits.js';
import { applyBinary, applySign } from './operators.js';
import { addTarget, Scope } from './scope.js';
import {
  ExceptionType,
  NativeFunction,
  PyIterator,
  PyList,
  PyTuple,
  ScriptException,
  ScriptFunction,
  type Value,
} from './values.js';

export abstract class ExpressionEvaluator {
  /**
   * Where the script is. Set before each operation that can fail, after its operands: an exception is raised here, and
   * whoever catches it finds the place without a handler around every node.
   */
  protected position: Position = { line: 1, column: 1 };
  private steps = 0;

  constructor(
    protected readonly file: string,
    protected readonly builtins: ReadonlyMap<string, Value>,
  ) {}

  /** Calls a function of the script. */
  protected abstract callFunction(target: ScriptFunction, args: CallArguments): Value;
  /** BESS's sugar, which needs the host. */
  protected abstract evaluateSugar(node: Ast.Variable | Ast.Creation | Ast.Pipeline, scope: Scope): Value;
  /** What is added to the error for a name that is not defined. */
  protected abstract hint(name: string): string;
  /** Binds a target of a comprehension. */
  protected abstract assign(target: Ast.Target, value: Value, scope: Scope): void;

  /** Counts what the script does; one that does too much ends, whatever it catches. */
  protected step(cost = 1): void {
    this.steps += cost;
    if (this.steps > MAX_STEPS) {
      const text = `the script ran for more than ${MAX_STEPS} steps: a loop without an end?`;
      throw new BessScriptError(this.file, this.position, 'runtime', text);
    }
  }

  /** Counts an operation on a value, by its size. */
  protected charge(value: Value): void {
    this.step(costOf(value));
  }

  protected evaluate(node: Expression, scope: Scope): Value {
    switch (node.kind) {
      case 'constant':
        return node.value;
      case 'name':
        this.position = node.position;
        return this.lookup(node.name, scope);
      case 'enclosed':
        return this.evaluate(node.value, scope);
      case 'primary':
        return this.follow(node, node.trailers, scope);
      case 'arithmetic':
        return this.arithmetic(node, scope);
      case 'comparison':
        return this.comparison(node, scope);
      case 'power':
        return this.power(node, scope);
      case 'logical':
        return this.logical(node, scope);
      case 'not':
        return isTruthy(this.evaluate(node.operand, scope)) !== node.negate;
      case 'conditional':
        return this.conditional(node, scope);
      case 'sequence': {
        const items = node.items.map((item) => this.evaluate(item, scope));
        return node.type === 'list' ? new PyList(items) : new PyTuple(items);
      }
      case 'dictionary':
        return this.dictionary(node, scope);
      case 'comprehension':
        return this.comprehension(node, scope);
      case 'formatted':
        this.position = node.position;
        return this.formatted(node.parts, scope);
      case 'variable':
      case 'creation':
      case 'pipeline':
        return this.evaluateSugar(node, scope);
    }
  }

  private lookup(name: string, scope: Scope): Value {
    const value = scope.lookup(name);
    // Not `??`: a variable may be None.
    const found = value === undefined ? this.builtins.get(name) : value;
    return found === undefined ? raise('NameError', `name '${name}' is not defined${this.hint(name)}`) : found;
  }

  /** A value and the first of its trailers. */
  protected follow(node: Primary, trailers: readonly Trailer[], scope: Scope): Value {
    let value = this.evaluate(node.base, scope);
    for (const trailer of trailers) value = this.applyTrailer(value, trailer, node.position, scope);
    return value;
  }

  private applyTrailer(value: Value, trailer: Trailer, start: Position, scope: Scope): Value {
    switch (trailer.kind) {
      case 'attribute':
        this.position = trailer.position;
        // The call of a method follows, mostly; few go through all of the value, and append() is in most loops.
        this.step(costOf(value) >> 4);
        return getAttribute(value, trailer.name);
      case 'subscript': {
        const index = this.evaluate(trailer.index, scope);
        this.position = trailer.position;
        if (typeof value === 'string') this.charge(value);
        this.charge(index);
        return getItem(value, index);
      }
      case 'slice': {
        const bounds = trailer.bounds.map((bound) => (bound === null ? null : this.evaluate(bound, scope)));
        this.position = trailer.position;
        this.charge(value);
        return getSlice(value, bounds);
      }
      case 'call': {
        const args = this.evaluateArguments(trailer.arguments, scope);
        this.position = start;
        const result = this.call(value, args);
        this.position = start;
        this.charge(result);
        return result;
      }
    }
  }

  protected evaluateArguments(list: readonly Argument[], scope: Scope): CallArguments {
    const positional: Value[] = [];
    const keyword = new Map<string, Value>();
    for (const argument of list) {
      const value = this.evaluate(argument.value, scope);
      this.position = argument.value.position;
      this.charge(value);
      if (argument.kind === 'positional') positional.push(value);
      else if (argument.kind === 'keyword') this.addKeyword(keyword, argument.name, value);
      else if (argument.kind === 'list') for (const item of collect(value)) positional.push(item);
      else this.addKeywords(keyword, value);
      checkCount(positional.length);
    }
    return { positional, keyword };
  }

  private addKeywords(keyword: Map<string, Value>, value: Value): void {
    if (!(value instanceof PyDict)) throw exception('TypeError', `'**' needs a dict, not '${typeName(value)}'`);
    for (const [key, item] of value.items()) {
      if (typeof key !== 'string')
        throw exception('TypeError', `'**' needs a dict of names, not of '${typeName(key)}'`);
      this.addKeyword(keyword, key, item);
    }
  }

  private addKeyword(keyword: Map<string, Value>, name: string, value: Value): void {
    if (keyword.has(name)) raise('TypeError', `the argument '${name}' is given twice`);
    keyword.set(name, value);
  }

  protected call(target: Value, args: CallArguments): Value {
    this.step();
    if (target instanceof NativeFunction) return target.call(args);
    if (target instanceof ScriptFunction) return this.callFunction(target, args);
    if (target instanceof ExceptionType) return instantiate(target, args.positional);
    return raise('TypeError', `'${typeName(target)}' is nothing to call`);
  }

  private arithmetic(node: Ast.Arithmetic, scope: Scope): Value {
    let value = this.evaluate(node.first, scope);
    for (const { operator, operand, position } of node.rest) {
      const right = this.evaluate(operand, scope);
      this.position = position;
      value = applyBinary(operator, value, right);
      this.charge(value);
    }
    return value;
  }

  private comparison(node: Ast.Comparison, scope: Scope): boolean {
    let left = this.evaluate(node.first, scope);
    return node.rest.every(({ operator, operand, position }: OperatorAndOperand) => {
      const right = this.evaluate(operand, scope);
      this.position = position;
      this.charge(left);
      this.charge(right);
      const holds = compare(operator, left, right);
      left = right;
      return holds;
    });
  }

  /** Operands from the left, as Python evaluates them; then `**` from the right. */
  private power(node: Ast.Power, scope: Scope): Value {
    const values = node.operands.map((operand) => this.evaluate(operand.value, scope));
    this.position = node.position;
    let result: Value | undefined;
    for (let i = values.length - 1; i >= 0; i--) {
      const value = values[i] as Value;
      result = result === undefined ? value : applyBinary('**', value, result);
      const signs = node.operands[i]?.signs ?? [];
      for (let s = signs.length - 1; s >= 0; s--) result = applySign(signs[s] as string, result);
    }
    return result as Value;
  }

  private logical(node: Ast.Logical, scope: Scope): Value {
    let value: Value = null;
    for (const operand of node.operands) {
      value = this.evaluate(operand, scope);
      if (isTruthy(value) === (node.operator === 'or')) break;
    }
    return value;
  }

  private conditional(node: Ast.Conditional, scope: Scope): Value {
    for (const { condition, value } of node.branches) {
      if (isTruthy(this.evaluate(condition, scope))) return this.evaluate(value, scope);
    }
    return this.evaluate(node.otherwise, scope);
  }

  private dictionary(node: Ast.Dictionary, scope: Scope): PyDict {
    const dict = new PyDict();
    for (const entry of node.entries) {
      const key = this.evaluate(entry.key, scope);
      const value = this.evaluate(entry.value, scope);
      this.position = entry.key.position;
      dict.set(key, value);
    }
    return dict;
  }

  /** A generator too is made at once: what it goes through does not change before it is used, in scripts like these. */
  private comprehension(node: Comprehension, scope: Scope): Value {
    const names = new Set<string>();
    for (const clause of node.clauses) if (clause.kind === 'for') addTarget(clause.target, names);
    const inner = new Scope(names, scope);
    const items: Value[] = [];
    const dict = new PyDict();
    const run = (index: number): void => {
      const clause = node.clauses[index];
      if (clause === undefined) {
        const element = this.evaluate(node.element, inner);
        if (node.value === null) items.push(element);
        else dict.set(element, this.evaluate(node.value, inner));
        checkCount(items.length + dict.size);
      } else if (clause.kind === 'if') {
        if (isTruthy(this.evaluate(clause.condition, inner))) run(index + 1);
      } else {
        // The first list is looked up outside, so [x for x in x] works.
        const values = this.evaluate(clause.iterable, index === 0 ? scope : inner);
        this.position = clause.iterable.position;
        for (const value of iterate(values)) {
          this.step();
          this.assign(clause.target, value, inner);
          run(index + 1);
        }
      }
    };
    run(0);
    if (node.type === 'dict') return dict;
    return node.type === 'list' ? new PyList(items) : new PyIterator('generator', items);
  }

  private formatted(parts: readonly FormattedPart[], scope: Scope): string {
    let text = '';
    for (const part of parts) {
      if (typeof part === 'string') {
        text += part;
        continue;
      }
      const value = this.evaluate(part.expression, scope);
      const spec = this.formatted(part.spec, scope);
      this.position = part.expression.position;
      const shown = part.conversion === null ? value : part.conversion === 'r' ? repr(value) : str(value);
      text = checkText(text + formatValue(shown, spec));
    }
    this.charge(text);
    return text;
  }
}

/** `ValueError('text')`. */
function instantiate(type: ExceptionType, args: readonly Value[]): ScriptException {
  const [first] = args;
  if (first === undefined) return new ScriptException(type, '');
  if (args.length > 1) return new ScriptException(type, repr(new PyTuple(args)));
  return new ScriptException(type, type.name === 'KeyError' ? repr(first) : str(first));
}
