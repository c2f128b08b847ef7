/** The switch's end of a guest's transmit queue, split or packed: chains of any shape in, frames by reference out. */

import { MAX_BURST, PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { QueueCounter } from '../../../drivers/virtio/device/queue-counters.js';
import { DeviceTxQueue, MAX_FRAME_BYTES } from '../../../drivers/virtio/device/tx-queue.js';
import { CHECKSUM_PARTIAL, GSO } from '../../../rings/packet-table.js';
import { HostileDriver } from '../hostile-driver.js';
import type { Input } from '../input.js';
import { takenUpTo, usedUpTo } from '../ring-places.js';
import { check, type FuzzTarget } from '../target.js';

const { packets, bytes, badHead, tooLong, badOffload } = QueueCounter;
const MAX_ACTIONS = 64;

export const deviceTx = (packed: boolean): FuzzTarget => ({
  name: `${packed ? 'packed' : 'split'}-device-tx`,
  summary: packed
    ? 'the same with a packed ring: marks, wraps, chains that go on into nothing, tables'
    : 'a hostile driver to transmit from: heads, chains, loops, NEXT, INDIRECT, addresses, indexes; no frame outside it',
  maxBytes: 512,
  prepare(feedback) {
    const driver = new HostileDriver(packed);
    const burst = new PacketBurst(driver.peer.memory);

    const checkBurst = (count: number, max: number): number => {
      check(count === burst.count && count <= Math.min(max, MAX_BURST), `${count} frames of at most ${max}`);
      let total = 0;
      for (let i = 0; i < count; i++) {
        let sum = 0;
        check(burst.firstSegment[i]! < burst.firstSegment[i + 1]!, 'a frame without segments');
        for (let s = burst.firstSegment[i]!; s < burst.firstSegment[i + 1]!; s++) {
          check(burst.segmentLength[s]! > 0, 'an empty segment');
          check(driver.owns(burst.segmentOffset[s]!, burst.segmentLength[s]!), 'a segment that is not the guest’s');
          sum += burst.segmentLength[s]!;
        }
        if (burst.offloaded !== 0 && (burst.flags[i]! & CHECKSUM_PARTIAL) !== 0) {
          const start = burst.csumStart[i]!;
          check(start >= 14 && start + burst.csumOffset[i]! + 2 <= sum, `a checksum from byte ${start} of ${sum} on`);
          check((burst.flags[i]! & GSO) === 0 || burst.gsoSize[i]! > 0, 'segments of 0 bytes');
        }
        check(sum === burst.length[i] && sum >= 14 && sum <= MAX_FRAME_BYTES, `a frame of ${sum} bytes`);
        total += sum;
      }
      return total;
    };

    const run = (input: Input): void => {
      const options = driver.begin(input);
      const { counts } = options;
      const queue = new DeviceTxQueue(driver.peer, driver.place, options);
      let broken = '';
      queue.ring.onBroken = (reason) => {
        broken = reason;
      };
      let frames = 0;
      let total = 0;
      let chains = 0;
      for (let n = 0; n < MAX_ACTIONS && input.left > 0; n++) {
        const what = input.below(8);
        if (what < 4) {
          driver.act(input, false);
          continue;
        }
        const last = takenUpTo(queue.ring, packed);
        if (what < 7) {
          const max = 1 + (input.u8() & 63);
          const waiting = (driver.availIdx - last) & 0xffff;
          const count = queue.take(burst, max);
          check(packed || waiting <= options.size || broken !== '', `an index ${waiting} ahead is believed`);
          frames += count;
          if ((options.offloads ?? 0) === 0) check(burst.offloaded === 0, 'flags where nothing was negotiated');
          total += checkBurst(count, max);
          const taken = (takenUpTo(queue.ring, packed) - last) & 0xffff;
          chains += taken;
          check(packed || taken <= Math.min(waiting, max, options.size), `${taken} chains taken of ${waiting}`);
          if (what === 5) queue.complete();
        } else {
          queue.enableKick();
          if (input.bool()) queue.disableKick();
        }
        if (broken === '') continue;
        check(!queue.ring.live && queue.take(burst, 32) === 0, 'a broken ring goes on');
        break;
      }
      let refused = counts[badOffload]!;
      for (let c = badHead; c <= tooLong; c++) refused += counts[c]!;
      check(counts[packets] === frames && counts[bytes] === total, 'frames are not counted');
      if (broken === '') queue.complete();
      const used = usedUpTo(queue.ring, packed);
      if (packed) {
        // What was taken is used, to the last descriptor.
        check(broken !== '' || used === takenUpTo(queue.ring, packed), 'chains are taken and not used');
      } else {
        const given = (options.base + chains - counts[badHead]!) & 0xffff;
        check(broken !== '' || used === given, `${chains} taken, ${counts[badHead]} without a head; used ${used}`);
        check(frames + refused === chains, `${chains} chains are ${frames} frames and ${refused} refused`);
      }
      driver.checkUntouched();
      driver.checkGuards();
      let state = (broken === '' ? 1 : 2) + (counts[badOffload]! > 0 ? 2 : 0);
      for (let c = badHead; c <= tooLong; c++) state = state * 2 + (counts[c]! > 0 ? 1 : 0);
      feedback.mark(state * 4 + Math.min(3, frames));
    };
    return { run, close: () => driver.close() };
  },
});
