/**
 * Replicate: sends every packet to several gates (BESS: replicate.cc).
 *
 * As in BESS the original always leaves by gate 0, even if the list begins with another gate. Copies leave by
 * `gates[1:]`. This module copies no bytes: each gate gets the same indices, and each output module copies from the
 * sender's memory.
 */
import { BessError } from '../errors.js';
import type { Batch } from './batch.js';
import { Module } from './module.js';

const MAX_REPLICAS = 32;

export class Replicate extends Module {
  override readonly className = 'Replicate';
  override readonly outputGates = MAX_REPLICAS;
  /** Copies that this module made: packets that left by `gates[1:]`. */
  copies = 0;
  private copyGates = new Uint16Array(0);

  /** @param gates numbers of output gates; more than 32 are EINVAL */
  constructor(name: string, gates: readonly number[] = []) {
    super(name);
    this.setGates(gates);
  }

  /** Replaces the list of gates. Throws EINVAL for more than 32. */
  setGates(gates: readonly number[]): void {
    if (gates.length > MAX_REPLICAS) throw new BessError('EINVAL', `no more than ${MAX_REPLICAS} gates`);
    this.copyGates = Uint16Array.from(gates.slice(1));
  }

  override describe(): string {
    return `${this.copyGates.length + 1} gates`;
  }

  override process(batch: Batch): void {
    const gates = this.copyGates;
    const before = batch.replicated;
    batch.replicated = true;
    for (let i = 0; i < gates.length; i++) this.emit(gates[i], batch);
    this.copies += gates.length * batch.count;
    this.emit(0, batch);
    batch.replicated = before;
  }
}
