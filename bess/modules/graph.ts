/** The modules of a switch by name, and what connects them (BESS: module_graph.cc). */
import { BessError } from '../errors.js';
import type { Module, Task } from './module.js';

export class ModuleGraph {
  private readonly modules = new Map<string, Module>();

  /** In the order in which they were made. */
  get all(): Module[] {
    return Array.from(this.modules.values());
  }

  /** What the worker polls, in the order in which the modules were made. */
  get tasks(): Task[] {
    return this.all.flatMap((module) => module.tasks);
  }

  /** The module of that name; ENOENT where there is none. */
  get(name: string): Module {
    const module = this.modules.get(name);
    if (!module) throw new BessError('ENOENT', `No module '${name}' found`);
    return module;
  }

  /**
   * A name for a new module. EEXIST where the wanted one is taken.
   * @param wanted null: the first free one of `template0`, `template1`, …
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

  add<M extends Module>(module: M): M {
    this.modules.set(module.name, module);
    return module;
  }

  connect(from: string, outputGate: number, to: string, inputGate: number): void {
    this.get(from).connect(outputGate, this.get(to), inputGate);
  }

  disconnect(name: string, outputGate: number): void {
    this.get(name).disconnect(outputGate);
  }

  /**
   * EINVAL where a packet could come back to a module that it has passed: BESS would run it in circles for ever, and here
   * a module must not be entered while it runs.
   */
  checkLoops(): void {
    const finished = new Set<Module>();
    for (const module of this.modules.values()) walk(module, [], finished);
  }

  close(): void {
    for (const module of this.modules.values()) module.close();
    this.modules.clear();
  }
}

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
