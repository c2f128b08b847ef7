/** Where names live: the globals, and for each call of a function and each comprehension a scope inside another. */
import type { Statement, Target } from './ast.js';
import { raise } from './exceptions.js';
import type { Value } from './values.js';

/** The variables of a function or comprehension. */
export class Scope {
  private readonly values = new Map<string, Value>();

  /**
   * `localNames`: what is assigned anywhere in it, and so is local everywhere in it, as in Python. `parent`: the scope
   * around, null for the globals.
   */
  constructor(
    private readonly localNames: ReadonlySet<string> | null,
    private readonly parent: Scope | null,
  ) {}

  /** The value; undefined when no scope around has the name. Raises UnboundLocalError before the first assignment. */
  lookup(name: string): Value | undefined {
    for (let scope: Scope | null = this; scope !== null; scope = scope.parent) {
      const value = scope.values.get(name);
      if (value !== undefined) return value;
      if (scope.localNames?.has(name)) raise('UnboundLocalError', `local variable '${name}' has no value yet`);
    }
    return undefined;
  }

  assign(name: string, value: Value): void {
    this.values.set(name, value);
  }

  remove(name: string): void {
    this.values.delete(name);
  }

  /** True when this scope itself has a value of that name. */
  has(name: string): boolean {
    return this.values.has(name);
  }
}

/** The names that a block assigns, but for the functions defined in it. */
export function assignedNames(body: readonly Statement[], names = new Set<string>()): Set<string> {
  for (const statement of body) addAssigned(statement, names);
  return names;
}

function addAssigned(statement: Statement, names: Set<string>): void {
  switch (statement.kind) {
    case 'assign':
      for (const target of statement.targets) addTarget(target, names);
      break;
    case 'augmented':
      addTarget(statement.target, names);
      break;
    case 'import':
      for (const module of statement.modules) names.add(boundName(module));
      break;
    case 'def':
      names.add(statement.name);
      break;
    case 'if':
      for (const branch of statement.branches) assignedNames(branch.body, names);
      assignedNames(statement.otherwise, names);
      break;
    case 'for':
      addTarget(statement.target, names);
      assignedNames(statement.body, names);
      break;
    case 'while':
      assignedNames(statement.body, names);
      break;
    case 'try':
      assignedNames(statement.body, names);
      for (const handler of statement.handlers) {
        if (handler.name !== null) names.add(handler.name);
        assignedNames(handler.body, names);
      }
      break;
    default:
      break;
  }
}

/** Adds the names that a target binds. */
export function addTarget(target: Target, names: Set<string>): void {
  if (target.kind === 'name') names.add(target.name);
  if (target.kind === 'sequence') for (const item of target.items) addTarget(item, names);
}

/** What `import os.path as p` binds: the alias, or the first part of the path. */
export function boundName(module: { readonly path: string; readonly alias: string | null }): string {
  return module.alias ?? (module.path.split('.', 1)[0] as string);
}
