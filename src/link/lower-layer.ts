/**
 * What `link/` needs of the layer below it: a device, or, in a core with rings, the rings to the thread that has the
 * device. In each thread there is one implementation of each interface: docs/v8.md, "One shape".
 */
import type { MemoryViews } from '../../drivers/memory/index.js';
import type { IdlePolicy } from '../../drivers/poll-loop.js';
import type { BufferGeometry, BufferPool } from '../../rings/buffer-pool.js';
import type { PacketTable } from '../../rings/packet-table.js';
import type { Layer } from '../config.js';
import type { L2Counters } from '../counters.js';

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
  /** What is known of the received packets: nothing with {@link offloads} 0. */
  readonly table: PacketTable;
  readonly offloads: number;
}

/** Where frames go, in bursts. */
export interface FrameSink {
  readonly memory: MemoryViews;
  readonly pool: BufferReturn;
  /** What is asked for the packets to send. A packet that is dropped goes back to {@link pool} by its `free`. */
  readonly table: PacketTable;
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

/** What every core is made of. */
export interface CoreParts {
  readonly memory: MemoryViews;
  readonly geometry: BufferGeometry;
  /** Longest IP packet that the device can send, in bytes. */
  readonly deviceMtu: number;
  /** Whether the device fills in and obeys the table of {@link sink}. */
  readonly hasOffloads: boolean;
  /** Takes the frames that the stack sends. */
  readonly sink: FrameSink;
  /** Where {@link Core.getBufferTx} takes buffers from, and how many it leaves there. */
  readonly pool: BufferPool;
  readonly reserve: number;
  /** Wakes the core while it sleeps. */
  readonly wakeSource: WakeSource;
  /** Says whether what the layer below waits for keeps the event loop alive. */
  readonly keepAlive: (on: boolean) => void;
  readonly counters: L2Counters;
  readonly clock: () => number;
  /** Number of this core, and how many cores there are. */
  readonly index: number;
  readonly count: number;
  readonly mtu?: number | undefined;
  readonly layer: Layer;
  readonly idle: IdlePolicy;
}
