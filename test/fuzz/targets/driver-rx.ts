/** The driver's receive queue on a device that lies about what it has received. */

import { PackedRxQueue } from '../../../drivers/virtio/driver/packed-rx.js';
import { QueueCount } from '../../../drivers/virtio/driver/queue-counts.js';
import { SplitRxQueue } from '../../../drivers/virtio/driver/split-rx.js';
import { frameCapacity } from '../../../rings/buffer-pool.js';
import { HostileDevice, QUEUE_SIZE } from '../hostile-device.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const MAX_ACTIONS = 64;

export const driverRx = (packed: boolean): FuzzTarget => ({
  name: `${packed ? 'packed' : 'split'}-driver-rx`,
  summary: packed
    ? 'the same with a packed ring: marks, wraps, ids, in order and not'
    : 'a hostile device to receive from: ids, lengths, num_buffers, indexes that jump; buffers conserved, no stray write',
  maxBytes: 384,
  prepare(feedback) {
    const device = new HostileDevice(packed);
    const received = { handles: new Uint32Array(32), lengths: new Uint32Array(32) };
    const { handles, lengths } = received;

    const run = (input: Input): void => {
      device.begin();
      const flags = input.u8();
      const eventIdx = (flags & 1) !== 0;
      const { hand } = device;
      const queue = new (packed ? PackedRxQueue : SplitRxQueue)(
        'rx',
        device.memory,
        device.layout,
        device.pool,
        received,
        device.tables,
      );
      check(
        queue.start(device.space, eventIdx, (flags & 2) !== 0, packed && (flags & 4) !== 0),
        'the ring cannot be filled',
      );
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
            hand.push(handles[i]!);
            bytes += lengths[i]!;
          }
          packets += count;
          device.checkBuffers(queue);
        } else if (what === 6) {
          if (queue.enableInterrupts()) queue.disableInterrupts();
        } else if (hand.length > 0) {
          device.pool.put(hand.splice(input.below(hand.length), 1)[0]!);
        }
        // The device resets a broken queue before anything else (virtio-net-device.ts).
        if (queue.broken !== '') break;
      }
      const { counts } = queue;
      check(counts[QueueCount.packets] === packets && counts[QueueCount.bytes] === bytes, 'frames are not counted');
      device.checkMemory(false);
      const dropped =
        (counts[QueueCount.droppedBadLength]! > 0 ? 1 : 0) + (counts[QueueCount.droppedTooLong]! > 0 ? 2 : 0);
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
