/** The driver's receive queue on a device that lies about what it has received. */

import { MAX_GSO_FRAME_BYTES } from '../../../drivers/offloads.js';
import { PackedRxChains } from '../../../drivers/virtio/driver/chains/packed-rx-chains.js';
import { SplitRxChains } from '../../../drivers/virtio/driver/chains/split-rx-chains.js';
import { GUEST_CSUM, GUEST_ECN, GUEST_TSO4, GUEST_TSO6 } from '../../../drivers/virtio/driver/offload-bits.js';
import { PackedRxQueue } from '../../../drivers/virtio/driver/packed-rx.js';
import { QueueCount } from '../../../drivers/virtio/driver/queue-counts.js';
import { SplitRxQueue } from '../../../drivers/virtio/driver/split-rx.js';
import { FRAME_OFFSET, frameCapacity } from '../../../rings/buffer-pool.js';
import * as t from '../../../rings/packet-table.js';
import { BUFFERS, HostileDevice, QUEUE_SIZE, SHIFT } from '../hostile-device.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const MAX_ACTIONS = 64;

const GUEST = [GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, GUEST_ECN];

/** @param chains whether the driver has offloads */
export const driverRx = (packed: boolean, chains = false): FuzzTarget => ({
  name: `${packed ? 'packed' : 'split'}-driver-rx${chains ? '-offload' : ''}`,
  summary: chains
    ? 'the same with offloads: header fields, num_buffers that never comes, chains; what is handed on is sound'
    : packed
      ? 'the same with a packed ring: marks, wraps, ids, in order and not'
      : 'a hostile device to receive from: ids, lengths, num_buffers, indexes that jump; buffers conserved, no stray write',
  maxBytes: 384,
  prepare(feedback) {
    const device = new HostileDevice(packed, chains);
    const { words } = device.table;
    const received = { handles: new Uint32Array(32), lengths: new Uint32Array(32) };
    const { handles, lengths } = received;

    const Plain = packed ? PackedRxQueue : SplitRxQueue;
    const Queue = chains ? (packed ? PackedRxChains : SplitRxChains) : Plain;

    /** Takes the buffers of a received packet in hand, and checks what is said of it. Returns the bytes of its frame. */
    const take = (first: number, length: number, features: number): number => {
      const at = first << t.ENTRY_SHIFT;
      const flags = words[at + t.FLAGS]!;
      device.hand.push(first);
      let total = length;
      if ((flags & t.CHAIN) !== 0) {
        check(words[at + t.LENGTH] === length && words[at + t.START] === FRAME_OFFSET, 'the first part is elsewhere');
        for (let part = words[at + t.NEXT]!; part !== t.LAST; part = words[(part << t.ENTRY_SHIFT) + t.NEXT]!) {
          const start = words[(part << t.ENTRY_SHIFT) + t.START]!;
          const bytes = words[(part << t.ENTRY_SHIFT) + t.LENGTH]!;
          check(start === FRAME_OFFSET - 12 && bytes >= 1 && start + bytes <= 1 << SHIFT, `a part of ${bytes} bytes`);
          device.hand.push(part);
          total += bytes;
          check(device.hand.length <= BUFFERS, 'a chain is a loop');
        }
        check(total === words[at + t.TOTAL] && total <= MAX_GSO_FRAME_BYTES, `a frame of ${total} bytes`);
      }
      if ((flags & (t.CHECKSUM_PARTIAL | t.CHECKSUM_VERIFIED)) !== 0) {
        check((features & GUEST_CSUM) !== 0, 'a checksum that was not negotiated');
      }
      if ((flags & t.CHECKSUM_PARTIAL) !== 0) {
        const start = words[at + t.CSUM_START]!;
        check(start >= 14 && start + words[at + t.CSUM_OFFSET]! + 2 <= length, `a sum from ${start} on`);
      }
      if ((flags & t.GSO) !== 0) {
        check((flags & t.CHECKSUM_PARTIAL) !== 0 && (flags & t.CHECKSUM_VERIFIED) === 0, `flags ${flags}`);
        const needed = (flags & t.GSO) === t.GSO_TCP4 ? GUEST_TSO4 : GUEST_TSO6;
        check((flags & t.GSO) !== t.GSO && (features & needed) !== 0, 'segmentation that was not negotiated');
        const size = words[at + t.GSO_SIZE]!;
        check(size > 0 && size <= total, `segments of ${size} bytes in a packet of ${total}`);
      }
      check((flags & t.GSO_ECN) === 0 || ((flags & t.GSO) !== 0 && (features & GUEST_ECN) !== 0), 'ECN');
      feedback.mark(0x10_0000 + flags);
      return total;
    };

    const run = (input: Input): void => {
      device.begin();
      const flags = input.u8();
      const eventIdx = (flags & 1) !== 0;
      const { hand } = device;
      // 5.1.3.1: the others need the first.
      let features = chains && (flags & 8) !== 0 ? GUEST_CSUM : 0;
      if (features !== 0) for (let i = 1; i < 4; i++) if ((flags & (8 << i)) !== 0) features |= GUEST[i]!;
      const queue = new Queue('rx', device.memory, device.layout, device.pool, received, device.tables);
      // Not both: negotiation.ts.
      const inOrder = packed && (flags & 4) !== 0 && (!chains || (flags & 2) === 0);
      check(queue.start(device.space, eventIdx, (flags & 2) !== 0, inOrder, features), 'the ring cannot be filled');
      device.ringIsReset();
      queue.attach(device.doorbell);
      queue.open();
      let packets = 0;
      let bytes = 0;
      for (let n = 0; n < MAX_ACTIONS && input.left > 0; n++) {
        const what = input.below(8);
        if (what < 4) {
          device.act(input, queue);
        } else if (what < 6) {
          const max = 1 + (input.u8() & 31);
          const count = queue.burst(max);
          check(count <= max && count <= QUEUE_SIZE, `${count} frames of at most ${max}`);
          for (let i = 0; i < count; i++) {
            check(
              lengths[i]! >= 14 && lengths[i]! <= frameCapacity(device.pool.geometry.shift),
              `a frame of ${lengths[i]} bytes`,
            );
            if (chains) bytes += take(handles[i]!, lengths[i]!, features);
            else {
              hand.push(handles[i]!);
              bytes += lengths[i]!;
            }
          }
          packets += count;
          device.checkBuffers(queue);
        } else if (what === 6) {
          if (queue.enableInterrupts()) queue.disableInterrupts();
        } else if (hand.length > 0) {
          const handle = hand.splice(input.below(hand.length), 1)[0]!;
          device.table.clear(handle);
          device.pool.put(handle);
        }
        // The device resets a broken queue before anything else (virtio-net-device.ts).
        if (queue.broken !== '') break;
      }
      const { counts } = queue;
      check(counts[QueueCount.packets] === packets && counts[QueueCount.bytes] === bytes, 'frames are not counted');
      device.checkMemory(false);
      const dropped =
        (counts[QueueCount.droppedBadLength]! > 0 ? 1 : 0) +
        (counts[QueueCount.droppedTooLong]! > 0 ? 2 : 0) +
        (counts[QueueCount.droppedBadOffload]! > 0 ? 4 : 0);
      const how = queue.broken === '' ? 0 : 1 + (queue.broken.length & 7);
      feedback.mark(
        (dropped * 2 + (counts[QueueCount.droppedNoBuffer]! > 0 ? 1 : 0)) * 128 + how * 8 + Math.min(7, packets),
      );
      // The reset that follows loses nothing, whatever has happened.
      queue.reset(device.space, 0, eventIdx);
      device.checkBuffers(queue);
      check(device.pool.available + hand.length === device.pool.geometry.count, 'buffers are lost at the reset');
    };
    return { run };
  },
});
