/** The buffers that a queue of the driver has in its ring, as its table of slots says: for tests. */
import { SLOT_CHAIN } from '../../../drivers/virtio/driver/chains/tx-packets.js';
import type { Queue } from '../../../drivers/virtio/driver/queue.js';
import { ENTRY_SHIFT, NEXT } from '../../../rings/packet-table.js';

/** The buffers of a chain, from `first` on, as the links in the packet table say. At most 100. */
export function linkedFrom(first: number, words: Int32Array): number[] {
  const list: number[] = [];
  for (let part = first; part >= 0 && list.length < 100; part = words[(part << ENTRY_SHIFT) + NEXT]!) list.push(part);
  return list;
}

/** Handles of all buffers in the ring, parts of chains included. */
export function buffersIn({ tables }: Pick<Queue, 'tables'>): number[] {
  return Array.from(tables.slotHandle).flatMap((slot) => {
    if (slot >= 0) return [slot];
    return slot <= SLOT_CHAIN ? linkedFrom(SLOT_CHAIN - slot, tables.chains!.words) : [];
  });
}
