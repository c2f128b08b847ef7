/** Runs the statements of a script. */
import { bindArguments } from './arguments.js';
import type { ConditionalSuite, FunctionDefinition, Script, Statement, Target } from './ast.js';
import { getAttribute } from './attributes.js';
import { BUILTIN_FUNCTIONS, createPrint, type Printer } from './builtins.js';
import { extend } from './container-methods.js';
import { isTruthy, str, typeName } from './describe.js';
import { BessScriptError } from './errors.js';
import { BESS_ERROR, EXCEPTION_TYPES, fromHost, raise } from './exceptions.js';
import type { CallArguments, ScriptHost } from './host.js';
import { collect, getItem, iterate, setItem } from './iteration.js';
import { MAX_CALLS } from './limits.js';
import { applyBinary } from './operators.js';
import { createOsModule } from './os-module.js';
import { parse } from './parse.js';
import { assignedNames, boundName, Scope } from './scope.js';
import { SugarEvaluator } from './sugar.js';
import { ExceptionType, PyList, PyTuple, ScriptException, ScriptFunction, type Value } from './values.js';

/** Steps that an exception costs: JavaScript's errors are slow to make. */
const EXCEPTION_COST = 32;

/** How a statement ended. */
type Completion = 'next' | 'break' | 'continue' | 'return';

/**
 * Parses a script and runs it against a host.
 *
 * @throws BessScriptError for a script that is not in the language ('syntax', and nothing of it has run), and for what
 * fails while it runs ('runtime'); what the host has made until then is the caller's to take back.
 */
export function runScript(source: string, file: string, host: ScriptHost): void {
  const script = parse(source, file);
  const printer = createPrint((line) => host.print(line));
  new Interpreter(script, host, printer).run();
}

class Interpreter extends SugarEvaluator {
  private readonly os: Value;
  /** Functions of the script that are running in each other. */
  private calls = 0;
  /** Of the last `return`. */
  private returned: Value = null;
  /** What the innermost `except` has caught, for a bare `raise`. */
  private caught: ScriptException | null = null;

  constructor(
    private readonly script: Script,
    host: ScriptHost,
    private readonly printer: Printer,
  ) {
    const builtins = new Map<string, Value>([...BUILTIN_FUNCTIONS, ...EXCEPTION_TYPES, ['print', printer.print]]);
    super(script.file, builtins, host, new Scope(null, null));
    for (const [name, value] of host.globals) this.globals.assign(name, value);
    this.globals.assign('__file__', script.file);
    this.os = createOsModule(host);
  }

  run(): void {
    try {
      this.execute(this.script.body, this.globals);
      this.printer.flush();
    } catch (error) {
      if (error instanceof BessScriptError) throw error;
      const exception = this.located(error);
      const { type, message, code, cause } = exception;
      const text = type === BESS_ERROR ? message : message === '' ? type.name : `${type.name}: ${message}`;
      throw new BessScriptError(this.file, exception.position ?? this.position, 'runtime', text, code, cause);
    }
  }

  /** The error as an exception of the script that knows where it was raised. */
  private located(error: unknown): ScriptException {
    const exception = fromHost(error, false);
    exception.position ??= this.position;
    return exception;
  }

  private execute(body: readonly Statement[], scope: Scope): Completion {
    for (const statement of body) {
      const completion = this.executeOne(statement, scope);
      if (completion !== 'next') return completion;
    }
    return 'next';
  }

  private executeOne(statement: Statement, scope: Scope): Completion {
    this.position = statement.position;
    this.step();
    switch (statement.kind) {
      case 'expression':
        this.evaluate(statement.value, scope);
        return 'next';
      case 'assign': {
        const value = this.evaluate(statement.value, scope);
        for (const target of statement.targets) this.assign(target, value, scope);
        return 'next';
      }
      case 'augmented':
        this.augment(statement.target, statement.operator, () => this.evaluate(statement.value, scope), scope);
        return 'next';
      case 'pass':
        return 'next';
      case 'break':
      case 'continue':
        return statement.kind;
      case 'return':
        this.returned = statement.value === null ? null : this.evaluate(statement.value, scope);
        return 'return';
      case 'if':
        return this.executeIf(statement.branches, statement.otherwise, scope);
      case 'while':
        return this.executeWhile(statement, scope);
      case 'for':
        return this.executeFor(statement.target, this.evaluate(statement.iterable, scope), statement.body, scope);
      case 'def':
        scope.assign(statement.name, this.define(statement, scope));
        return 'next';
      case 'try':
        return this.executeTry(statement, scope);
      case 'import':
        for (const module of statement.modules) scope.assign(boundName(module), this.importModule(module));
        return 'next';
      case 'assert':
        if (isTruthy(this.evaluate(statement.condition, scope))) return 'next';
        return this.failAssertion(statement, scope);
      case 'raise': {
        const value = statement.value === null ? null : this.evaluate(statement.value, scope);
        this.position = statement.position;
        return this.raise(value);
      }
    }
  }

  private executeIf(branches: readonly ConditionalSuite[], otherwise: readonly Statement[], scope: Scope): Completion {
    for (const { condition, body } of branches) {
      if (isTruthy(this.evaluate(condition, scope))) return this.execute(body, scope);
    }
    return this.execute(otherwise, scope);
  }

  private executeWhile(loop: ConditionalSuite, scope: Scope): Completion {
    while (isTruthy(this.evaluate(loop.condition, scope))) {
      this.step();
      const completion = this.execute(loop.body, scope);
      if (completion === 'break') break;
      if (completion === 'return') return completion;
    }
    return 'next';
  }

  private executeFor(target: Target, values: Value, body: readonly Statement[], scope: Scope): Completion {
    for (const value of iterate(values)) {
      this.step();
      this.assign(target, value, scope);
      const completion = this.execute(body, scope);
      if (completion === 'break') break;
      if (completion === 'return') return completion;
    }
    return 'next';
  }

  private executeTry(statement: Extract<Statement, { kind: 'try' }>, scope: Scope): Completion {
    try {
      return this.execute(statement.body, scope);
    } catch (error) {
      // The limit on steps ends the script whatever it catches.
      if (error instanceof BessScriptError) throw error;
      const exception = this.located(error);
      this.step(EXCEPTION_COST);
      const handler = statement.handlers.find(
        ({ type }) => type === null || this.catches(this.evaluate(type, scope), exception),
      );
      if (handler === undefined) throw exception;
      const outer = this.caught;
      this.caught = exception;
      if (handler.name !== null) scope.assign(handler.name, exception);
      try {
        return this.execute(handler.body, scope);
      } finally {
        this.caught = outer;
        if (handler.name !== null) scope.remove(handler.name);
      }
    }
  }

  private failAssertion(statement: Extract<Statement, { kind: 'assert' }>, scope: Scope): never {
    const message = statement.message === null ? '' : str(this.evaluate(statement.message, scope));
    this.position = statement.position;
    return raise('AssertionError', message);
  }

  private catches(type: Value, exception: ScriptException): boolean {
    if (type instanceof PyTuple) return type.items.some((item) => this.catches(item, exception));
    if (type instanceof ExceptionType) return exception.type.isA(type);
    return raise('TypeError', `'except' needs a class of exceptions, not '${typeName(type)}'`);
  }

  private raise(value: Value): never {
    if (value instanceof ScriptException) throw value;
    if (value instanceof ExceptionType) throw new ScriptException(value, '');
    if (value !== null) return raise('TypeError', `'raise' needs an exception, not '${typeName(value)}'`);
    if (this.caught !== null) throw this.caught;
    return raise('RuntimeError', "nothing to raise outside an 'except'");
  }

  private importModule(module: { readonly path: string; readonly alias: string | null }): Value {
    if (module.path === 'os') return this.os;
    if (module.path === 'os.path') return module.alias === null ? this.os : getAttribute(this.os, 'path');
    return raise('ImportError', `not supported by the embedded switch: import ${module.path} (only os)`);
  }

  private define(definition: FunctionDefinition, scope: Scope): ScriptFunction {
    const defaults = new Map<string, Value>();
    const locals = assignedNames(definition.body);
    for (const { name, fallback } of definition.parameters) {
      locals.add(name);
      if (fallback !== null) defaults.set(name, this.evaluate(fallback, scope));
    }
    return new ScriptFunction(definition, defaults, scope, locals);
  }

  protected override callFunction(target: ScriptFunction, args: CallArguments): Value {
    const { body, name, parameters } = target.definition;
    if (this.calls >= MAX_CALLS) raise('RecursionError', `more than ${MAX_CALLS} functions call each other`);
    const required = parameters.length - target.defaults.size;
    const names = parameters.map((parameter) => parameter.name);
    const scope = new Scope(target.localNames, target.closure);
    bindArguments(name, names, required, args).forEach((value, i) => {
      const parameter = names[i] as string;
      scope.assign(parameter, value === undefined ? (target.defaults.get(parameter) as Value) : value);
    });
    this.calls++;
    try {
      return this.execute(body, scope) === 'return' ? this.returned : null;
    } finally {
      this.calls--;
    }
  }

  protected override assign(target: Target, value: Value, scope: Scope): void {
    switch (target.kind) {
      case 'name':
        scope.assign(target.name, value);
        break;
      case 'sequence':
        this.unpack(target.items, value, scope);
        break;
      case 'primary':
        this.reference(target, scope).set(value);
        break;
    }
  }

  private unpack(targets: readonly Target[], value: Value, scope: Scope): void {
    this.charge(value);
    const values = collect(value);
    if (values.length !== targets.length) {
      raise(
        'ValueError',
        `${targets.length} value(s) expected for the names on the left, but there are ${values.length}`,
      );
    }
    targets.forEach((target, i) => {
      this.assign(target, values[i] as Value, scope);
    });
  }

  /** `target operator= value`; a list grows in place, as Python's does. */
  private augment(target: Target, operator: string, evaluate: () => Value, scope: Scope): void {
    const reference = this.reference(target, scope);
    const left = reference.get();
    const right = evaluate();
    this.position = target.position;
    if (operator === '+' && left instanceof PyList) {
      extend(left, collect(right));
      reference.set(left);
      return;
    }
    const value = applyBinary(operator, left, right);
    this.charge(value);
    reference.set(value);
  }

  /** A place that can be read and written; its object and index are evaluated once. */
  private reference(target: Target, scope: Scope): { get: () => Value; set: (value: Value) => void } {
    if (target.kind !== 'primary') {
      return { get: () => this.evaluate(target, scope), set: (value) => this.assign(target, value, scope) };
    }
    const last = target.trailers[target.trailers.length - 1];
    const object = this.follow(target, target.trailers.slice(0, -1), scope);
    if (last?.kind !== 'subscript') {
      this.position = target.position;
      return raise('AttributeError', `the attributes of a '${typeName(object)}' cannot be assigned`);
    }
    const index = this.evaluate(last.index, scope);
    const { position } = last;
    this.charge(index);
    return {
      get: () => {
        this.position = position;
        return getItem(object, index);
      },
      set: (value) => {
        this.position = position;
        setItem(object, index, value);
      },
    };
  }
}
