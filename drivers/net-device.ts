/** What layer 2 needs from a network device: bursts of buffers in and out, and a way to sleep. */
import type { BufferPool } from '../rings/buffer-pool.js';
import type { PacketTable } from '../rings/packet-table.js';
import type { MemoryViews } from './memory/index.js';

/** What a device can count. Every kind of drop has its own counter. */
export const NET_COUNTERS = [
  'rx_packets',
  'rx_bytes',
  'rx_dropped_no_buffer',
  'rx_dropped_bad_length',
  'rx_dropped_too_long',
  'rx_dropped_bad_offload',
  'rx_lost_on_reset',
  'rx_kicks',
  'tx_packets',
  'tx_bytes',
  'tx_dropped_bad_length',
  'tx_dropped_bad_offload',
  'tx_lost_on_reset',
  'tx_kicks',
  'device_errors',
  'reconnects',
] as const;
export type NetCounterName = (typeof NET_COUNTERS)[number];

/** Totals of a device, for what it counts; exact to 2^53. */
export type DeviceCounters = Readonly<Partial<Record<NetCounterName, number>>>;

/** Largest number of frames in one received burst. */
export const MAX_RX_BURST = 256;

/** Speed in Mb/s and duplex of a link, for people: `10000 Mb/s, full duplex`. Null stands for "unknown". */
export function linkText(speed: number | null, duplex: 'half' | 'full' | null): string {
  const parts: string[] = [];
  if (speed !== null) parts.push(`${speed} Mb/s`);
  if (duplex !== null) parts.push(`${duplex} duplex`);
  return parts.join(', ');
}

/** A network device, as layer 2 drives it. */
export interface NetDevice {
  /** The device as the user named it: `vhost-user:/tmp/x.sock`, or a PCI address. */
  readonly name: string;
  /** The memory that the buffers lie in. */
  readonly memory: MemoryViews;
  /** The packet buffers. The receiving thread takes them out. */
  readonly pool: BufferPool;
  /**
   * Gets the buffers that were sent. It is the same object as {@link pool}, unless the device was opened to keep them
   * apart: then it is empty at first, and the caller drains it.
   */
  readonly sent: BufferPool;
  /**
   * What is known of each packet beside its length. With {@link offloads} 0 the device neither reads nor writes it.
   * Otherwise it writes the entry of each packet that it receives, and does what the entry of a sent packet asks for;
   * then it sets the FLAGS of the entry to 0.
   */
  readonly table: PacketTable;
  /**
   * What the device does for packets to send: OFFLOAD_ bits; 0 for a device that was opened without offloads. May change
   * while the backend is away.
   */
  readonly offloads: number;
  /** Six bytes: the configured address, the device's own, or a random one. */
  readonly mac: Uint8Array;
  /** Largest IP packet in bytes: 1500 when the device states no limit. */
  readonly mtu: number;
  /** False while the backend is away or the link is down. While the backend is away, bursts return 0. */
  readonly isUp: boolean;
  /** What the device says of its link: `10000 Mb/s, full duplex`, or empty. Devices that never know it lack it. */
  readonly link?: string;
  /** What the user should know about how the device was opened (no hugepages), as one line; otherwise empty. */
  readonly notice: string;

  /**
   * The packets of the last {@link rxBurst}, valid until the next one: handles of buffers, which are the caller's, and
   * the length of each frame in bytes. A frame begins at `pool.offsetOf(handle) + FRAME_OFFSET`. There is room for
   * `MAX_RX_BURST` (256). The arrays belong to the device and are not arguments, so that they are constants to V8:
   * docs/v8.md, "Bursts as closures".
   */
  readonly rxHandles: Uint32Array;
  readonly rxLengths: Uint32Array;

  /**
   * Takes up to `max` received frames out of the ring, at most `MAX_RX_BURST`. Returns how many there are for the
   * caller. It may be fewer than are waiting, because some had to be dropped.
   */
  rxBurst(max: number): number;

  /**
   * Sends the first `count` frames in order. Returns how many were taken; the rest stay the caller's. Buffers that were
   * taken go to {@link sent} when the device has read them.
   */
  txBurst(handles: Uint32Array, lengths: Uint32Array, count: number): number;

  /** Takes back what the device has sent. txBurst does it when it must; call it when `pool` has run dry. */
  reclaimTx(): void;

  /**
   * Asks for an interrupt at the next frame. Returns true when it is safe to sleep. Returns false, with interrupts off
   * again, when a frame has come meanwhile. No wake-up is lost in between.
   */
  enableRxInterrupt(): boolean;
  /** True while the device has no interrupt: then a sleep that {@link enableRxInterrupt} allows must be short. */
  readonly pollOnly: boolean;
  /** Says that the device is polled again: no interrupts are wanted. */
  disableRxInterrupt(): void;
  /** Called on each interrupt and each change of {@link isUp}, on the thread that opened the device. */
  onWake: (() => void) | null;
  /** Called when the link or the backend goes ('down') or comes back ('up'), with a line that says why. */
  onLink: ((state: 'up' | 'down', reason: string) => void) | null;
  /** Called when the host asks us to announce our addresses (after a migration). */
  onAnnounce: (() => void) | null;

  /**
   * Says whether the device keeps the event loop alive while it waits for its peer. It does at first, and while it
   * closes. A device that waits for nothing need not have it.
   */
  keepAlive?(on: boolean): void;

  /**
   * Switches the offloads of received packets off, or on again: without them each packet is one frame of the link, with a
   * whole checksum. Packets that the device has already may still be of the other kind. It stays so when the device is
   * restarted.
   * @throws (rejects) Error with one line when the device cannot
   */
  setReceiveOffloads?(on: boolean): Promise<void>;

  /** The totals as of now. */
  counters(): DeviceCounters;
  /** Resets the device and gives everything back: it leaves no thread, file descriptor, mapping or socket. */
  close(): Promise<void>;
}
