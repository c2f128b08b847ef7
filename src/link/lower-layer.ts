/**
 * What the layer needs of whatever is below it: a device, or, with several cores, the rings to the thread that has the
 * device. Small interfaces, so that one code serves both; in each thread there is one implementation of each, so V8 sees
 * no polymorphism.
 */
import type { MemoryViews } from '../../drivers/memory/index.js';

/** Where a buffer goes that nobody needs any more. */
export interface BufferHome {
  /** Gives a buffer back. The caller must own it. */
  put(handle: number): void;
  /** Offset in the memory of the first byte of buffer `handle`. */
  offsetOf(handle: number): number;
}

/** Takes frames in bursts. */
export interface FrameSink {
  readonly memory: MemoryViews;
  readonly pool: BufferHome;
  /** False while what is sent would be lost, or wait for long. */
  readonly isUp: boolean;
  /** Sends the first `count` frames in order. Returns how many were taken; the rest is still the caller's. */
  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number;
}

/** Where the layer takes buffers from for packets of its own. */
export interface BufferSource {
  readonly memory: MemoryViews;
  readonly pool: BufferHome & { readonly available: number; get(): number };
  /** Takes back what was sent; to be called when the pool has run dry. */
  reclaimTx(): void;
}

/** Something that tells when there is work, and can be asked not to while it is polled. */
export interface WakeSource {
  readonly isUp: boolean;
  /** True while nobody wakes: a sleep must be a short one. */
  readonly pollOnly: boolean;
  /**
   * Asks for {@link onWake} at the next packet. True when it is safe to sleep, false when one came meanwhile (the request
   * is then off again). No wake-up is lost in between.
   */
  enableRxInterrupt(): boolean;
  /** Polling again: no wake-ups wanted. */
  disableRxInterrupt(): void;
  /** Called at each wake-up, and at each change of {@link isUp}. One at a time. */
  onWake: (() => void) | null;
}
