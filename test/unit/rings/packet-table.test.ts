/** The packet table: the buffers of a packet, and that they go back whole and with a clear entry. */
import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../../rings/buffer-pool.js';
import { CHAIN, CHECKSUM_PARTIAL, ENTRY_SHIFT, FLAGS, LAST, NEXT, PacketTable } from '../../../rings/packet-table.js';

/** A table in which the buffers of `chain` are one packet. */
function tableWith(chain: readonly number[], flags = CHAIN | CHECKSUM_PARTIAL): PacketTable {
  const table = new PacketTable(16);
  table.words[(chain[0]! << ENTRY_SHIFT) + FLAGS] = flags;
  for (const [i, handle] of chain.entries()) table.words[(handle << ENTRY_SHIFT) + NEXT] = chain[i + 1] ?? LAST;
  return table;
}
const emptyPool = (): BufferPool => new BufferPool({ count: 16, shift: 11, base: 0 }, 0, 0);
const contents = ({ stack, available }: BufferPool): number[] => [...stack.subarray(0, available)];

describe('the packet table', () => {
  it('says at first that every packet is a plain one, in one buffer', () => {
    const table = new PacketTable(16);
    const pool = emptyPool();
    expect(table.parts(5)).toBe(1);
    expect(table.free(5, pool)).toBe(1);
    expect(contents(pool)).toEqual([5]);
  });

  it('counts the buffers of packets', () => {
    const table = tableWith([3, 7, 1]);
    expect(table.parts(3)).toBe(3);
    expect(table.partsOf(Uint32Array.of(9, 3, 5, 3), 0, 3)).toBe(5);
    expect(table.partsOf(Uint32Array.of(9, 3, 5, 3), 2, 2)).toBe(0);
  });

  it('frees all buffers of a packet once, and clears its entry', () => {
    const table = tableWith([3, 7, 1]);
    const pool = emptyPool();
    expect(table.free(3, pool)).toBe(3);
    expect(contents(pool)).toEqual([3, 7, 1]);
    expect(table.words[3 << ENTRY_SHIFT]).toBe(0);
    // A plain packet in a buffer that was the first of several: the old link means nothing.
    expect(table.parts(3)).toBe(1);
    expect(table.free(3, pool)).toBe(1);
  });

  it('does not follow links without CHAIN', () => {
    const table = tableWith([3, 7, 1], CHECKSUM_PARTIAL);
    const pool = emptyPool();
    expect(table.free(3, pool)).toBe(1);
    expect(contents(pool)).toEqual([3]);
    table.words[4 << ENTRY_SHIFT] = CHECKSUM_PARTIAL;
    table.clear(4);
    expect(table.words[4 << ENTRY_SHIFT]).toBe(0);
  });

  it('is the same for all threads that have its words', () => {
    const table = tableWith([3, 7]);
    expect(new PacketTable(0, table.words).parts(3)).toBe(2);
    expect(table.words.buffer).toBeInstanceOf(SharedArrayBuffer);
  });
});
