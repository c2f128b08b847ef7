/** The grammar of a value with calls, indices and attributes: `a.b[c](d)`. */
import { type Position, Problem, raise, unsupported } from '../errors.js';
import { getAttribute } from '../library/attributes.js';
import { costOf, getItem, setItem } from '../values/items.js';
import { type CallArguments, typeName, type Value } from '../values/values.js';
import { AtomParser } from './atoms.js';
import type { Expression, Place, Run } from './run.js';

/** A part that follows a value: a call, an index or an attribute. */
interface Trailer {
  /** How messages name the result. */
  readonly what: string;
  /** Applies the trailer to a value. */
  apply(run: Run, value: Value): Value;
  /** `value[…]` on the left of an assignment. */
  readonly place?: (run: Run, value: Value) => Place;
}

export abstract class PrimaryParser extends AtomParser {
  protected override primary(): Expression {
    const base = this.atom();
    const { position } = base;
    const trailers: Trailer[] = [];
    for (let token = this.accept('.', '(', '['); token !== null; token = this.accept('.', '(', '[')) {
      if (token.kind === '(') trailers.push(this.call(position));
      else trailers.push(token.kind === '[' ? this.subscript(token.position) : this.attribute());
    }
    const last = trailers.at(-1);
    if (last === undefined) return base;
    const follow = (run: Run, list: readonly Trailer[]): Value =>
      list.reduce((value, trailer) => trailer.apply(run, value), base.evaluate(run));
    const evaluate = (run: Run): Value => follow(run, trailers);
    const { place: placeOf, what } = last;
    if (placeOf === undefined) return { position, what, isOperand: true, evaluate };
    const before = trailers.slice(0, -1);
    const place = (run: Run): Place => placeOf(run, follow(run, before));
    const assign = (run: Run, value: Value): void => place(run).set(value);
    return { position, isOperand: true, evaluate, assign, place };
  }

  private attribute(): Trailer {
    const { position, text } = this.expect('name');
    const apply = (run: Run, value: Value): Value => {
      run.position = position;
      // Mostly a call of the method follows. It costs less than the size of the value, because few methods visit all of
      // it, and append() is in most loops.
      run.step(costOf(value) >> 4);
      return getAttribute(value, text);
    };
    return { what: 'an attribute', apply };
  }

  private subscript(position: Position): Trailer {
    const index = this.index();
    const keyOf = (run: Run): Value => {
      const key = index.evaluate(run);
      run.position = position;
      run.charge(key);
      return key;
    };
    const apply = (run: Run, value: Value): Value => {
      if (typeof value === 'string') run.charge(value);
      return getItem(value, keyOf(run));
    };
    const place = (run: Run, value: Value): Place => {
      const key = keyOf(run);
      return { get: () => getItem(value, key), set: (item) => setItem(value, key, item) };
    };
    return { what: 'an item', apply, place };
  }

  /** The index behind a `[`, and the `]`. */
  private index(): Expression {
    const isSlice = (): boolean => this.token.text.startsWith(':');
    if (this.token.kind === ']') this.fail('an index');
    const value = isSlice() ? null : this.expression();
    if (value === null || isSlice()) {
      throw unsupported(this.token.position, 'a slice (write a list: [x[i] for i in range(…)])');
    }
    this.expect(']');
    return value;
  }

  /** A call of a value that begins at `position`. */
  private call(position: Position): Trailer {
    const evaluateArguments = this.callArguments();
    const apply = (run: Run, value: Value): Value => {
      const args = evaluateArguments(run);
      run.position = position;
      const result = run.call(value, args);
      run.position = position;
      run.charge(result);
      return result;
    };
    return { what: 'the result of a call', apply };
  }

  /** The arguments of a call, and the `)` behind them. */
  protected callArguments(): (run: Run) => CallArguments {
    const names = new Set<string>();
    const list = this.list(() => this.argument(names), ')');
    return (run) => {
      const positional: Value[] = [];
      const keyword = new Map<string, Value>();
      const add = (name: Value, value: Value): void => {
        if (typeof name !== 'string') raise('TypeError', `'**' needs a dict of names, not of '${typeName(name)}'`);
        else if (keyword.has(name)) raise('TypeError', `the argument '${name}' is given twice`);
        else keyword.set(name, value);
      };
      for (const { name, expression } of list) {
        const value = expression.evaluate(run);
        run.position = expression.position;
        run.charge(value);
        if (name === null) positional.push(value);
        else if (name !== '**') add(name, value);
        else if (value instanceof Map) for (const [key, item] of value) add(key, item);
        else raise('TypeError', `'**' needs a dict, not '${typeName(value)}'`);
      }
      return { positional, keyword };
    };
  }

  /** `value`, `name=value` or `**value`; `names` are those given so far. The name of the last is `**`. */
  private argument(names: Set<string>): { readonly name: string | null; readonly expression: Expression } {
    if (this.token.kind === '*') throw unsupported(this.token.position, "'*' before an argument");
    if (this.accept('**') !== null) return { name: '**', expression: this.expression() };
    const name = this.token.kind === 'name' && this.following === '=' ? this.take().text : null;
    if (name !== null) this.take();
    const expression = this.expression();
    const { position } = expression;
    if (name === null) {
      if (names.size > 0) throw new Problem('an argument without a name follows one with a name', position);
      this.refuseFor('a generator');
    } else {
      if (names.has(name)) throw new Problem(`the argument '${name}' is given twice`, position);
      names.add(name);
    }
    return { name, expression };
  }
}
