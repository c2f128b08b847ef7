/**
 * The control queue on a device that answers anything: a command is done, or refused by a line, and nothing waits for
 * ever.
 */
import { LinearAddressSpace, MemoryWindow, type PacketMemory } from '../../../drivers/memory/index.js';
import type { CommandRing } from '../../../drivers/virtio/control/command-ring.js';
import { ControlQueue } from '../../../drivers/virtio/control/control-queue.js';
import { AVAIL_USED, EVENT_DISABLE } from '../../../drivers/virtio/layout/packed.js';
import type { Input } from '../input.js';
import { check, type FuzzTarget } from '../target.js';

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
/** Where the queue's parts lie: allocated in this order (see allocateSplitQueue). */
const MEMORY_BYTES = 16384;
const BUFFER_BYTES = 2048;

const ringOf = (queue: ControlQueue): CommandRing => (queue as unknown as { ring: CommandRing }).ring;

export const controlQueue: FuzzTarget = {
  name: 'control-queue',
  summary:
    'a device that answers commands with any used entry, index or status, or never: done or refused, never stuck',
  maxBytes: 128,
  prepare(feedback) {
    const window = MemoryWindow.reserve(1);
    // Nothing waits for real: a device that does not answer has had its second at the next look at the clock.
    let now = 0;
    const clock = performance.now.bind(performance);

    const run = async (input: Input): Promise<void> => {
      window.u32.fill(0, 0, MEMORY_BYTES / 4);
      let used = 0;
      const memory = {
        u8: window.u8,
        u16: window.u16,
        u32: window.u32,
        allocate: (bytes: number, alignment: number) => {
          const offset = Math.ceil(used / alignment) * alignment;
          used = offset + bytes;
          return offset;
        },
      } as unknown as PacketMemory;
      const queue = new ControlQueue('control', memory);
      const { layout } = queue;
      const flags = input.u8();
      const packed = (flags & 2) !== 0;
      queue.start(new LinearAddressSpace(0x7_0000_0000), packed, (flags & 1) !== 0, 2 + input.below(20));
      check(used <= MEMORY_BYTES, `the queue takes ${used} bytes`);
      const ackAt = used - 1;
      let usedIdx = 0;
      let wrap = AVAIL_USED;
      let answers = 0;
      const ring = (): void => {
        const how = input.u8();
        const size = queue.layout.size;
        window.u8[ackAt] = (how & 0x30) === 0x30 ? input.u8() : 0;
        answers++;
        if (packed) {
          // A used descriptor for both of the chain's; or at another place, or marked for another round.
          const at = (layout.descriptors >>> 2) + 4 * usedIdx;
          window.u32[at + 2] = input.u8();
          const mark = (how & 0xc0) === 0xc0 ? input.u8() << 24 : wrap;
          window.u32[at + 3] = ((how & 7) === 7 ? input.u16() : 0) | mark;
          usedIdx += 2;
          if (usedIdx >= size) {
            usedIdx -= size;
            wrap ^= AVAIL_USED;
          }
          window.u32[layout.device >>> 2] = (how & 8) !== 0 ? EVENT_DISABLE : 0;
          return;
        }
        const at = (layout.device + 4 + 8 * (usedIdx & (size - 1))) >>> 2;
        const id = (how & 7) === 7 ? input.u32() : 0;
        window.u32[at] = id;
        window.u32[at + 1] = input.u8();
        usedIdx = (usedIdx + ((how & 0xc0) === 0xc0 ? input.u16() : 1)) & 0xffff;
        window.u16[(layout.device + 2) >>> 1] = usedIdx;
        // Flags and avail_event: whether it wants to be told of the next one.
        window.u16[layout.device >>> 1] = (how & 8) >>> 3;
      };
      queue.attach({ ring });
      const commands = [
        () => queue.setPromiscuous(true),
        () => queue.setAllMulticast(false),
        () => queue.setMac(MAC),
        () => queue.setMacTable([MAC], [MAC, MAC]),
        () => queue.acknowledgeAnnounce(),
      ];
      let done = 0;
      let refused = 0;
      performance.now = () => (now += 600);
      try {
        for (let n = 0; n < 8 && input.left > 0; n++) {
          try {
            await input.pick(commands)();
            done++;
            check(ringOf(queue).broken === '' && window.u8[ackAt] === 0, 'done, but the device has not said so');
          } catch (error) {
            const { name, message } = error as Error;
            if (name !== 'Error' || !message.startsWith('control: ')) throw error;
            refused++;
          }
        }
      } finally {
        performance.now = clock;
      }
      check(answers <= done + refused, `${answers} doorbells for ${done + refused} commands`);
      // One buffer: it is free, or the device's until the reset.
      const held = ringOf(queue).reset(new LinearAddressSpace(0x7_0000_0000), 0, false);
      check(held === 0 || held === 1, `${held} buffers of one`);
      check(used === ackAt + 1 && BUFFER_BYTES < used, 'the layout has changed');
      feedback.mark(((done * 16 + refused) * 2 + held) * 2 + (ringOf(queue).broken === '' ? 0 : 1));
    };
    return { run };
  },
};
