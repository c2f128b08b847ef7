/** The modules of a switch, by name, and the connections between them (BESS: module_graph.cc). */
import { BessError } from '../errors.js';
import { checkReaders, setFirst, setKept } from './metadata/check.js';
import { SetMetadata } from './metadata/set-metadata.js';
import type { Module, Task } from './module.js';
import { Replicate } from './replicate.js';

export class ModuleGraph {
  private readonly modules = new Map<string, Module>();

  /** All modules, in the order in which they were made. */
  get all(): Module[] {
    return Array.from(this.modules.values());
  }

  /** The tasks that the worker polls, in the order in which their modules were made. */
  get tasks(): Task[] {
    return this.all.flatMap((module) => module.tasks);
  }

  /** Returns the module of this name. Throws ENOENT if there is none. */
  get(name: string): Module {
    const module = this.modules.get(name);
    if (!module) throw new BessError('ENOENT', `No module '${name}' found`);
    return module;
  }

  /**
   * Returns a name for a new module. Throws EEXIST if another module has the wanted name.
   * @param wanted the name from the script; null: the first free name of `template0`, `template1`, …
   */
  nameFor(wanted: string | null, template: string): string {
    if (wanted !== null) {
      if (this.modules.has(wanted)) throw new BessError('EEXIST', `Module ${wanted} exists`);
      return wanted;
    }
    let i = 0;
    while (this.modules.has(`${template}${i}`)) i++;
    return `${template}${i}`;
  }

  /** Adds a module under its name, which {@link nameFor} must have returned. Returns the module. */
  add<M extends Module>(module: M): M {
    this.modules.set(module.name, module);
    return module;
  }

  /** Connects two modules by name. Throws ENOENT, and what {@link Module.connect} throws. */
  connect(from: string, outputGate: number, to: string, inputGate: number): void {
    this.get(from).connect(outputGate, this.get(to), inputGate);
  }

  /** Frees an output gate of a module. Throws ENOENT if there is no such module. */
  disconnect(name: string, outputGate: number): void {
    this.get(name).disconnect(outputGate);
  }

  /**
   * Throws EINVAL if the modules form a loop. BESS would send a packet around the loop for ever. Here a module must not
   * be called while it runs, because it works on arrays that it allocated once.
   */
  checkLoops(): void {
    const finished = new Set<Module>();
    for (const module of this.modules.values()) walk(module, [], finished);
  }

  /**
   * Throws EINVAL if the modules form a loop, or if a module would read metadata that nobody sets. To be called before
   * packets flow.
   */
  check(): void {
    this.checkLoops();
    const { all } = this;
    checkReaders(all);
    setKept(
      all,
      all.filter((module) => module instanceof Replicate),
    );
    setFirst(
      all,
      all.filter((module) => module instanceof SetMetadata),
    );
  }

  /** Closes all modules and forgets them. */
  close(): void {
    for (const module of this.modules.values()) module.close();
    this.modules.clear();
  }
}

/** Visits the modules behind `module`, depth first. `path` has the modules on the way to it. */
function walk(module: Module, path: Module[], finished: Set<Module>): void {
  if (finished.has(module)) return;
  const seen = path.indexOf(module);
  if (seen >= 0) {
    const loop = [...path.slice(seen), module].map(({ name }) => name).join(' -> ');
    throw new BessError('EINVAL', `the modules ${loop} form a loop, which a packet would never leave`);
  }
  path.push(module);
  for (const output of module.gates) if (output) walk(output.next, path, finished);
  path.pop();
  finished.add(module);
}
