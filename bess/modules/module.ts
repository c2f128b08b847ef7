/**
 * The base of all modules: a name, gates, and how a batch goes from one module to the next (BESS: module.h,
 * `RunChooseModule`).
 *
 * A module calls the next module directly. When a task returns, every packet of its burst is delivered or dropped. The
 * graph has no loop (graph.ts checks this), so a module is never called while it runs. It can therefore allocate the
 * arrays that it works on once.
 */
import type { PacketEndpoint } from '../../drivers/packet-endpoint.js';
import type { TunnelReason } from '../../observe/page/browser/model/switch-drops.js';
import { BessError } from '../errors.js';
import { NO_SWITCH_CAPTURE, type SwitchCapture } from '../switch-capture.js';
import type { Batch } from './batch.js';
import type { Attribute } from './metadata/attribute.js';

/** The most input gates, and the most output gates, of a module (BESS: gate.h). */
export const MAX_GATES = 8192;
/** A gate number that cannot be connected. A packet for this gate is dropped and counted. */
export const DROP_GATE = MAX_GATES;

/** A connected output gate, with counters. */
export interface OutputGate {
  readonly gate: number;
  readonly next: Module;
  readonly inputGate: number;
  packets: number;
  bytes: number;
}

/** Something that the worker polls. */
export interface Task {
  /** Moves at most one burst. Returns how many packets it moved. */
  run(): number;
  /** The queue that the task reads, or null. The worker enables kicks of this queue before it sleeps. */
  readonly source: WakeSource | null;
}

/** The part of a queue that wakes a sleeping worker (drivers/packet-endpoint.ts). */
export type WakeSource = Pick<PacketEndpoint, 'enableKick' | 'disableKick' | 'pollOnly' | 'onKick'>;

const NO_ATTRIBUTES: readonly Attribute[] = [];
const NO_REASONS: readonly TunnelReason[] = [];

export abstract class Module {
  /** The module's class as a script names it. */
  abstract readonly className: string;
  /** How many input and output gates this class has. Gates are numbered from 0. */
  readonly inputGates: number = 1;
  readonly outputGates: number = 1;
  /** The tasks of the module. A module that only handles batches from other modules has none. */
  readonly tasks: Task[] = [];
  /**
   * Output gates by number; null: not connected. The array has no holes, because V8 makes a sparse array a dictionary.
   */
  readonly gates: (OutputGate | null)[] = [];
  /** Metadata attributes that packets must have when they come to the module, and those that it gives them. */
  readonly reads: readonly Attribute[] = NO_ATTRIBUTES;
  readonly writes: readonly Attribute[] = NO_ATTRIBUTES;
  /** Packets that left by a gate without a connection. */
  deadends = 0;
  /** Names of the reasons for which the module drops packets, if it has several (switch-capture.ts). */
  readonly dropReasons: readonly TunnelReason[] = NO_REASONS;
  /** Where captures see what the module drops. */
  capture: SwitchCapture = NO_SWITCH_CAPTURE;

  constructor(readonly name: string) {}

  /** Describes the module for `show pipeline`, after its class. May be empty. */
  describe(): string {
    return '';
  }

  /** What the module counts by itself, by name, without zeros: the reasons for which it drops packets, and others. */
  counters(): Record<string, number> {
    return {};
  }

  /** Handles a batch. The batch is valid only during the call: read it or pass it on, but do not keep it. */
  process(_batch: Batch): void {
    throw new Error(`${this.name}: a ${this.className} has no input gate`);
  }

  /** Releases the queues that the module owns. */
  close(): void {}

  /**
   * Connects an output gate. Throws EINVAL if a gate does not exist, and EBUSY if the output gate is connected already.
   */
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

  /** Frees an output gate. Does nothing if the gate is free (as in BESS). */
  disconnect(gate: number): void {
    if (gate < this.gates.length) this.gates[gate] = null;
  }

  /** Passes a batch to the module behind an output gate. Drops and counts the packets if the gate is not connected. */
  protected emit(gate: number, batch: Batch): void {
    const output = gate < this.gates.length ? this.gates[gate] : null;
    if (output === null) {
      this.deadends += batch.count;
      if (this.capture.wantsDrops) this.capture.droppedBy(this, batch);
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
