/** The switch as the host of a script: the names that a script finds, and what its calls do. */
import { existsSync, unlinkSync } from 'node:fs';
import { BessError } from '../errors.js';
import type { CallArguments, HostObject, ScriptHost, Value } from '../lang/index.js';
import { NativeFunction } from '../lang/index.js';
import type { Module } from '../modules/module.js';
import { nearest } from '../nearest-name.js';
import { socketInUse } from '../ports/socket-user.js';
import type { Switch } from '../switch.js';
import { Arguments } from './arguments.js';
import { MODULE_CLASSES, type ModuleClass } from './module-classes.js';
import { BessObject, ModuleObject, PortObject } from './objects.js';

const PORT_CLASS = 'PMDPort';
/** All classes of modules and ports. */
const CLASSES: readonly string[] = [...MODULE_CLASSES.keys(), PORT_CLASS];
/** Options of a PMDPort that have no effect: a switch without NICs has no VLAN offloads. */
const PORT_OFFLOADS = ['vlan_offload_rx_strip', 'vlan_offload_rx_filter', 'vlan_offload_rx_qinq'];

/** Receives the output of a script. */
export interface ScriptOutput {
  /** A line that the script prints. */
  print(line: string): void;
  /** A line for the log: what the user should know, such as an option without effect. */
  log(line: string): void;
}

export class SwitchHost implements ScriptHost {
  readonly globals: ReadonlyMap<string, Value>;
  /** Names of the variables that the script has read. */
  private readonly read = new Set<string>();

  /** @param variables the values of `$NAME`; they take precedence over the environment */
  constructor(
    private readonly bess: Switch,
    private readonly variables: Readonly<Record<string, string>>,
    private readonly output: ScriptOutput,
  ) {
    const globals = new Map<string, Value>([['bess', new BessObject(bess)]]);
    for (const className of CLASSES) {
      globals.set(className, new NativeFunction(className, (args) => this.create(className, null, args)));
    }
    this.globals = globals;
  }

  createNamed(className: string, name: string, args: CallArguments): HostObject {
    return this.create(className, name, args);
  }

  connect(from: HostObject, outputGate: number, to: HostObject, inputGate: number): void {
    moduleOf(from).connect(outputGate, moduleOf(to), inputGate);
  }

  variable(name: string): string | undefined {
    this.read.add(name);
    return Object.hasOwn(this.variables, name) ? this.variables[name] : process.env[name];
  }

  /** Returns a line for each given variable that the script has not read. Mostly its name is misspelt. */
  unreadVariables(): string[] {
    const known = [...this.read].sort();
    const reads = known.length === 0 ? 'it reads no variables' : `it reads ${known.join(', ')}`;
    return Object.keys(this.variables)
      .filter((name) => !this.read.has(name))
      .map((name) => {
        const meant = nearest(name, known);
        const advice = meant === undefined ? '' : `, perhaps you mean ${meant}`;
        return `the script did not read the variable ${name}${advice}; ${reads}`;
      });
  }

  unknownName(name: string): string {
    const meant = nearest(name, CLASSES);
    // Only a name in CamelCase is meant to be a class. Others are variables that were not assigned.
    if (meant === undefined && !/^[A-Z][A-Za-z0-9]*[a-z]/.test(name)) return '';
    return `${meant === undefined ? '' : `; perhaps you mean ${meant}`}; this switch has ${CLASSES.join(', ')}`;
  }

  print(line: string): void {
    this.output.print(line);
  }

  notice(line: string): void {
    this.output.log(line);
  }

  exists(path: string): boolean {
    return existsSync(path);
  }

  /** Fails with EBUSY if a process uses the socket, because nobody could connect to that process any more. */
  unlink(path: string): void {
    const inUse = socketInUse(path);
    if (inUse !== null) throw new BessError('EBUSY', inUse);
    unlinkSync(path);
  }

  /** @param given the name before `::`; null if there is none */
  private create(className: string, given: string | null, { positional, keyword }: CallArguments): HostObject {
    const args = new Arguments(`${className}()`, positional, objectsAsNames(keyword));
    // To BESS an empty name is no name.
    const name = given ?? (args.string('name') || null);
    if (className === PORT_CLASS) return this.createPort(name, args);
    const moduleClass = MODULE_CLASSES.get(className);
    if (moduleClass) return this.createModule(moduleClass, name, args);
    throw new BessError('ENOENT', `No mclass '${className}' found; this switch has ${CLASSES.join(', ')}`);
  }

  private createModule(moduleClass: ModuleClass, name: string | null, args: Arguments): ModuleObject {
    const make = moduleClass.prepare(args, this.bess);
    args.finish();
    const { graph } = this.bess;
    return new ModuleObject(graph.add(make(graph.nameFor(name, moduleClass.template))), this.bess);
  }

  private createPort(name: string | null, args: Arguments): PortObject {
    const config = {
      name,
      vdev: args.string('vdev'),
      pci: args.string('pci'),
      portId: args.has('port_id') ? args.integer('port_id', 0) : null,
      incQueues: args.integer('num_inc_q', 0),
      outQueues: args.integer('num_out_q', 0),
      incSize: args.integer('size_inc_q', 0),
      outSize: args.integer('size_out_q', 0),
    };
    if (args.boolean('loopback')) throw new BessError('ENOTSUP', 'PMDPort(): a vdev has no loopback');
    for (const option of PORT_OFFLOADS) {
      if (args.boolean(option)) this.output.log(`PMDPort(): '${option}' is ignored by this switch`);
    }
    args.finish();
    return new PortObject(this.bess.ports.create(config));
  }
}

function moduleOf(object: HostObject): Module {
  if (object instanceof ModuleObject) return object.module;
  throw new BessError('EINVAL', `a ${object.typeName} is not a module: connect its PortInc and PortOut`);
}

/** Where a class wants a name, a script may give the port or module itself (BESS: `choose_arg`). */
function objectsAsNames(keyword: ReadonlyMap<string, Value>): ReadonlyMap<string, Value> {
  return new Map(
    Array.from(keyword, ([key, value]) => [
      key,
      value instanceof ModuleObject || value instanceof PortObject ? value.name : value,
    ]),
  );
}
