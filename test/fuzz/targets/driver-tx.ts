/** The driver's transmit queue on a device that lies about what it has sent. */

import { PackedTxQueue } from '../../../drivers/virtio/driver/packed-tx.js';
import { QueueCount } from '../../../drivers/virtio/driver/queue-counts.js';
import { SplitTxQueue } from '../../../drivers/virtio/driver/split-tx.js';
import { NO_BUFFER } from '../../../rings/buffer-pool.js';
import { HostileDevice, QUEUE_SIZE } from '../hostile-device.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const MAX_ACTIONS = 64;

export const driverTx = (packed: boolean): FuzzTarget => ({
  name: `${packed ? 'packed' : 'split'}-driver-tx`,
  summary: packed
    ? 'the same with a packed ring: marks, wraps, ids, in order and not'
    : 'a hostile device to send to: used ids, twice, never offered, indexes that jump; buffers conserved, no stray write',
  maxBytes: 384,
  prepare(feedback) {
    const device = new HostileDevice(packed);
    const handles = new Uint32Array(32);
    const lengths = new Uint32Array(32);

    const run = (input: Input): void => {
      device.begin();
      const { hand, pool } = device;
      const flags = input.u8();
      const eventIdx = (flags & 1) !== 0;
      const queue = new (packed ? PackedTxQueue : SplitTxQueue)(
        'tx',
        device.memory,
        device.layout,
        pool,
        device.tables,
      );
      const longest = 100 + input.u8();
      queue.start(device.space, eventIdx, longest, packed && (flags & 4) !== 0);
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
            lengths[filled] = input.u8();
            hand.push(handle);
          }
          const bad = queue.counts[QueueCount.droppedBadLength]!;
          const taken = queue.burst(handles, lengths, filled);
          check(taken <= filled, `${taken} frames taken of ${filled}`);
          for (let i = 0; i < filled; i++) {
            hand.pop();
            if (i >= taken) pool.put(handles[i]!);
          }
          packets += taken - (queue.counts[QueueCount.droppedBadLength]! - bad);
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
      check(pool.available + queue.inFlight === pool.geometry.count, 'buffers are not accounted for');
      device.checkMemory(true);
      const how = queue.broken === '' ? 0 : 1 + (queue.broken.length & 7);
      feedback.mark(((how * 8 + Math.min(7, packets)) * 8 + Math.min(7, reclaimed)) * 9 + queue.inFlight);
      const held = queue.inFlight;
      check(queue.reset(device.space, 0, eventIdx) === held, 'the reset gives back another number of buffers');
      check(pool.available === pool.geometry.count, 'buffers are lost at the reset');
    };
    return { run };
  },
});
