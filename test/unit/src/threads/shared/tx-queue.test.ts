/** A tx_queue as the place where a burst goes: what it counts when packets lie in several buffers. */
import { expect, it } from 'vitest';
import { BufferPool } from '../../../../../rings/buffer-pool.js';
import { CHAIN, ENTRY_SHIFT, LAST, NEXT, PacketTable } from '../../../../../rings/packet-table.js';
import { SpscRing } from '../../../../../rings/spsc-ring.js';
import { Doorbell } from '../../../../../src/threads/shared/doorbell.js';
import { TxQueue } from '../../../../../src/threads/shared/tx-queue.js';

it('counts the buffers beyond the first of the packets that the ring took', () => {
  const bytes = new Uint8Array(new SharedArrayBuffer(64));
  const memory = { u8: bytes, u16: new Uint16Array(bytes.buffer), u32: new Uint32Array(bytes.buffer) };
  const ring = new SpscRing(new SharedArrayBuffer(SpscRing.bytesFor(4)), 0, 4);
  const table = new PacketTable(64);
  const doorbell = new Doorbell(new Int32Array(new SharedArrayBuffer(128)), 0);
  const queue = new TxQueue(memory, new BufferPool({ count: 64, shift: 11, base: 0 }), table, ring, doorbell, true);
  // Packets of 1, 2, 3, 4, 5 and 6 buffers.
  const firsts = [0, 1, 3, 6, 10, 15];
  for (const [i, first] of firsts.entries()) {
    if (i > 0) table.words[first << ENTRY_SHIFT] = CHAIN;
    for (let part = first; part <= first + i; part++) {
      table.words[(part << ENTRY_SHIFT) + NEXT] = part === first + i ? LAST : part + 1;
    }
  }
  const handles = Uint32Array.from(firsts);
  expect(queue.txBurst(handles, new Uint32Array(6).fill(60), 6)).toBe(4);
  expect(queue.moreBuffers).toBe(0 + 1 + 2 + 3);
  ring.dequeueBurst(new Uint32Array(4), new Uint32Array(4), 4);
  expect(queue.txBurst(handles.subarray(4), new Uint32Array(2).fill(60), 2)).toBe(2);
  expect(queue.moreBuffers).toBe(6 + 4 + 5);
});
