/**
 * Memory for the indirect descriptors of a transmit queue (virtio 1.2, 2.7.5.3 and 2.8.7): a table for each entry of
 * the ring, so that no table needs to be looked for.
 */
import type { PacketTable } from '../../../../rings/packet-table.js';
import type { PacketMemory } from '../../../memory/index.js';
import { DESC_BYTES } from '../../layout/split.js';
import type { ChainMemory } from '../queue-tables.js';

/** The most buffers that a packet to send may lie in. */
export const MAX_PARTS = 64;

/** log2 of the bytes of an indirect table of {@link MAX_PARTS} descriptors. */
export const INDIRECT_SHIFT = 10;

/** Bytes of packet memory that the indirect tables of a queue of `entries` entries take, for their alignment too. */
export function indirectBytes(entries: number): number {
  return (entries + 1) << INDIRECT_SHIFT;
}

/** Takes memory for the indirect tables of a transmit queue of `entries` entries. A table crosses no page. */
export function allocateIndirect(memory: PacketMemory, entries: number, table: PacketTable): ChainMemory {
  const bytes = MAX_PARTS * DESC_BYTES;
  return { words: table.words, indirect: memory.allocate(entries * bytes, bytes) };
}
