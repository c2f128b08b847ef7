/** What the layer-2 layer needs of a network device: bursts of buffers in and out, and a way to sleep. */
import type { BufferPool } from '../rings/buffer-pool.js';
import type { MemoryViews } from './memory/index.js';

/** What a device can count. Every drop has a counter of its own. */
export const NET_COUNTERS = [
  'rx_packets',
  'rx_bytes',
  'rx_dropped_no_buffer',
  'rx_dropped_bad_length',
  'rx_dropped_too_long',
  'rx_lost_on_reset',
  'rx_kicks',
  'tx_packets',
  'tx_bytes',
  'tx_dropped_bad_length',
  'tx_lost_on_reset',
  'tx_kicks',
  'device_errors',
  'reconnects',
] as const;
export type NetCounterName = (typeof NET_COUNTERS)[number];

/** Running totals of a device, as far as it counts them; exact to 2^53. */
export type DeviceCounters = Readonly<Partial<Record<NetCounterName, number>>>;

/** Frames in the longest burst that a device receives. */
export const MAX_RX_BURST = 256;

/** A network device, as the layer drives it: bursts of buffers in and out, and a way to sleep. */
export interface NetDevice {
  /** As the user named it: `vhost-user:/tmp/x.sock` or a PCI address. */
  readonly name: string;
  /** The memory that the buffers lie in. */
  readonly memory: MemoryViews;
  /** The packet buffers. Receive takes them out, on one thread. */
  readonly pool: BufferPool;
  /**
   * Where buffers go that were sent. The same object as {@link pool}, unless the device was opened to keep them apart: then
   * it is empty at first, and the caller drains it.
   */
  readonly sent: BufferPool;
  /** Six bytes: the device's address, or the one that was configured or chosen where the device has none. */
  readonly mac: Uint8Array;
  /** Largest IP packet in bytes (1500 where the device says nothing). */
  readonly mtu: number;
  /** False while the backend is away or the link is down. While the backend is away bursts return 0. */
  readonly isUp: boolean;
  /** What the user should know of how the device was opened (no hugepages), as one line; empty when there is nothing. */
  readonly notice: string;

  /**
   * What the last {@link rxBurst} has brought, until the next one: buffers, which are the caller's, and bytes of each frame,
   * which begins at `pool.offsetOf(handle) + FRAME_OFFSET`. Room for `MAX_RX_BURST` (256). The device's own arrays and not
   * arguments, so that V8 knows where they lie when it compiles the loop that fills them.
   */
  readonly rxHandles: Uint32Array;
  readonly rxLengths: Uint32Array;

  /**
   * Takes up to `max` received frames out of the ring, `MAX_RX_BURST` at most. Returns how many are for the caller: fewer
   * where some had to be dropped, although more may wait.
   */
  rxBurst(max: number): number;

  /**
   * Sends the first `count` frames in order. Returns how many were taken; the rest is still the caller's. Buffers taken
   * go to `sent` when the device has read them.
   */
  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number;

  /** Takes back what the device has sent. Called by txBurst when it must; call it when `pool` has run dry. */
  reclaimTx(): void;

  /**
   * Asks for an interrupt at the next frame. Returns true when it is safe to sleep, false when a frame came meanwhile
   * (the interrupt is then off again). No wake-up is lost in between.
   */
  enableRxInterrupt(): boolean;
  /** True while the device has no interrupt: a sleep that {@link enableRxInterrupt} allows must be a short one then. */
  readonly pollOnly: boolean;
  /** Polling again: no interrupts wanted. */
  disableRxInterrupt(): void;
  /** Called on each interrupt, and on each change of {@link isUp}, on the thread that opened the device. One at a time. */
  onWake: (() => void) | null;
  /** Called when the link or the backend goes ('down') or comes back ('up'), with a line that tells why. */
  onLink: ((state: 'up' | 'down', reason: string) => void) | null;
  /** Called when the host asks us to announce our addresses (after a migration). */
  onAnnounce: (() => void) | null;

  /** The totals as of now. */
  counters(): DeviceCounters;
  /** Resets the device and gives everything back: no thread, fd, mapping or socket of it is left. */
  close(): Promise<void>;
}
