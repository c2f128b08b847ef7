/** The driver's transmit queue on a device that lies about what it has sent. */

import { OFFLOAD_CSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../../drivers/offloads.js';
import { PackedTxChains } from '../../../drivers/virtio/driver/chains/packed-tx-chains.js';
import { SplitTxChains } from '../../../drivers/virtio/driver/chains/split-tx-chains.js';
import { USE_INDIRECT } from '../../../drivers/virtio/driver/offload-bits.js';
import { PackedTxQueue } from '../../../drivers/virtio/driver/packed-tx.js';
import { QueueCount } from '../../../drivers/virtio/driver/queue-counts.js';
import { SplitTxQueue } from '../../../drivers/virtio/driver/split-tx.js';
import { FRAME_OFFSET, NO_BUFFER } from '../../../rings/buffer-pool.js';
import * as t from '../../../rings/packet-table.js';
import { packetOf } from '../../support/offload/packets.js';
import { HostileDevice, QUEUE_SIZE } from '../hostile-device.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const MAX_ACTIONS = 64;
const GSO_FLAGS = [t.GSO_TCP4, t.GSO_TCP6];

const droppedOf = (counts: Float64Array): number =>
  counts[QueueCount.droppedBadLength]! + counts[QueueCount.droppedBadOffload]!;

const FEATURES = [OFFLOAD_CSUM, OFFLOAD_TSO4, OFFLOAD_TSO6, OFFLOAD_ECN, USE_INDIRECT];
const PACKETS = [packetOf({ payload: 200 }), packetOf({ payload: 200, version: 6 }), packetOf({ protocol: 'udp' })];

/** @param chains whether the driver has offloads */
export const driverTx = (packed: boolean, chains = false): FuzzTarget => ({
  name: `${packed ? 'packed' : 'split'}-driver-tx${chains ? '-offload' : ''}`,
  summary: chains
    ? 'the same with offloads: packets in several buffers that ask for anything; what is offered lies in their buffers'
    : packed
      ? 'the same with a packed ring: marks, wraps, ids, in order and not'
      : 'a hostile device to send to: used ids, twice, never offered, indexes that jump; buffers conserved, no stray write',
  maxBytes: 384,
  prepare(feedback) {
    const device = new HostileDevice(packed, chains);
    const { words } = device.table;
    const Plain = packed ? PackedTxQueue : SplitTxQueue;
    const Queue = chains ? (packed ? PackedTxChains : SplitTxChains) : Plain;
    const handles = new Uint32Array(32);
    const lengths = new Uint32Array(32);

    /** Appends up to three buffers to the packet in `first`, and asks for what the case says. Returns the bytes in `first`. */
    const shape = (input: Input, first: number): number => {
      const { pool, hand } = device;
      const packet = PACKETS[input.below(PACKETS.length)]!;
      device.fill(pool.offsetOf(first) + FRAME_OFFSET, packet.frame.subarray(0, packet.headers));
      const entry = first << t.ENTRY_SHIFT;
      const kind = input.u8();
      const length = (kind & 0x80) === 0 ? packet.headers + (kind & 63) : input.u8();
      let flags = [0, t.CHECKSUM_PARTIAL, t.CHECKSUM_PARTIAL | GSO_FLAGS[kind & 1]!, input.u8()][(kind >>> 4) & 3]!;
      flags &= ~t.CHAIN;
      words[entry + t.GSO_SIZE] = (kind & 0x40) === 0 ? 100 : input.u16() - 2;
      words[entry + t.CSUM_START] = (kind & 0x40) === 0 ? packet.csumStart : input.u16() - 2;
      words[entry + t.CSUM_OFFSET] = (kind & 0x40) === 0 ? packet.csumOffset : input.u8() - 2;
      let total = length;
      let last = entry;
      // As many as the ring may have, and one more.
      for (let more = input.below(8) < 4 ? 0 : input.below(QUEUE_SIZE + 1); more > 0; more--) {
        const part = pool.get();
        if (part === NO_BUFFER) break;
        hand.push(part);
        flags |= t.CHAIN;
        words[last + t.NEXT] = part;
        last = part << t.ENTRY_SHIFT;
        words[last + t.START] = FRAME_OFFSET - 12 + input.below(8);
        words[last + t.LENGTH] = (input.u8() + 1) & 0xff;
        total += words[last + t.LENGTH]!;
      }
      words[last + t.NEXT] = t.LAST;
      words[entry + t.START] = FRAME_OFFSET;
      words[entry + t.LENGTH] = length;
      words[entry + t.TOTAL] = (kind & 0xc0) === 0xc0 ? total + 1 : total;
      words[entry + t.FLAGS] = flags;
      return length;
    };

    /** All buffers of the packet in `first`. */
    const partsOf = (first: number): number[] => {
      const parts: number[] = [];
      device.table.free(first, { put: (part) => parts.push(part) });
      return parts;
    };

    const run = (input: Input): void => {
      device.begin();
      const { hand, pool } = device;
      const flags = input.u8();
      const eventIdx = (flags & 1) !== 0;
      let features = 0;
      if (chains) for (const [i, bit] of FEATURES.entries()) if ((flags & (8 << i)) !== 0) features |= bit;
      const queue = new Queue('tx', device.memory, device.layout, pool, device.tables);
      const longest = 100 + input.u8();
      queue.start(device.space, eventIdx, chains ? 5 * longest : longest, packed && (flags & 4) !== 0, features);
      device.ringIsReset();
      queue.attach(device.doorbell);
      let packets = 0;
      let reclaimed = 0;
      for (let n = 0; n < MAX_ACTIONS && input.left > 0; n++) {
        const what = input.below(8);
        if (what < 3) {
          device.act(input, queue);
        } else if (what < 6) {
          const count = 1 + input.below(8);
          let filled = 0;
          for (; filled < count; filled++) {
            const handle = pool.get();
            if (handle === NO_BUFFER) break;
            handles[filled] = handle;
            hand.push(handle);
            lengths[filled] = chains ? shape(input, handle) : input.u8();
          }
          const refused = droppedOf(queue.counts);
          const kept = chains ? hand.length : 0;
          const entries = Array.from({ length: filled }, (_, i) => words[handles[i]! << t.ENTRY_SHIFT]!);
          const slots = device.tables.slotHandle.slice();
          const taken = queue.burst(handles, lengths, filled);
          check(taken <= filled, `${taken} frames taken of ${filled}`);
          const isStuck = taken === 0 && filled > 0 && queue.inFlight === 0 && queue.broken === '';
          check(!isStuck, 'a packet that the empty ring does not take');
          check(!chains || hand.length === kept, 'the caller’s list was changed');
          hand.length = 0;
          for (let i = taken; i < filled; i++) {
            check(
              words[handles[i]! << t.ENTRY_SHIFT] === entries[i],
              'the entry of a packet that was not taken changed',
            );
            for (const part of partsOf(handles[i]!)) pool.put(part);
          }
          packets += taken - (droppedOf(queue.counts) - refused);
          // In a packed ring the later packets of a burst may take places of earlier ones, if the device has lied.
          if (chains && (!packed || filled === 1)) device.checkOffered(queue, slots, (features & USE_INDIRECT) !== 0);
        } else if (what === 6) {
          const before = queue.inFlight;
          queue.reclaim();
          check(queue.inFlight <= before, 'more in flight than before');
          reclaimed += before - queue.inFlight;
        } else if (queue.enableInterrupts()) {
          queue.disableInterrupts();
        }
        check(queue.inFlight >= 0 && queue.inFlight <= QUEUE_SIZE, `${queue.inFlight} frames in flight`);
        if (what >= 3) device.checkBuffers(queue);
        if (queue.broken !== '') break;
      }
      check(queue.counts[QueueCount.packets] === packets, 'frames are not counted');
      check(chains || pool.available + queue.inFlight === pool.geometry.count, 'buffers are not accounted for');
      device.checkMemory(true);
      const how = queue.broken === '' ? 0 : 1 + (queue.broken.length & 7);
      feedback.mark(((how * 8 + Math.min(7, packets)) * 8 + Math.min(7, reclaimed)) * 9 + queue.inFlight);
      const held = chains ? device.packetsIn(queue) : queue.inFlight;
      check(queue.reset(device.space, 0, eventIdx) === held, 'the reset gives back another number of buffers');
      check(pool.available === pool.geometry.count, 'buffers are lost at the reset');
    };
    return { run };
  },
});
