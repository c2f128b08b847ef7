/** The switch's end of a guest's receive queue: frames into buffers of any shape. */
import { copierFor } from '../../../drivers/memory/index.js';
import { MAX_BURST, PacketBurst } from '../../../drivers/virtio/device/packet-burst.js';
import { QueueCounter } from '../../../drivers/virtio/device/queue-counters.js';
import { DeviceRxQueue } from '../../../drivers/virtio/device/rx-queue.js';
import { CHECKSUM_PARTIAL, GSO_TCP4 } from '../../../rings/packet-table.js';
import { HostileDriver } from '../hostile-driver.js';
import type { Input } from '../input.js';
import { takenUpTo, usedUpTo } from '../ring-places.js';
import { check, type FuzzTarget } from '../target.js';

const { packets, bytes, badHead, tooLong, noBuffer, noDriver, noRoom, smallBuffer, badOffload } = QueueCounter;
const MAX_ACTIONS = 64;
const SOURCE_BYTES = 8192;

const droppedBy = (counts: Float64Array): number =>
  counts[noBuffer]! + counts[noRoom]! + counts[noDriver]! + counts[badOffload]!;

export const deviceRx = (packed: boolean): FuzzTarget => ({
  name: `${packed ? 'packed' : 'split'}-device-rx`,
  summary:
    'a hostile driver to receive into: buffers, chains, merging; nothing written outside it, every frame counted',
  maxBytes: 512,
  prepare(feedback) {
    const driver = new HostileDriver(packed);
    const buffer = new SharedArrayBuffer(SOURCE_BYTES);
    // Frames that come from another memory, and from the same.
    const other = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
    for (let i = 0; i < SOURCE_BYTES; i++) other.u8[i] = i * 7 + (i >>> 8);
    copierFor(other);
    const burst = new PacketBurst(other);
    const indices = new Uint8Array(MAX_BURST);

    const fill = (input: Input): number => {
      burst.clear();
      burst.memory = other;
      const count = 1 + input.below(4);
      for (let i = 0; i < count; i++) {
        const shape = input.u8();
        const length = 16 + (input.u16() % ((shape & 0xc0) === 0 ? 4000 : 200));
        const from = shape & 15;
        burst.push(from, length);
        // Its sender leaves the checksum to others, perhaps also segmentation; what its headers say is another matter.
        burst.flags[i] =
          (shape & 0x20) === 0 ? 0 : (shape & 0x40) === 0 ? CHECKSUM_PARTIAL : CHECKSUM_PARTIAL | GSO_TCP4;
        if (burst.flags[i] !== 0) burst.offloaded++;
        burst.csumStart[i] = 14 + (from % (length - 15));
        burst.csumOffset[i] = Math.min(16, length - 2 - burst.csumStart[i]!);
        burst.gsoSize[i] = 1 + from;
        if ((shape & 16) === 0 || length < 32) continue;
        // In two segments, the first one perhaps odd.
        const s = burst.segments - 1;
        const head = 1 + (shape & 15);
        burst.segmentLength[s] = head;
        burst.segmentOffset[s + 1] = 4096 + head;
        burst.segmentLength[s + 1] = length - head;
        burst.segments++;
        burst.firstSegment[i + 1] = burst.segments;
      }
      for (let i = 0; i < count; i++) indices[i] = i;
      return count;
    };

    const run = (input: Input): void => {
      const options = driver.begin(input);
      const { counts, size } = options;
      const queue = new DeviceRxQueue(driver.peer, driver.place, options);
      let broken = '';
      queue.ring.onBroken = (reason) => {
        broken = reason;
      };
      let delivered = 0;
      let total = 0;
      for (let n = 0; n < MAX_ACTIONS && input.left > 0; n++) {
        const what = input.below(8);
        if (what < 5) {
          driver.act(input, true);
          continue;
        }
        if (what === 7) {
          queue.enableKick();
          if (input.bool()) queue.disableKick();
        } else {
          const count = fill(input);
          const last = takenUpTo(queue.ring, packed);
          const used = usedUpTo(queue.ring, packed);
          const skipped = counts[badHead]!;
          const bytesBefore = counts[bytes]!;
          const droppedBefore = droppedBy(counts);
          const waiting = (driver.availIdx - last) & 0xffff;
          const got = queue.put(burst, indices, count);
          delivered += got;
          const dropped = droppedBy(counts) - droppedBefore;
          check(got + dropped === count, `${count} frames are ${got} delivered and ${dropped} dropped`);
          if (packed) {
            const isEven = takenUpTo(queue.ring, packed) === usedUpTo(queue.ring, packed);
            check(isEven || broken !== '', 'chains are taken and not used');
            feedback.mark(0x4000 + got);
          } else {
            check(waiting <= size || broken !== '', `an index ${waiting} ahead is believed`);
            const taken = (takenUpTo(queue.ring, packed) - last) & 0xffff;
            check(taken <= waiting, `${taken} chains used of ${waiting}`);
            const elements = (usedUpTo(queue.ring, packed) - used) & 0xffff;
            check(elements === taken - (counts[badHead]! - skipped), `${elements} used for ${taken} taken`);
            check(elements === 0 || driver.usedIdx === usedUpTo(queue.ring, packed), 'what is used is not shown');
            let filled = 0;
            for (let i = 0; i < elements; i++) {
              const { id, length } = driver.usedElement(used + i);
              // A chain may hold the used ring itself: then it says what the frame says.
              if (elements <= size && id < size && length > 0) filled++;
            }
            feedback.mark(0x4000 + 64 * Math.min(7, elements) + 8 * Math.min(7, filled) + got);
          }
          total += counts[bytes]! - bytesBefore;
        }
        if (broken === '') continue;
        check(!queue.ring.live && queue.put(burst, indices, 1) === 0, 'a broken ring goes on');
        break;
      }
      check(counts[packets] === delivered, 'frames are not counted');
      check(counts[bytes] === total, 'bytes are not counted');
      driver.checkGuards();
      let state = broken === '' ? 1 : 2;
      for (let c = badHead; c <= smallBuffer; c++)
        if (c < 10 || c > tooLong) state = state * 2 + (counts[c]! > 0 ? 1 : 0);
      feedback.mark(state * 4 + Math.min(3, delivered));
    };
    return { run, close: () => driver.close() };
  },
});
