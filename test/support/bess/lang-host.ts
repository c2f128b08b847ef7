/** A host for the tests of the language: its modules only write down what is done with them. */
import {
  BessScriptError,
  bindArguments,
  type CallArguments,
  type HostObject,
  NativeFunction,
  repr,
  runScript,
  type ScriptHost,
  toPlain,
  type Value,
} from '../../../bess/lang/index.js';

/** An error with a code, as a switch throws it. */
class HostError extends Error {
  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

/** A module that knows its name. */
class RecordedModule implements HostObject {
  constructor(
    readonly typeName: string,
    readonly name: string,
    private readonly host: RecordingHost,
  ) {}

  getAttribute(name: string): Value | undefined {
    if (name === 'name') return this.name;
    if (name === 'connect') return new NativeFunction(name, (args) => this.connect(args));
    if (name === 'add') return new NativeFunction(name, (args) => this.host.add(this, args));
    if (name === 'break') throw new TypeError('a mistake of the host');
    return undefined;
  }

  describe(): string {
    return `${this.name}::${this.typeName}`;
  }

  private connect(args: CallArguments): Value {
    const [next = null, ogate = 0, igate = 0] = bindArguments('connect', ['next_mod', 'ogate', 'igate'], 1, args);
    this.host.connect(this, Number(ogate), next as RecordedModule, Number(igate));
    return next;
  }
}

/** Module classes `M`, `Source`, `Sink`, and what was done with them, a line each. */
export class RecordingHost implements ScriptHost {
  readonly globals: Map<string, Value>;
  /** Created modules, connections, calls. */
  readonly log: string[] = [];
  readonly printed: string[] = [];
  readonly notices: string[] = [];
  readonly added: unknown[] = [];
  private anonymous = 0;

  constructor(
    readonly variables: Readonly<Record<string, string>> = {},
    readonly files = new Set<string>(),
  ) {
    this.globals = new Map<string, Value>();
    for (const name of ['M', 'Source', 'Sink']) {
      this.globals.set(name, new NativeFunction(name, (args) => this.create(name, `m${this.anonymous++}`, args)));
    }
  }

  createNamed(className: string, name: string, args: CallArguments): HostObject {
    return this.create(className, name, args);
  }

  connect(from: HostObject, ogate: number, to: HostObject, igate: number): void {
    if (ogate === 99) throw new HostError('EBUSY gate 99 is connected already', 'EBUSY');
    this.log.push(`${nameOf(from)}:${ogate} -> ${igate}:${nameOf(to)}`);
  }

  variable(name: string): string | undefined {
    return this.variables[name];
  }

  print(line: string): void {
    this.printed.push(line);
  }

  notice(line: string): void {
    this.notices.push(line);
  }

  exists(path: string): boolean {
    return this.files.has(path);
  }

  unlink(path: string): void {
    if (!this.files.delete(path)) throw new HostError(`no such file: ${path}`, 'ENOENT');
  }

  /** The method `add` of a module; refuses the address 'twice'. */
  add(module: RecordedModule, args: CallArguments): Value {
    const [entries = null] = bindArguments('add', ['entries'], 1, args);
    const plain = toPlain(entries);
    if (plain === 'twice') throw new HostError("EEXIST MAC address 'twice' already exists", 'EEXIST');
    this.added.push(plain);
    this.log.push(`${module.name}.add(${repr(entries)})`);
    return null;
  }

  private create(className: string, name: string, args: CallArguments): RecordedModule {
    const given = new Map<Value, Value>(args.keyword);
    const positional = args.positional.map((value) => repr(value));
    const shown = [...positional, ...(given.size > 0 ? [repr(given)] : [])].join(', ');
    this.log.push(`${name}::${className}(${shown})`);
    return new RecordedModule(className, name, this);
  }
}

function nameOf(object: HostObject): string {
  if (object instanceof RecordedModule) return object.name;
  throw new HostError(`${object.typeName} is no module`, 'EINVAL');
}

/** What a script prints. */
export function printedBy(source: string, variables: Record<string, string> = {}): string[] {
  const host = new RecordingHost(variables);
  runScript(source, 'test.bess', host);
  return host.printed;
}

/** What a script does with modules. */
export function loggedBy(source: string, variables: Record<string, string> = {}): string[] {
  const host = new RecordingHost(variables);
  runScript(source, 'test.bess', host);
  return host.log;
}

/** The repr of an expression's value. */
export function reprOf(expression: string): string {
  return printedBy(`print('%r' % ((\n${expression}\n),))`).join('\n');
}

/** The error of a script, which must have one. */
export function errorOf(source: string, host: ScriptHost = new RecordingHost()): BessScriptError {
  try {
    runScript(source, 'test.bess', host);
  } catch (error) {
    if (error instanceof BessScriptError) return error;
    throw error;
  }
  throw new Error(`the script has no error: ${source}`);
}
