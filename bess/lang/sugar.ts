/**
 * What BESS adds to Python: `$NAME!default`, `name::Class(…)` and `a:1 -> 0:b` (bessctl/sugar.py, and what it makes of
 * them: `__bess_env__`, `__bess_module__` in bessctl/commands.py, the operators of pybess/module.py).
 */
import type * as Ast from './ast.js';
import { repr, str, typeName } from './describe.js';
import type { Position } from './errors.js';
import { raise } from './exceptions.js';
import { ExpressionEvaluator } from './expressions.js';
import type { CallArguments, HostObject, ScriptHost } from './host.js';
import { asInt } from './operators.js';
import type { Scope } from './scope.js';
import { isHostObject, NativeFunction, PyTuple, type Value } from './values.js';

/** A module between its gates. */
interface Link {
  readonly module: HostObject;
  readonly igate: number;
  readonly ogate: number;
}

export abstract class SugarEvaluator extends ExpressionEvaluator {
  constructor(
    file: string,
    builtins: ReadonlyMap<string, Value>,
    protected readonly host: ScriptHost,
    protected readonly globals: Scope,
  ) {
    super(file, builtins);
  }

  protected override hint(name: string): string {
    return this.host.unknownName?.(name) ?? '';
  }

  protected override evaluateSugar(node: Ast.Variable | Ast.Creation | Ast.Pipeline, scope: Scope): Value {
    switch (node.kind) {
      case 'variable':
        return this.variable(node, scope);
      case 'creation':
        return this.creation(node, scope);
      case 'pipeline':
        return this.pipeline(node, scope);
    }
  }

  /** The variable's text; without one the default, whatever its type. */
  private variable(node: Ast.Variable, scope: Scope): Value {
    // The default is an argument of a call in BESS: evaluated even when it is not needed.
    const fallback = node.fallback === null ? null : this.evaluate(node.fallback, scope);
    this.position = node.position;
    const text = this.host.variable(node.name);
    if (text !== undefined) return text;
    if (fallback === null) return raise('ConfError', `the variable $${node.name} must be set`);
    this.host.notice?.(`$${node.name} is not set: its default is ${str(fallback)}`);
    return fallback;
  }

  /** Makes the modules and binds their names, which are global even in a function. */
  private creation(node: Ast.Creation, scope: Scope): Value {
    const args = this.evaluateArguments(node.arguments, scope);
    this.position = node.position;
    for (const name of node.names) {
      if (this.globals.has(name)) raise('ConfError', `the name ${name} is taken: no module can be called so`);
      if (scope !== this.globals && scope.has(name)) {
        raise('ConfError', `the module ${name} would be hidden by the function's variable`);
      }
    }
    const creator = this.globals.has(node.className) ? this.globals.lookup(node.className) : undefined;
    if (creator === undefined)
      return raise('ConfError', `there is no module class ${node.className}${this.hint(node.className)}`);
    const modules = node.names.map((name) => {
      this.position = node.position;
      const module = this.create(creator, name, args);
      this.globals.assign(name, module);
      return module;
    });
    return modules.length === 1 ? (modules[0] as Value) : new PyTuple(modules);
  }

  private create(creator: Value, name: string, args: CallArguments): Value {
    if (args.keyword.has('name')) raise('TypeError', `the module ${name} is given a second name`);
    if (creator instanceof NativeFunction) {
      this.step();
      return this.host.createNamed(creator.name, name, args);
    }
    return this.call(creator, { positional: args.positional, keyword: new Map([...args.keyword, ['name', name]]) });
  }

  /** Connects from left to right, each pair as soon as its second module is there. */
  private pipeline(node: Ast.Pipeline, scope: Scope): Value {
    let previous: Link | null = null;
    for (const [index, stage] of node.stages.entries()) {
      const link: Link = this.link(stage, index === 0, index === node.stages.length - 1, scope);
      if (previous !== null) this.connect(previous, link, stage.position);
      previous = link;
    }
    return previous === null ? null : previous.module;
  }

  private link({ parts }: Ast.Stage, isFirst: boolean, isLast: boolean, scope: Scope): Link {
    const values = parts.map((part) => this.evaluate(part, scope));
    const gate = (index: number): number => this.gate(values[index] as Value, parts[index] as Ast.Expression);
    const module = (index: number): HostObject => this.module(values[index] as Value, parts[index] as Ast.Expression);
    if (values.length === 1) return { igate: 0, module: module(0), ogate: 0 };
    if (values.length === 3) return { igate: gate(0), module: module(1), ogate: gate(2) };
    // Of `x:y` BESS makes x * y: an output gate behind a module, an input gate before one.
    if (!isFirst && !isHostObject(values[0] as Value)) return { igate: gate(0), module: module(1), ogate: 0 };
    const link = { igate: 0, module: module(0), ogate: gate(1) };
    return isLast ? raise('TypeError', "an output gate needs '->' after it (as in a:1 -> b)") : link;
  }

  private connect(from: Link, to: Link, arrow: Position): void {
    this.position = arrow;
    this.step();
    this.host.connect(from.module, from.ogate, to.module, to.igate);
  }

  private module(value: Value, { position }: Ast.Expression): HostObject {
    this.position = position;
    if (!isHostObject(value)) return raise('TypeError', `'->' connects modules, not '${typeName(value)}'`);
    return value;
  }

  private gate(value: Value, { position }: Ast.Expression): number {
    this.position = position;
    const gate = asInt(value);
    return gate === null ? raise('TypeError', `a gate is an int, not the '${typeName(value)}' ${repr(value)}`) : gate;
  }
}
