/**
 * What `link/` needs of the layer below it: a device, or, in a core with rings, the rings to the thread that has the
 * device. In each thread there is one implementation of each interface: docs/v8.md, "One shape".
 */
import type { MemoryViews } from '../../drivers/memory/index.js';

/** Where a buffer goes that is not needed any more. */
export interface BufferReturn {
  /** Gives a buffer back. The caller must own it. */
  put(handle: number): void;
  /** Offset in the memory of the first byte of buffer `handle`. */
  offsetOf(handle: number): number;
}

/** Where buffers for ARP frames come from. */
export interface BufferSource {
  readonly memory: MemoryViews;
  readonly pool: BufferReturn & { readonly available: number; get(): number };
  /** Takes back the buffers that were sent. To be called when the pool is empty. */
  reclaimTx(): void;
}

/** The device as {@link LinkLayer} sees it: where buffers for ARP frames come from, and our MAC address. */
export interface LinkDevice extends BufferSource {
  /** Six bytes. */
  readonly mac: Uint8Array;
}

/** Where frames go, in bursts. */
export interface FrameSink {
  readonly memory: MemoryViews;
  readonly pool: BufferReturn;
  /** False while a frame that is sent would be lost or would wait for long. */
  readonly isUp: boolean;
  /** Sends the first `count` frames in order. Returns how many were taken; the others still belong to the caller. */
  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number;
}

/** Wakes the thread when there is work, and can be told not to while the thread polls. */
export interface WakeSource {
  readonly isUp: boolean;
  /** True while nothing wakes the thread: it must then sleep for a short time only. */
  readonly pollOnly: boolean;
  /**
   * Asks for {@link onWake} at the next packet. No wake-up is lost in between.
   * @returns true when it is safe to sleep; false when a packet came meanwhile, and the request is off again
   */
  enableRxInterrupt(): boolean;
  /** The thread polls again: no wake-ups are wanted. */
  disableRxInterrupt(): void;
  /** Called at each wake-up, and at each change of {@link isUp}. There is one listener. */
  onWake: (() => void) | null;
}
