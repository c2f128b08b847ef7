/** Counts the frames of a {@link BulkSender}, and reads some of them whole. */
import type { VirtioNetDevice } from '../../drivers/virtio/virtio-net-device.js';
import { FRAME_OFFSET } from '../../rings/buffer-pool.js';
import {
  CHAIN,
  CHECKSUM_PARTIAL,
  ENTRY_SHIFT,
  FLAGS,
  GSO_TCP4,
  LAST,
  LENGTH,
  NEXT,
  START,
  TOTAL,
} from '../../rings/packet-table.js';
import { HEADER_BYTES, PATTERN_BYTES, patternAt } from './frames.js';
import type { Check } from './rows.js';

const BURST = 32;
const WHOLE = CHECKSUM_PARTIAL | GSO_TCP4;

export class BulkReceiver {
  /** Bytes of all frames until now. */
  bytes = 0;
  private isChecking = false;
  private frames = 0;
  private wrong = 0;
  private gso = 0;
  private readonly pattern = Uint8Array.from({ length: PATTERN_BYTES }, (_, i) => patternAt(i));

  /** @param length of each frame in bytes */
  constructor(
    private readonly device: VirtioNetDevice,
    private readonly length: number,
  ) {}

  poll(): void {
    const { device } = this;
    const { rxHandles, rxLengths, table, pool } = device;
    const { words } = table;
    const count = device.rxBurst(BURST);
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const handle = rxHandles[i];
      const at = handle << ENTRY_SHIFT;
      bytes += (words[at + FLAGS] & CHAIN) === 0 ? rxLengths[i] : words[at + TOTAL];
      if (this.isChecking) this.check(handle, rxLengths[i]);
      table.free(handle, pool);
    }
    this.bytes += bytes;
  }

  startChecking(): void {
    this.frames = 0;
    this.wrong = 0;
    this.gso = 0;
    this.isChecking = true;
  }

  stopChecking(): Check {
    this.isChecking = false;
    return { frames: this.frames, wrong: this.wrong, gso: this.gso };
  }

  private check(handle: number, firstBytes: number): void {
    const { table, pool } = this.device;
    const { words } = table;
    const flags = words[(handle << ENTRY_SHIFT) + FLAGS];
    this.frames++;
    if ((flags & WHOLE) === WHOLE) this.gso++;
    let place = 0;
    let wrong = 0;
    if ((flags & CHAIN) === 0) {
      wrong += this.wrongIn(pool.offsetOf(handle) + FRAME_OFFSET, 0, firstBytes);
      place = firstBytes;
    } else {
      for (let part = handle; part !== LAST; part = words[(part << ENTRY_SHIFT) + NEXT]) {
        const at = part << ENTRY_SHIFT;
        wrong += this.wrongIn(pool.offsetOf(part) + words[at + START], place, words[at + LENGTH]);
        place += words[at + LENGTH];
      }
    }
    if (wrong > 0 || place !== this.length) this.wrong++;
  }

  /** How many of `length` bytes at `offset` in the memory are wrong. `place`: their place in the frame. */
  private wrongIn(offset: number, place: number, length: number): number {
    const { u8 } = this.device.memory;
    let wrong = 0;
    for (let i = Math.max(HEADER_BYTES - place, 0); i < length; i++) {
      if (u8[offset + i] !== this.pattern[(place + i) % PATTERN_BYTES]) wrong++;
    }
    return wrong;
  }
}
