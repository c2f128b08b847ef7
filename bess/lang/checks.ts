/** Python's rules on calls, functions and loops that its grammar does not say. */
import type { Argument, ExceptClause, Parameter, Statement } from './ast.js';
import { type Position, SyntaxProblem } from './errors.js';

/** Arguments by place come before those by name; a generator without parentheses stands alone. */
export function checkArguments(list: readonly Argument[]): void {
  const names = new Set<string>();
  for (const argument of list) {
    const { position } = argument.value;
    if (argument.kind === 'keyword') {
      if (names.has(argument.name)) throw new SyntaxProblem(position, `the argument '${argument.name}' is given twice`);
      names.add(argument.name);
    } else if (argument.kind === 'positional' && names.size > 0) {
      throw new SyntaxProblem(position, 'an argument without a name follows one with a name');
    }
    const { value } = argument;
    if (list.length > 1 && value.kind === 'comprehension' && value.type === 'generator') {
      throw new SyntaxProblem(position, 'a generator among other arguments must be in parentheses');
    }
  }
}

/** Each parameter has a name of its own, and those with a default come last. */
export function checkParameters(parameters: readonly Parameter[], name: string, position: Position): void {
  const names = new Set(parameters.map((parameter) => parameter.name));
  if (names.size < parameters.length)
    throw new SyntaxProblem(position, `two parameters of ${name}() have the same name`);
  let optional: string | null = null;
  for (const parameter of parameters) {
    if (parameter.fallback !== null) optional = parameter.name;
    else if (optional !== null) {
      const text = `in ${name}(), the parameter ${parameter.name} without a default follows ${optional} with one`;
      throw new SyntaxProblem(position, text);
    }
  }
}

/** Only the last `except` may catch all. */
export function checkHandlers(handlers: readonly ExceptClause[]): void {
  const early = handlers.slice(0, -1).find((handler) => handler.type === null);
  if (early !== undefined) throw new SyntaxProblem(early.position, "an 'except' without a type must be the last");
}

/** `break` and `continue` stand in loops, `return` in functions. */
export function checkFlow(body: readonly Statement[], inLoop = false, inFunction = false): void {
  for (const statement of body) {
    switch (statement.kind) {
      case 'break':
      case 'continue':
        if (!inLoop) throw new SyntaxProblem(statement.position, `'${statement.kind}' outside a loop`);
        break;
      case 'return':
        if (!inFunction) throw new SyntaxProblem(statement.position, "'return' outside a function");
        break;
      case 'if':
        for (const branch of statement.branches) checkFlow(branch.body, inLoop, inFunction);
        checkFlow(statement.otherwise, inLoop, inFunction);
        break;
      case 'while':
      case 'for':
        checkFlow(statement.body, true, inFunction);
        break;
      case 'try':
        checkFlow(statement.body, inLoop, inFunction);
        for (const handler of statement.handlers) checkFlow(handler.body, inLoop, inFunction);
        break;
      case 'def':
        checkFlow(statement.body, false, true);
        break;
      default:
        break;
    }
  }
}
