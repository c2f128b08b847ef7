/**
 * The module classes that scripts can use: how to make a module of each, and its commands (BESS: module_msg.proto).
 * Arguments have BESS's names and defaults.
 */

import { BessError } from '../errors.js';
import type { PlainMap } from '../lang/index.js';
import { Bpf } from '../modules/bpf.js';
import { L2Forward, type MacEntry, parseMac } from '../modules/l2-forward.js';
import { Merge, Sink } from '../modules/merge-sink.js';
import type { Metadata } from '../modules/metadata/attribute.js';
import { SetMetadata } from '../modules/metadata/set-metadata.js';
import type { Module } from '../modules/module.js';
import { PortInc, QueueInc } from '../modules/port-inc.js';
import { PortOut, QueueOut } from '../modules/port-out.js';
import { Replicate } from '../modules/replicate.js';
import { Source } from '../modules/source.js';
import { parseIpv4, SpoofGuard } from '../modules/spoof-guard.js';
import { EtherEncap } from '../modules/tunnel/ether-encap.js';
import type { HeaderMemory } from '../modules/tunnel/header-memory.js';
import { IpEncap } from '../modules/tunnel/ip-encap.js';
import { VxlanDecap } from '../modules/tunnel/vxlan-decap.js';
import { VxlanEncap } from '../modules/tunnel/vxlan-encap.js';
import type { PortTable } from '../ports/pmd-port.js';
import type { Port } from '../ports/port.js';
import type { Arguments } from './arguments.js';
import { attributeSetting, bpfFilter } from './metadata-arguments.js';

/** The answer of a command: null, or the fields of BESS's response message. */
export type CommandResult = Readonly<Record<string, number[]>> | null;

/**
 * Reads the arguments of a call. Returns a function that does the work, called once all arguments are known to be good.
 */
export type Command = (args: Arguments) => () => CommandResult;

/** What modules of a switch share. */
export interface ModuleParts {
  readonly ports: PortTable;
  readonly metadata: Metadata;
  readonly headers: HeaderMemory;
}

export interface ModuleClass {
  /** Beginning of the names of modules without a name: `source` gives source0, source1, … */
  readonly template: string;
  /** Reads the arguments of the class. Returns a function that makes the module. */
  prepare(args: Arguments, parts: ModuleParts): (name: string) => Module;
}

/**
 * Returns the port that `port=` names. `missing` is the error if there is no such argument: BESS's modules have
 * different ones.
 */
function portOf(args: Arguments, ports: PortTable, missing: string): Port {
  const name = args.string('port');
  // Accepted without effect: JavaScript has no prefetch.
  args.boolean('prefetch');
  if (name === null || name === '') throw new BessError('EINVAL', missing);
  return ports.get(name);
}

const PORT_MISSING = "'port' must be given as a string";
const QUEUE_PORT_MISSING = "Field 'port' must be specified";

export const MODULE_CLASSES: ReadonlyMap<string, ModuleClass> = new Map<string, ModuleClass>(
  Object.entries<ModuleClass>({
    PortInc: {
      template: 'port_inc',
      prepare(args, { ports }) {
        const port = portOf(args, ports, PORT_MISSING);
        return (name) => new PortInc(name, port);
      },
    },
    PortOut: {
      template: 'port_out',
      prepare(args, { ports }) {
        const port = portOf(args, ports, PORT_MISSING);
        return (name) => new PortOut(name, port);
      },
    },
    QueueInc: {
      template: 'queue_inc',
      prepare(args, { ports }) {
        const port = portOf(args, ports, QUEUE_PORT_MISSING);
        const queue = args.integer('qid', 0);
        return (name) => new QueueInc(name, port, queue);
      },
    },
    QueueOut: {
      template: 'queue_out',
      prepare(args, { ports }) {
        const port = portOf(args, ports, QUEUE_PORT_MISSING);
        const queue = args.integer('qid', 0);
        return (name) => new QueueOut(name, port, queue);
      },
    },
    L2Forward: {
      template: 'l2_forward',
      prepare(args) {
        const size = args.integer('size', 0);
        const bucket = args.integer('bucket', 0);
        return (name) => new L2Forward(name, size, bucket);
      },
    },
    Replicate: {
      template: 'repl',
      prepare(args) {
        const gates = args.integers('gates');
        return (name) => new Replicate(name, gates);
      },
    },
    SpoofGuard: {
      template: 'spoof_guard',
      prepare(args) {
        const mac = parseMac(args.string('mac') ?? '');
        const ips = args.strings('ips').map(parseIpv4);
        return (name) => new SpoofGuard(name, mac, ips);
      },
    },
    BPF: {
      template: 'bpf',
      prepare(args) {
        const filters = args.dictionaries('filters').map(bpfFilter);
        return (name) => new Bpf(name, filters);
      },
    },
    SetMetadata: {
      template: 'setattr',
      prepare(args, { metadata }) {
        const settings = args.dictionaries('attrs').map(attributeSetting);
        return (name) => new SetMetadata(name, metadata, settings);
      },
    },
    VXLANEncap: {
      template: 'vxlan_encap',
      prepare(args, { metadata, headers }) {
        const port = args.integer('dstport', 0);
        return (name) => new VxlanEncap(name, metadata, headers, port);
      },
    },
    VXLANDecap: {
      template: 'vxlan_decap',
      prepare:
        (_, { metadata }) =>
        (name) =>
          new VxlanDecap(name, metadata),
    },
    IPEncap: {
      template: 'ip_encap',
      prepare:
        (_, { metadata, headers }) =>
        (name) =>
          new IpEncap(name, metadata, headers),
    },
    EtherEncap: {
      template: 'ether_encap',
      prepare:
        (_, { metadata, headers }) =>
        (name) =>
          new EtherEncap(name, metadata, headers),
    },
    Merge: { template: 'merge', prepare: () => (name) => new Merge(name) },
    Sink: { template: 'sink', prepare: () => (name) => new Sink(name) },
    Source: {
      template: 'source',
      prepare(args) {
        const bytes = args.integer('pkt_size', 0);
        return (name) => new Source(name, bytes);
      },
    },
  }),
);

/** Reads an entry of `add`. The module refuses an entry without an address, as in BESS. */
function macEntry(entry: PlainMap): MacEntry {
  const addr = entry.get('addr') ?? '';
  const gate = entry.get('gate') ?? 0;
  for (const key of entry.keys()) {
    if (key !== 'addr' && key !== 'gate') {
      throw new BessError('EINVAL', `an entry has 'addr' and 'gate', and no '${String(key)}'`);
    }
  }
  if (typeof addr !== 'string') throw new BessError('EINVAL', 'add list item map must contain addr as a string');
  if (typeof gate !== 'number' || !Number.isSafeInteger(gate)) {
    throw new BessError('EINVAL', `the gate of '${addr}' must be an integer`);
  }
  return { addr, gate };
}

/** The commands of a module, by name. */
export function commandsOf(module: Module): ReadonlyMap<string, Command> {
  if (module instanceof L2Forward) return l2ForwardCommands(module);
  const commands = new Map<string, Command>();
  if (module instanceof Replicate) {
    commands.set('set_gates', (args) => {
      const gates = args.integers('gates');
      return effect(() => module.setGates(gates));
    });
  }
  if (module instanceof Bpf) {
    for (const name of ['add', 'delete'] as const) {
      commands.set(name, (args) => {
        const filters = args.dictionaries('filters').map(bpfFilter);
        return effect(() => module[name](filters));
      });
    }
    commands.set('clear', () => effect(() => module.clear()));
  }
  if (module instanceof PortInc || module instanceof QueueInc || module instanceof Source) {
    commands.set('set_burst', (args) => {
      const burst = args.integer('burst', 0);
      return effect(() => module.setBurst(burst));
    });
  }
  if (module instanceof Source) {
    commands.set('set_pkt_size', (args) => {
      const bytes = args.integer('pkt_size', 0);
      return effect(() => module.setPacketSize(bytes));
    });
  }
  return commands;
}

function l2ForwardCommands(module: L2Forward): ReadonlyMap<string, Command> {
  return new Map<string, Command>(
    Object.entries<Command>({
      add(args) {
        const entries = args.dictionaries('entries').map(macEntry);
        return effect(() => module.add(entries));
      },
      delete(args) {
        const addrs = args.strings('addrs');
        return effect(() => module.delete(addrs));
      },
      lookup(args) {
        const addrs = args.strings('addrs');
        return () => ({ gates: module.lookup(addrs) });
      },
      set_default_gate(args) {
        const gate = args.integer('gate', 0);
        return effect(() => module.setDefaultGate(gate));
      },
      populate(args) {
        const base = args.string('base') ?? '';
        const count = args.integer('count', 0);
        const gates = args.integer('gate_count', 0);
        return effect(() => module.populate(base, count, gates));
      },
    }),
  );
}

/** A command without an answer. */
function effect(run: () => void): () => null {
  return () => {
    run();
    return null;
  };
}
