/**
 * BESS's additions to Python: `$NAME!default`, `name::Class(…)` and `a:1 -> 0:b`. BESS's bessctl/sugar.py translates
 * them to functions of bessctl/commands.py and the operators of pybess/module.py.
 */
import { type Position, Problem, raise } from '../errors.js';
import { asInt } from '../values/checks.js';
import { repr, str } from '../values/text.js';
import { type HostObject, isHostObject, NativeFunction, PyTuple, typeName, type Value } from '../values/values.js';
import { PrimaryParser } from './primary.js';
import type { Expression, Run } from './run.js';

/**
 * One stage of `a:1 -> 2:b:3 -> c`: the one to three expressions between the colons. Which one is the module is known
 * only at run time, because in `-> x:y ->` it can be either: BESS translates `x:y` to a product, and the types decide.
 */
interface Stage {
  readonly parts: readonly Expression[];
  /** Place of the arrow before the stage; of the stage itself if it is the first. */
  readonly position: Position;
}

/** A module between its gates. */
type Link = Readonly<{ igate: number; module: HostObject; ogate: number }>;

export abstract class SugarParser extends PrimaryParser {
  /** `$NAME`, `$NAME!'text'`, `$NAME!other`, `$NAME!(…)`: the variable, or if it is not set, what follows the `!`. */
  protected override variable(): Expression {
    const { position, text: what } = this.take();
    const name = what.slice(1);
    const fallback = this.accept('!') === null ? null : this.fallback();
    const evaluate = (run: Run): Value => {
      // In BESS the fallback is an argument of a call, so it is evaluated even if it is not needed.
      const otherwise = fallback === null ? null : fallback.evaluate(run);
      run.position = position;
      const text = run.host.variable(name);
      if (text !== undefined) return text;
      if (otherwise === null) return raise('ConfError', `the variable ${what} must be set`);
      const shown = str(otherwise);
      run.charge(shown);
      run.host.notice?.(`${what} is not set: its default is ${shown}`);
      return otherwise;
    };
    return { position, what, evaluate };
  }

  private fallback(): Expression {
    if (!['string', 'name', '('].includes(this.token.kind)) this.fail("a string, a name or '(' after '!'");
    return this.atom();
  }

  /** `a::Class(…)`, `a, b::Class(…)`: makes the modules and binds their names. `layout.ts` has found the `::`. */
  protected override creation(): Expression {
    const { position, text } = this.take();
    const names = [text];
    while (this.accept(',') !== null) names.push(this.expect('name').text);
    this.expect('::');
    const className = this.expect('name').text;
    this.expect('(');
    const evaluateArguments = this.callArguments();
    const evaluate = (run: Run): Value => {
      const args = evaluateArguments(run);
      run.position = position;
      const taken = names.find((name) => run.names.has(name));
      if (taken !== undefined) raise('ConfError', `the name ${taken} is taken: no module can have it`);
      const creator = run.names.get(className);
      if (!(creator instanceof NativeFunction)) {
        return raise('ConfError', `there is no module class ${className}${run.hint(className)}`);
      }
      const modules = names.map((name) => {
        if (args.keyword.has('name')) raise('TypeError', `the module ${name} is given a second name`);
        run.step();
        const module = run.host.createNamed(creator.name, name, args);
        run.names.set(name, module);
        return module;
      });
      return modules.length === 1 ? (modules[0] as Value) : new PyTuple(modules);
    };
    return { position, what: 'a module', isOperand: true, evaluate };
  }

  /** Modules and arrows: `a:1 -> 2:b:3 -> c`. The value is the last module. Without an arrow, just an expression. */
  protected pipeline(): Expression {
    const stages = [this.stage(this.token.position)];
    for (let arrow = this.accept('->'); arrow !== null; arrow = this.accept('->')) {
      stages.push(this.stage(arrow.position));
    }
    const [only, gate] = (stages[0] as Stage).parts as [Expression, Expression?];
    if (stages.length === 1) {
      if (gate === undefined) return only;
      throw new Problem("expected '->' after the output gate (as in a:1 -> b)", gate.position);
    }
    for (const [index, stage] of stages.entries()) checkStage(stage, index === 0, index === stages.length - 1);
    // From left to right; each pair is connected as soon as its second module exists.
    const evaluate = (run: Run): Value => {
      let previous: Link | null = null;
      for (const [index, stage] of stages.entries()) {
        const link = linkOf(stage, index === 0, index === stages.length - 1, run);
        run.position = stage.position;
        run.step();
        if (previous !== null) run.host.connect(previous.module, previous.ogate, link.module, link.igate);
        previous = link;
      }
      return (previous as Link | null)?.module ?? null;
    };
    return { position: only.position, what: 'a module', evaluate };
  }

  private stage(position: Position): Stage {
    const parts = [this.expression()];
    while (this.accept(':') !== null) parts.push(this.expression());
    return { parts, position };
  }
}

function checkStage({ parts }: Stage, isFirst: boolean, isLast: boolean): void {
  const [first, second, third, fourth] = parts;
  const refuse = (part: Expression | undefined, text: string): never => {
    throw new Problem(text, (part as Expression).position);
  };
  if (isFirst && parts.length > 2) refuse(first, "an input gate needs '->' before it (as in a -> 1:b)");
  if (parts.length > 3) refuse(fourth, "expected '->' but found a third gate");
  if (isLast && parts.length > 2) refuse(third, "an output gate needs '->' after it (as in a:1 -> b)");
  // A single part is the module. With more parts, any expression is accepted: `linkOf` finds the module at run time.
  if (second !== undefined || first?.isOperand === true) return;
  // BESS translates the arrow to a `+`, and operators that bind looser than `+` would split the expression.
  refuse(first, "expected a module next to '->' (put an expression in parentheses)");
}

function linkOf({ parts }: Stage, isFirst: boolean, isLast: boolean, run: Run): Link {
  const values = parts.map((part) => part.evaluate(run));
  const at = (index: number): Value => {
    run.position = (parts[index] as Expression).position;
    return values[index] as Value;
  };
  if (values.length === 1) return { igate: 0, module: requireModule(at(0)), ogate: 0 };
  // A gate behind a module is an output gate, a gate before one an input gate.
  const isModuleFirst = values.length === 2 && (isFirst || isHostObject(values[0] as Value));
  if (!isModuleFirst) {
    const [igate, module] = [requireGate(at(0)), requireModule(at(1))];
    return { igate, module, ogate: values.length === 3 ? requireGate(at(2)) : 0 };
  }
  const link = { igate: 0, module: requireModule(at(0)), ogate: requireGate(at(1)) };
  return isLast ? raise('TypeError', "an output gate needs '->' after it (as in a:1 -> b)") : link;
}

function requireModule(value: Value): HostObject {
  return isHostObject(value) ? value : raise('TypeError', `'->' connects modules, not '${typeName(value)}'`);
}

function requireGate(value: Value): number {
  return asInt(value) ?? raise('TypeError', `a gate is an int, not the '${typeName(value)}' ${repr(value)}`);
}
