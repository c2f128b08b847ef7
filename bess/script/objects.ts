/** The objects of a script: modules, ports and `bess` (BESS: pybess/module.py, port.py, bess.py). */

import { BessError } from '../errors.js';
import type { CallArguments, HostObject, Value } from '../lang/index.js';
import { NativeFunction } from '../lang/index.js';
import type { Module } from '../modules/module.js';
import type { Port } from '../ports/port.js';
import type { Switch } from '../switch.js';
import { Arguments } from './arguments.js';
import { type CommandResult, commandsOf } from './module-classes.js';

/** Any worker, in BESS's API. */
const ANY_WORKER = -1;

/**
 * Makes a method for scripts. `names` are the names of its positional arguments; `run` reads them and does the work.
 */
function method(call: string, names: readonly string[], run: (args: Arguments) => Value): NativeFunction {
  return new NativeFunction(call, ({ positional, keyword }: CallArguments) =>
    run(new Arguments(`${call}()`, positional, keyword, names)),
  );
}

/** The answer of a command: an object with the fields of BESS's message. */
class CommandResponse implements HostObject {
  readonly typeName = 'CommandResponse';

  constructor(private readonly fields: Readonly<Record<string, number[]>>) {}

  attributeNames(): string[] {
    return Object.keys(this.fields);
  }

  getAttribute(name: string): Value | undefined {
    return Object.hasOwn(this.fields, name) ? [...this.fields[name]] : undefined;
  }
}

function toValue(result: CommandResult): Value {
  return result === null ? null : new CommandResponse(result);
}

export class ModuleObject implements HostObject {
  readonly typeName: string;
  private readonly methods = new Map<string, NativeFunction>();

  constructor(
    readonly module: Module,
    bess: Switch,
  ) {
    this.typeName = module.className;
    const define = (name: string, names: readonly string[], run: (args: Arguments) => Value): void => {
      this.methods.set(name, method(`${module.name}.${name}`, names, run));
    };
    for (const [name, command] of commandsOf(module)) {
      define(name, [], (args) => {
        const run = command(args);
        args.finish();
        return toValue(run());
      });
    }
    define('connect', ['next_mod', 'ogate', 'igate'], (args) => {
      const next = args.object('next_mod', ModuleObject, 'a module');
      const [outputGate, inputGate] = [args.integer('ogate', 0), args.integer('igate', 0)];
      args.finish();
      module.connect(outputGate, next.module, inputGate);
      return next;
    });
    define('attach_task', ['parent', 'wid', 'module_taskid', 'priority', 'share'], (args) =>
      attachTask(bess, module.name, args));
  }

  get name(): string {
    return this.module.name;
  }

  getAttribute(name: string): Value | undefined {
    if (name === 'name') return this.module.name;
    if (name === 'mclass') return this.module.className;
    return this.methods.get(name);
  }

  attributeNames(): string[] {
    return ['name', 'mclass', ...this.methods.keys()];
  }

  describe(): string {
    return `${this.module.name}::${this.module.className}`;
  }
}

export class PortObject implements HostObject {
  readonly typeName: string;

  constructor(readonly port: Port) {
    this.typeName = port.driver;
  }

  get name(): string {
    return this.port.name;
  }

  getAttribute(name: string): Value | undefined {
    if (name === 'name') return this.port.name;
    if (name === 'driver') return this.port.driver;
    return undefined;
  }

  attributeNames(): string[] {
    return ['name', 'driver'];
  }

  describe(): string {
    return `${this.port.name}/${this.port.driver}`;
  }
}

/** `bess` in a script: the part of BESS's control API that scripts need. */
export class BessObject implements HostObject {
  readonly typeName = 'BESS';
  private readonly methods = new Map<string, NativeFunction>();

  constructor(bess: Switch) {
    const define = (name: string, names: readonly string[], run: (args: Arguments) => Value): void => {
      this.methods.set(name, method(`bess.${name}`, names, run));
    };
    define('add_worker', ['wid', 'core', 'scheduler'], (args) => {
      const [id, core] = [args.integer('wid', -1), args.integer('core', -1)];
      // BESS has a second, experimental scheduler. With one worker and no traffic classes there is no difference.
      args.string('scheduler');
      args.finish();
      bess.addWorker(id, core);
      return null;
    });
    define('attach_task', ['module_name', 'parent', 'wid', 'module_taskid', 'priority', 'share'], (args) =>
      attachTask(bess, args.string('module_name') ?? '', args));
    define('connect_modules', ['m1', 'm2', 'ogate', 'igate'], (args) => {
      const [from, to] = [args.string('m1') ?? '', args.string('m2') ?? ''];
      const [outputGate, inputGate] = [args.integer('ogate', 0), args.integer('igate', 0)];
      args.finish();
      bess.graph.connect(from, outputGate, to, inputGate);
      return null;
    });
    define('disconnect_modules', ['name', 'ogate'], (args) => {
      const [name, gate] = [args.string('name') ?? '', args.integer('ogate', 0)];
      args.finish();
      bess.graph.disconnect(name, gate);
      return null;
    });
    // The worker starts when the script has ended, as under bessctl, which pauses BESS around a script.
    define('pause_all', [], () => null);
    define('resume_all', ['check'], () => null);
    for (const name of ['add_tc', 'update_tc_params', 'get_tc_stats']) {
      this.methods.set(
        name,
        new NativeFunction(`bess.${name}`, () => {
          const why = 'this switch has no traffic classes; its one worker polls all tasks in turn';
          throw new BessError('ENOTSUP', `bess.${name}(): ${why}`);
        }),
      );
    }
  }

  getAttribute(name: string): Value | undefined {
    return this.methods.get(name);
  }

  attributeNames(): Iterable<string> {
    return this.methods.keys();
  }
}

/** Accepts a call that changes nothing, because every task belongs to worker 0, and refuses all others. */
function attachTask(bess: Switch, name: string, args: Arguments): null {
  const parent = args.string('parent') ?? '';
  const worker = args.integer('wid', ANY_WORKER, ANY_WORKER);
  const task = args.integer('module_taskid', 0);
  args.has('priority');
  args.has('share');
  args.finish();
  const module = bess.graph.get(name);
  if (parent !== '')
    throw new BessError('ENOENT', `Parent TC '${parent}' not found: this switch has no traffic classes`);
  if (worker > 0) throw new BessError('EINVAL', `worker:${worker} does not exist: this switch runs worker:0 alone`);
  if (task >= module.tasks.length) {
    const has = module.tasks.length === 0 ? 'none' : `${module.tasks.length}`;
    throw new BessError('ENOENT', `module ${name} (${module.className}) has no task ${task}; it has ${has}`);
  }
  return null;
}
