/**
 * The driver's side of one virtqueue, slow and simple: the counterpart of the device-side queues in tests. Its memory
 * stands for that of a guest: addresses there are far from offsets here, and need more than 32 bits.
 */
import { readSync } from 'node:fs';
import { closeFile, eventfd } from '../../../drivers/libc/index.js';
import type { MemoryViews } from '../../../drivers/memory/index.js';
import { makeQueueCounters } from '../../../drivers/virtio/device/queue-counters.js';
import type { GuestMemory, RingOptions, RingPlace } from '../../../drivers/virtio/device/ring.js';

/** Bytes of the driver's memory. */
export const MEMORY_BYTES = 1 << 20;
/**
 * Guest-physical address of offset 0. The memory crosses a multiple of 2^32, so that both halves of an address matter.
 */
export const GUEST_BASE = 0x1_fff8_0000;

/** Part of a chain: bytes of the memory that the device may read or (write) may write. */
export interface Part {
  readonly offset: number;
  readonly length: number;
  readonly write?: boolean;
}

export interface UsedElement {
  readonly id: number;
  readonly length: number;
}

export abstract class DriverModel implements GuestMemory {
  readonly memory: MemoryViews;
  readonly place: RingPlace;
  readonly options: RingOptions;
  protected readonly view: DataView;
  protected nextTable: number;
  private nextBuffer: number;

  /**
   * @param memory of {@link MEMORY_BYTES} bytes or more; one of its own by default
   * @param ring where the ring lies, so that two drivers can share a memory: 0 or 1
   */
  constructor(options: Partial<RingOptions> = {}, memory: MemoryViews = ownMemory(), ring = 0) {
    this.memory = memory;
    this.view = new DataView(memory.u8.buffer, memory.u8.byteOffset);
    this.options = {
      size: 16,
      base: 0,
      packed: false,
      eventIdx: false,
      indirect: true,
      headerBytes: 12,
      mergeable: true,
      counts: makeQueueCounters(),
      ...options,
      callFd: options.callFd ?? eventfd(),
    };
    const start = ring * 0x8_0000;
    this.place = { desc: start + 0x1000, avail: start + 0x1_1000, used: start + 0x1_8000 };
    this.nextTable = start + 0x2_0000;
    this.nextBuffer = start + 0x4_0000;
  }

  /**
   * Makes a chain of these parts and offers it. If `direct` is less than their number, the others (in a packed ring:
   * all) lie in an indirect table. Returns the id by which the chain will be used.
   */
  abstract offer(parts: readonly Part[], direct?: number): number;
  /** What the device has used since the last call. The descriptors of the chains are free again. */
  abstract takeUsed(): UsedElement[];

  translate(low: number, high: number, length: number): number {
    const offset = high * 2 ** 32 + low - GUEST_BASE;
    return offset >= 0 && offset + length <= MEMORY_BYTES ? offset : -1;
  }

  /** Takes `length` bytes of the memory for a buffer, `skew` bytes off a multiple of 64. */
  buffer(length: number, skew = 0): number {
    const offset = this.nextBuffer + skew;
    this.nextBuffer = Math.ceil((offset + length) / 64) * 64;
    if (this.nextBuffer > MEMORY_BYTES) throw new Error('the driver model has no more memory');
    return offset;
  }

  /** Whether the device has signalled since the last call. */
  takeSignal(): boolean {
    try {
      readSync(this.options.callFd, new Uint8Array(8));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
      throw error;
    }
  }

  close(): void {
    if (this.options.callFd >= 0) closeFile(this.options.callFd);
  }
}

function ownMemory(): MemoryViews {
  const buffer = new SharedArrayBuffer(MEMORY_BYTES);
  return { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), u32: new Uint32Array(buffer) };
}
