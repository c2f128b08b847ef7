/**
 * Replicate: sends every packet to several gates (BESS: replicate.cc).
 *
 * As in BESS the original always leaves by gate 0, even if the list begins with another gate. Copies leave by
 * `gates[1:]`. This module copies no bytes: each gate gets the same indices, and each output module copies from the
 * sender's memory.
 */
import { BessError } from '../errors.js';
import type { Batch } from './batch.js';
import type { Attribute } from './metadata/attribute.js';
import { Module } from './module.js';

const MAX_REPLICAS = 32;

export class Replicate extends Module {
  override readonly className = 'Replicate';
  override readonly outputGates = MAX_REPLICAS;
  /** Copies that this module made: packets that left by `gates[1:]`. */
  copies = 0;
  private copyGates = new Uint16Array(0);
  private keptAttributes: readonly Attribute[] = [];
  /** The values of the attributes when a batch came. */
  private keptValues: readonly Int32Array[] = [];

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

  /**
   * Sets the metadata attributes that a module behind one gate may change, and that the packets behind the next gate must
   * have as they came: all copies of a packet have its number.
   */
  set kept(attributes: readonly Attribute[]) {
    this.keptAttributes = attributes;
    this.keptValues = attributes.map(({ words }) => new Int32Array(words.length));
  }

  get kept(): readonly Attribute[] {
    return this.keptAttributes;
  }

  override describe(): string {
    return `${this.copyGates.length + 1} gates`;
  }

  override process(batch: Batch): void {
    const gates = this.copyGates;
    const before = batch.replicated;
    const { headroom } = batch;
    batch.replicated = true;
    // All copies have the same bytes, so only the last one may be changed.
    batch.headroom = 0;
    const { keptAttributes, keptValues } = this;
    for (let k = 0; k < keptAttributes.length; k++) keptValues[k].set(keptAttributes[k].words);
    for (let i = 0; i < gates.length; i++) {
      this.emit(gates[i], batch);
      for (let k = 0; k < keptAttributes.length; k++) keptAttributes[k].write().set(keptValues[k]);
    }
    this.copies += gates.length * batch.count;
    batch.headroom = headroom;
    this.emit(0, batch);
    batch.replicated = before;
  }
}
