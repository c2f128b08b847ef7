/** The grammar of the smallest expressions: names, literals, and everything in brackets. */
import { type Position, Problem, raise, unsupported } from '../errors.js';
import { decodeInt, decodeString, type RawField } from '../syntax/strings.js';
import type { Token } from '../syntax/tokens.js';
import { checkCount, checkText } from '../values/checks.js';
import { collect, isTruthy, iterate, setItem } from '../values/items.js';
import { formatField, repr, str } from '../values/text.js';
import { PyTuple, type Value } from '../values/values.js';
import { TokenReader } from './reader.js';
import { type Assign, computed, type Expression, type Run } from './run.js';

/** The tokens with which an expression can begin. */
const BEGINS = new Set('name created number string variable problem ( [ { + - ~ not None True False'.split(' '));

/** `for target in iterable if condition if condition` in a comprehension. */
interface Clause {
  readonly assign: Assign;
  readonly iterable: Expression;
  readonly conditions: readonly Expression[];
}

/** Adds the items that the rest of a comprehension gives. */
type AddItems = (run: Run, items: Value[]) => void;

export abstract class AtomParser extends TokenReader {
  /** The names that the comprehension assigns so far; null outside of one. */
  private assigned: Set<string> | null = null;

  constructor(
    private readonly source: string,
    tokens: readonly Token[],
  ) {
    super(tokens);
  }

  /** An expression that may have arrows and commas. */
  protected abstract expressionList(): Expression;
  /** An expression without arrows and commas. */
  protected abstract expression(): Expression;
  /** An expression without arrows, commas and `if`. */
  protected abstract operation(): Expression;
  /** An atom and the calls, indices and attributes that follow it. */
  protected abstract primary(): Expression;
  /** `a::Class(…)`. */
  protected abstract creation(): Expression;
  /** `$NAME`. */
  protected abstract variable(): Expression;

  /** Whether an expression begins at the next token. */
  protected beginsExpression(): boolean {
    return BEGINS.has(this.token.kind);
  }

  protected atom(): Expression {
    const { kind, position } = this.token;
    switch (kind) {
      case 'None':
      case 'True':
      case 'False':
        this.take();
        return constant(position, kind === 'None' ? null : kind === 'True');
      case 'name':
        return nameOf(position, this.take().text);
      case 'number':
        return constant(position, decodeInt(this.take()));
      case 'string':
        return this.strings();
      case 'created':
        return this.creation();
      case 'variable':
        return this.variable();
      case '(':
        return this.group();
      case '[':
        return this.listDisplay();
      case '{':
        return this.dictionary();
      default:
        return this.fail('an expression');
    }
  }

  /** `a` or `a, b`. */
  protected tupleOf(item: () => Expression): Expression {
    const first = item();
    if (this.token.kind !== ',') return first;
    const items = [first];
    while (this.accept(',') !== null && this.beginsExpression()) items.push(item());
    return sequence(first.position, 'a tuple', items);
  }

  /** The target of a `for`. It has no operators, because `in` would be taken for one. */
  protected forTarget(): Assign {
    return this.toTarget(this.tupleOf(() => this.primary()));
  }

  /** Turns an expression into the target of an assignment: a name, `a[i]`, or a list of such targets. */
  protected toTarget({ assign, items, name, position, what }: Expression): Assign {
    if (name !== undefined) this.assigned?.add(name);
    if (assign !== undefined) return assign;
    if (items !== undefined) return unpack(items.map((item) => this.toTarget(item)));
    throw new Problem(`cannot assign to ${what ?? 'an expression'}`, position);
  }

  /** One string literal, or several in a row, which make one string. */
  protected strings(): Expression {
    const { position } = this.token;
    const parts: (string | RawField)[] = [];
    for (let token = this.accept('string'); token !== null; token = this.accept('string')) {
      parts.push(...decodeString(this.source, token));
    }
    if (parts.every((part) => typeof part === 'string')) return constant(position, parts.join(''));
    const pieces = parts.map((part) => (typeof part === 'string' ? () => part : this.field(part)));
    const evaluate = (run: Run): Value => {
      const text = pieces.reduce((before, piece) => checkText(before + piece(run)), '');
      run.charge(text);
      return text;
    };
    return { position, what: 'a constant', evaluate };
  }

  /** A field of an f-string. */
  private field({ tokens, conversion, specification }: RawField): (run: Run) => string {
    const value = this.within(tokens, () => this.expression());
    return (run) => {
      const found = value.evaluate(run);
      run.position = value.position;
      return formatField(conversion === null ? found : conversion === 'r' ? repr(found) : str(found), specification);
    };
  }

  /** `()`, `(a)`, `(a, b)`, `(a -> b)`. */
  private group(): Expression {
    const { position } = this.take();
    if (this.accept(')') !== null) return sequence(position, 'a tuple', []);
    const value = this.expressionList();
    this.refuseFor('a generator');
    this.expect(')');
    // Anything in parentheses can be an operand of `->`.
    return { ...value, position, isOperand: true };
  }

  /** `[a, b]` or `[a for …]`. */
  private listDisplay(): Expression {
    const { position } = this.take();
    let isFirst = true;
    let only: Expression | null = null;
    const items = this.list(() => {
      const { result: item, cost } = this.costed(() => this.expression());
      if (isFirst && this.token.kind === 'for') only = this.comprehension(position, item, cost);
      isFirst = false;
      return item;
    }, ']');
    return only ?? sequence(position, 'a list', items);
  }

  /** The rest of a comprehension: `for x in y if z for …`, up to the `]`. */
  private comprehension(position: Position, element: Expression, elementCost: number): Expression {
    const outer = this.assigned;
    const names = new Set<string>();
    this.assigned = names;
    const { result: clauses, cost } = this.costed(() => this.clauses());
    this.assigned = outer;
    if (this.token.kind !== ']') this.fail("']'");
    const addItem: AddItems = (run, items) => {
      items.push(element.evaluate(run));
      checkCount(items.length);
    };
    const addItems = clauses.reduceRight((add, clause) => loop(clause, 1 + elementCost + cost, add), addItem);
    return computed(position, (run) => {
      const hidden = Array.from(names, (name) => [name, run.names.get(name)] as const);
      const items: Value[] = [];
      addItems(run, items);
      // The names of a comprehension are not visible after it.
      for (const [name, value] of hidden) {
        if (value === undefined) run.names.delete(name);
        else run.names.set(name, value);
      }
      return items;
    });
  }

  private clauses(): Clause[] {
    const clauses: Clause[] = [];
    while (this.accept('for') !== null) {
      const assign = this.forTarget();
      this.expect('in');
      const iterable = this.operation();
      const conditions: Expression[] = [];
      while (this.accept('if') !== null) conditions.push(this.operation());
      clauses.push({ assign, iterable, conditions });
    }
    return clauses;
  }

  /** `{key: value}`. */
  private dictionary(): Expression {
    const { position } = this.take();
    const entries = this.list(() => {
      const key = this.expression();
      this.expect(':');
      const value = this.expression();
      this.refuseFor('a dict comprehension');
      return { key, value };
    }, '}');
    return computed(position, (run) => {
      const dict = new Map<Value, Value>();
      for (const { key, value } of entries) {
        const [name, item] = [key.evaluate(run), value.evaluate(run)];
        run.position = key.position;
        setItem(dict, name, item);
      }
      return dict;
    });
  }

  protected refuseFor(what: string): void {
    if (this.token.kind === 'for') throw unsupported(this.token.position, `${what} (write a list, or a loop)`);
  }
}

function constant(position: Position, value: Value): Expression {
  return { position, what: 'a constant', evaluate: () => value };
}

function nameOf(position: Position, name: string): Expression {
  const evaluate = (run: Run): Value => {
    run.position = position;
    return run.lookUp(name);
  };
  return { position, name, isOperand: true, evaluate, assign: (run, value) => run.names.set(name, value) };
}

function sequence(position: Position, what: 'a list' | 'a tuple', items: readonly Expression[]): Expression {
  const all = (run: Run): Value[] => items.map((item) => item.evaluate(run));
  return { position, what, items, evaluate: what === 'a list' ? all : (run) => new PyTuple(all(run)) };
}

/** `a, (b, c)` on the left of an assignment. */
function unpack(targets: readonly Assign[]): Assign {
  return (run, value) => {
    run.charge(value);
    const { length } = targets;
    const values = collect(value);
    if (values.length !== length) {
      raise('ValueError', `${length} value(s) expected for the names on the left, but there are ${values.length}`);
    }
    for (const [i, assign] of targets.entries()) assign(run, values[i] as Value);
  };
}

/** Runs a clause of a comprehension; `add` is what follows it. */
function loop({ assign, iterable, conditions }: Clause, costPerTurn: number, add: AddItems): AddItems {
  return (run, items) => {
    const values = iterable.evaluate(run);
    run.position = iterable.position;
    for (const value of iterate(values)) {
      run.step(costPerTurn);
      assign(run, value);
      if (conditions.every((condition) => isTruthy(condition.evaluate(run)))) add(run, items);
    }
  };
}
