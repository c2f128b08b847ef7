/**
 * BPF: chooses the output gate by filters (BESS: bpf.cc). The filter with the highest priority that matches a packet says
 * which gate; without a match it is gate 0. The language is that of `tspmd capture`, a part of pcap-filter(7).
 */
import type { PacketBurst } from '../../drivers/virtio/device/packet-burst.js';
import { type CompiledFilter, compileFilter } from '../../observe/capture/filter/parse.js';
import { BessError } from '../errors.js';
import type { Batch } from './batch.js';
import { MAX_GATES } from './module.js';
import { Splitter } from './splitter.js';

/** A filter, as a script writes it. */
export interface BpfFilter {
  readonly priority: number;
  readonly filter: string;
  readonly gate: number;
}

interface Compiled extends BpfFilter {
  readonly compiled: CompiledFilter;
}

export class Bpf extends Splitter {
  override readonly className = 'BPF';
  /** In descending order of their priorities; among equals, in the order in which they were added. */
  private filters: readonly Compiled[] = [];
  /** Bytes from the beginning of a frame that the filters look at, at most. */
  private reach = 0;
  /** The beginning of a frame that lies in several segments. */
  private gathered = new Uint8Array(0);

  /** Throws what {@link add} throws. */
  constructor(name: string, filters: readonly BpfFilter[] = []) {
    super(name);
    this.add(filters);
  }

  override describe(): string {
    const { length } = this.filters;
    return `${length} ${length === 1 ? 'filter' : 'filters'}`;
  }

  /** Adds filters. Throws EINVAL at the first bad one, and adds none then. */
  add(filters: readonly BpfFilter[]): void {
    for (const { gate } of filters) checkGate(gate);
    this.use([...this.filters, ...filters.map((filter) => ({ ...filter, compiled: compiledOf(filter) }))]);
  }

  /** Removes for each of `filters` one filter that is the same. As in BESS, there need not be one. */
  delete(filters: readonly BpfFilter[]): void {
    for (const { gate } of filters) checkGate(gate);
    const left = [...this.filters];
    for (const { priority, filter, gate } of filters) {
      const at = left.findIndex((one) => one.priority === priority && one.gate === gate && one.filter === filter);
      if (at >= 0) left.splice(at, 1);
    }
    this.use(left);
  }

  /** Removes all filters. */
  clear(): void {
    this.use([]);
  }

  override process(batch: Batch): void {
    const { burst, indices, count } = batch;
    const { gateOf, filters } = this;
    if (filters.length === 0) {
      this.emit(0, batch);
      return;
    }
    let differ = 0;
    for (let i = 0; i < count; i++) {
      const gate = this.gateFor(burst, indices[i]);
      gateOf[i] = gate;
      differ |= gate ^ gateOf[0];
    }
    if (differ === 0) this.emit(gateOf[0], batch);
    else this.split(batch);
  }

  private use(filters: readonly Compiled[]): void {
    this.filters = [...filters].sort((one, other) => other.priority - one.priority);
    this.reach = Math.max(0, ...filters.map(({ compiled }) => compiled.reach));
    this.gathered = new Uint8Array(this.reach);
  }

  private gateFor(burst: PacketBurst, packet: number): number {
    const { filters, reach } = this;
    const first = burst.firstSegment[packet];
    const length = burst.length[packet];
    let bytes = burst.segmentLength[first];
    let { u8 } = burst.memory;
    let at = burst.segmentOffset[first];
    if (bytes < length && bytes < reach) {
      bytes = burst.gather(packet, this.gathered);
      u8 = this.gathered;
      at = 0;
    }
    for (let i = 0; i < filters.length; i++) if (filters[i].compiled.match(u8, at, bytes)) return filters[i].gate;
    return 0;
  }
}

function checkGate(gate: number): void {
  if (gate < 0 || gate >= MAX_GATES) {
    throw new BessError('EINVAL', `Invalid gate ${gate}: a BPF has the gates 0 to ${MAX_GATES - 1}`);
  }
}

function compiledOf({ filter }: BpfFilter): CompiledFilter {
  try {
    return compileFilter(filter);
  } catch (error) {
    throw new BessError('EINVAL', `BPF compilation error: ${(error as Error).message}`);
  }
}
