/**
 * What can be said of the metadata of a script before packets flow: which modules would read an attribute that no module
 * has set (BESS: CheckOrphanReaders), which attributes a Replicate has to keep for its copies, and
 * which a SetMetadata need not set for each packet.
 */
import { BessError } from '../../errors.js';
import type { Module } from '../module.js';
import type { Attribute } from './attribute.js';

/** A module that sends the same packets several ways, one after the other. */
export interface Replicator extends Module {
  /** Attributes that one way may change, and that the next must find unchanged. */
  kept: readonly Attribute[];
}

/** A module that gives packets values which do not depend on them. */
export interface FirstSetter extends Module {
  /** Attributes that no module before this one sets. */
  first: readonly Attribute[];
}

/** Returns the modules behind a module. */
const behind = (module: Module): Module[] => module.gates.flatMap((output) => output?.next ?? []);

/** Returns `from` and all modules behind them, but none behind a module at which `stops`. */
function reachable(from: readonly Module[], stops: (module: Module) => boolean): Set<Module> {
  const found = new Set(from);
  for (const module of found) if (!stops(module)) for (const next of behind(module)) found.add(next);
  return found;
}

/**
 * Throws EINVAL if packets can come to a module without an attribute that the module reads. BESS warns, and the module
 * reads zeros: with these no tunnel works.
 */
export function checkReaders(modules: readonly Module[]): void {
  const attributes = new Set(modules.flatMap(({ reads }) => reads));
  for (const attribute of attributes) {
    const writes = (module: Module): boolean => module.writes.includes(attribute);
    for (const source of modules.filter(({ inputGates }) => inputGates === 0)) {
      for (const module of reachable([source], writes)) {
        if (!module.reads.includes(attribute)) continue;
        const { name, size } = attribute;
        const what = `${module.name}::${module.className} reads the metadata attribute '${name}'`;
        const who = `packets from ${source.name}::${source.className} come to it without`;
        const advice = `put SetMetadata(attrs=[{'name': '${name}', 'size': ${size}, 'value_int': …}]) before it`;
        throw new BessError('EINVAL', `${what}, and ${who}: ${advice}`);
      }
    }
  }
}

/** Whether a module before `module` sets the attribute. */
function isSetBefore(modules: readonly Module[], module: Module, attribute: Attribute): boolean {
  const writers = modules.filter(({ writes }) => writes.includes(attribute));
  return reachable(writers.flatMap(behind), () => false).has(module);
}

/** Tells each Replicate what it has to keep: what is set before it, and set again behind it. */
export function setKept(modules: readonly Module[], replicators: readonly Replicator[]): void {
  for (const replicator of replicators) {
    const later = new Set([...reachable(behind(replicator), () => false)].flatMap(({ writes }) => writes));
    replicator.kept = [...later].filter((attribute) => isSetBefore(modules, replicator, attribute));
  }
}

/** Tells each SetMetadata which attributes it is the first to set. */
export function setFirst(modules: readonly Module[], setters: readonly FirstSetter[]): void {
  for (const setter of setters) {
    setter.first = setter.writes.filter((attribute) => !isSetBefore(modules, setter, attribute));
  }
}
