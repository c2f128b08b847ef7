/** The exceptions of Python that a script can meet, and how they come about. */
import { isStackOverflow } from './errors.js';
import { HostError } from './host.js';
import { ExceptionType, ScriptException } from './values.js';

/** Each class and what it derives from, bases first. */
const HIERARCHY = [
  ['Exception', null],
  ['ArithmeticError', 'Exception'],
  ['OverflowError', 'ArithmeticError'],
  ['ZeroDivisionError', 'ArithmeticError'],
  ['AssertionError', 'Exception'],
  ['AttributeError', 'Exception'],
  ['ConfError', 'Exception'],
  ['ImportError', 'Exception'],
  ['LookupError', 'Exception'],
  ['IndexError', 'LookupError'],
  ['KeyError', 'LookupError'],
  ['MemoryError', 'Exception'],
  ['NameError', 'Exception'],
  ['UnboundLocalError', 'NameError'],
  ['OSError', 'Exception'],
  ['FileExistsError', 'OSError'],
  ['FileNotFoundError', 'OSError'],
  ['IsADirectoryError', 'OSError'],
  ['NotADirectoryError', 'OSError'],
  ['PermissionError', 'OSError'],
  ['RuntimeError', 'Exception'],
  ['NotImplementedError', 'RuntimeError'],
  ['RecursionError', 'RuntimeError'],
  ['TypeError', 'Exception'],
  ['ValueError', 'Exception'],
] as const;

type ExceptionName = (typeof HIERARCHY)[number][0];

/** By name; `IOError` is Python 3's other name for OSError. */
export const EXCEPTION_TYPES: ReadonlyMap<string, ExceptionType> = buildTypes();

/** What the host's own errors are, as pybess's `bess.Error`: a host that wants a script to name it gives it one. */
export const BESS_ERROR = new ExceptionType('Error', exceptionType('Exception'));

function exceptionType(name: ExceptionName): ExceptionType {
  return EXCEPTION_TYPES.get(name) as ExceptionType;
}

/** An exception to throw; the interpreter knows the place. */
export function exception(name: ExceptionName, message: string): ScriptException {
  return new ScriptException(exceptionType(name), message);
}

/** Raises an exception. */
export function raise(name: ExceptionName, message: string): never {
  throw exception(name, message);
}

/** Python's class for an error number of the operating system. */
const OS_ERRORS: Readonly<Record<string, ExceptionName>> = {
  EACCES: 'PermissionError',
  EEXIST: 'FileExistsError',
  EISDIR: 'IsADirectoryError',
  ENOENT: 'FileNotFoundError',
  ENOTDIR: 'NotADirectoryError',
  EPERM: 'PermissionError',
};

/** What a script sees of an error that a host function threw; its own exceptions pass. */
export function fromHost(error: unknown, isFileOperation: boolean): ScriptException {
  if (error instanceof ScriptException) return error;
  if (isStackOverflow(error)) return new ScriptException(exceptionType('RecursionError'), 'nested too deeply');
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const type = isFileOperation ? exceptionType(OS_ERRORS[code ?? ''] ?? 'OSError') : BESS_ERROR;
  return new ScriptException(type, message, code, error);
}

/** `EEXIST`: of a {@link HostError}, or of an error of Node's. */
function codeOf(error: unknown): string | undefined {
  if (error instanceof HostError) return error.code;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

function buildTypes(): Map<string, ExceptionType> {
  const types = new Map<string, ExceptionType>();
  for (const [name, base] of HIERARCHY) {
    types.set(name, new ExceptionType(name, base === null ? null : (types.get(base) ?? null)));
  }
  types.set('IOError', types.get('OSError') as ExceptionType);
  return types;
}
