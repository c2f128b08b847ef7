/**
 * What all modules share: a name, gates, and the hand-over of a batch from one module to the next (BESS: module.h,
 * `RunChooseModule`).
 *
 * Run to completion: a module calls the next one, so when the task that began returns, every packet of its burst is
 * delivered or dropped. The graph has no loop (graph.ts checks), so a module is never entered while it runs: what it
 * needs to work on is allocated once.
 */

import type { PacketEndpoint } from '../../drivers/packet-endpoint.js';
import { BessError } from '../errors.js';
import type { Batch } from './batch.js';

/** Gates of each direction that any module may have (BESS: gate.h). */
export const MAX_GATES = 8192;
/** A gate that cannot be connected: packets for it are dropped and counted. */
export const DROP_GATE = MAX_GATES;

/** A connected output gate and what went through it. */
export interface OutputGate {
  readonly gate: number;
  readonly next: Module;
  readonly inputGate: number;
  packets: number;
  bytes: number;
}

/** Something that the worker polls. */
export interface Task {
  /** Moves at most one burst; returns the packets in it. */
  run(): number;
  /** The queue that it reads, where it reads one: what the worker arms before it sleeps. */
  readonly source: WakeSource | null;
}

/** The sleeping side of a queue: drivers/packet-endpoint.ts. */
export type WakeSource = Pick<PacketEndpoint, 'enableKick' | 'disableKick' | 'pollOnly' | 'onKick'>;

export abstract class Module {
  /** The module's class as a script names it. */
  abstract readonly className: string;
  /** How many input and output gates this class has; gate numbers go from 0 to one less. */
  readonly inputGates: number = 1;
  readonly outputGates: number = 1;
  /** What the module polls; empty for modules that only react. */
  readonly tasks: Task[] = [];
  /** By gate number; null where nothing is connected. Never sparse: V8 would turn the array into a dictionary. */
  readonly gates: (OutputGate | null)[] = [];
  /** Packets that left by a gate without a connection. */
  deadends = 0;

  constructor(readonly name: string) {}

  /** What `show pipeline` tells about the module besides its class; may be empty. */
  describe(): string {
    return '';
  }

  /** Handles a batch. The batch belongs to the caller: read it, pass it on, but keep nothing of it. */
  process(_batch: Batch): void {
    throw new Error(`${this.name}: a ${this.className} has no input gate`);
  }

  /** Gives back what the module holds (its queues). */
  close(): void {}

  /** Connects an output gate. EINVAL: no such gate; EBUSY: the output gate is taken. */
  connect(gate: number, next: Module, inputGate: number): void {
    const connection = `Connection ${this.name}:${gate}->${inputGate}:${next.name} failed`;
    checkGate(connection, this, 'output', gate, this.outputGates);
    checkGate(connection, next, 'input', inputGate, next.inputGates);
    const taken = this.gates[gate];
    if (taken) {
      const where = `output gate ${gate} of ${this.name} already leads to ${taken.next.name}`;
      throw new BessError('EBUSY', `${connection}: ${where}, and an output gate takes one connection`);
    }
    while (this.gates.length <= gate) this.gates.push(null);
    this.gates[gate] = { gate, next, inputGate, packets: 0, bytes: 0 };
  }

  /** Frees an output gate; nothing happens where it is free (as in BESS). */
  disconnect(gate: number): void {
    if (gate < this.gates.length) this.gates[gate] = null;
  }

  /** Hands a batch to whatever is behind an output gate. */
  protected emit(gate: number, batch: Batch): void {
    const output = gate < this.gates.length ? this.gates[gate] : null;
    if (output === null) {
      this.deadends += batch.count;
      return;
    }
    output.packets += batch.count;
    output.bytes += batch.bytes;
    output.next.process(batch);
  }
}

function checkGate(connection: string, module: Module, kind: string, gate: number, gates: number): void {
  if (Number.isInteger(gate) && gate >= 0 && gate < gates) return;
  const has =
    gates === 0 ? `no ${kind} gate` : gates === 1 ? `the ${kind} gate 0 only` : `${kind} gates 0 to ${gates - 1}`;
  throw new BessError('EINVAL', `${connection}: ${module.name} is a ${module.className}, which has ${has}`);
}
