/**
 * Memory for the indirect descriptors of a transmit queue (virtio 1.2, 2.7.5.3 and 2.8.7): a table for each entry of
 * the ring, so that no table needs to be looked for.
 */
import type { PacketTable } from '../../../../rings/packet-table.js';
import { type AddressSpace, contiguousIova, type PacketMemory } from '../../../memory/index.js';
import type { ChainMemory, ChainTables } from '../queue-tables.js';

/** The most buffers that a packet to send may lie in. */
export const MAX_PARTS = 64;

/** log2 of the bytes of an indirect table: {@link MAX_PARTS} descriptors of 16 bytes. */
export const INDIRECT_SHIFT = 10;

/** Number of values of the low word of an address. */
const WORD_VALUES = 2 ** 32;

/** Bytes of packet memory that the indirect tables of a queue of `entries` entries take, for their alignment too. */
export function indirectBytes(entries: number): number {
  return (entries + 1) << INDIRECT_SHIFT;
}

/** Takes memory for the indirect tables of a transmit queue of `entries` entries. A table crosses no page. */
export function allocateIndirect(memory: PacketMemory, entries: number, table: PacketTable): ChainMemory {
  return { words: table.words, indirect: memory.allocate(entries << INDIRECT_SHIFT, 1 << INDIRECT_SHIFT) };
}

/** Learns how the device addresses the first `entries` tables. */
export function mapIndirect(space: AddressSpace, chains: ChainTables, entries: number): void {
  const { indirect, indirectLow, indirectHigh } = chains;
  for (let i = 0; i < entries; i++) {
    const address = contiguousIova(space, indirect + (i << INDIRECT_SHIFT), 1 << INDIRECT_SHIFT);
    indirectLow[i] = address % WORD_VALUES;
    indirectHigh[i] = Math.floor(address / WORD_VALUES);
  }
}
