/**
 * A core's view of the network, as a stack sees it: the same in all thread layouts. Two classes implement it, see
 * {@link BaseCore}.
 */

import type { MemoryViews } from '../../drivers/memory/index.js';
import type { IdlePolicy } from '../../drivers/poll-loop.js';
import type { StopSignal } from '../../drivers/stop-signal.js';
import type { Layer } from '../config.js';
import type { PortCounters } from '../counters.js';
import type { FlowTuple } from '../rss/rss.js';
import type { PacketBuffer } from './packet-buffer.js';

/** What ends a {@link Core.waitForPackets} beside packets. */
export interface WaitForPacketsOptions {
  /** Ends the wait when it aborts. The wait then resolves as always, it does not reject. */
  readonly signal?: StopSignal | undefined;
  /** Milliseconds until the wait ends. Default: Infinity. */
  readonly timeoutMs?: number | undefined;
}

/**
 * The calls that a stack makes. Every buffer has one owner at any moment; the stack owns a buffer from
 * {@link getBufferRx} or {@link getBufferTx} until {@link release} or an {@link addBufferToRing} that returned true.
 */
export interface Core {
  /** The memory that the buffers lie in; a {@link PacketBuffer}'s `offset` counts from its first byte. */
  readonly memory: MemoryViews;
  /** Longest IP packet that can be sent, in bytes. */
  readonly mtu: number;
  readonly layer: Layer;
  /** What {@link runStack} does without packets. */
  readonly idle: IdlePolicy;
  /** Own IPv4 address, unsigned. */
  readonly address: number;
  /** Own MAC address, six bytes: a copy. */
  readonly mac: Uint8Array;
  /** Number of the core, from 0 on. */
  readonly index: number;
  /** How many cores the port has. */
  readonly count: number;
  /** Whether somebody sleeps in {@link waitForPackets}. */
  readonly isAsleep: boolean;

  /**
   * How many received packets wait; call {@link getBufferRx} as many times. Sends what is still to be sent, and polls
   * once (the vNIC; with several cores this core's `rx_queue`), unless a burst waits already. The seed's
   * `get_rx_count()`.
   */
  getRxCount(): number;

  /**
   * The next received packet, or null. It is the caller's until {@link release} or {@link addBufferToRing}. The seed's
   * `get_buffer_rx()`.
   */
  getBufferRx(): PacketBuffer | null;

  /**
   * An empty buffer to fill with IP header, payload and all, or null when none is free: some are always left for
   * receiving and for ARP. It is the caller's until {@link addBufferToRing} or {@link release}. The seed's
   * `get_buffer_tx()`.
   */
  getBufferTx(): PacketBuffer | null;

  /**
   * Sends `buffer.length` bytes: puts the Ethernet header in front and appends the packet to the burst for the vNIC (with
   * several cores for this core's `tx_queue`), which goes out when it is full, at the next {@link getRxCount}, or at
   * {@link flush}. With layer `ethernet` the frame goes as it is. The seed's `addBufferToRing()`.
   *
   * @returns true when the buffer is gone: queued, parked until ARP is answered, or dropped and counted (wrong length,
   * no route). False when the ring is full: it is still the caller's, to try again later or to release.
   * @throws OwnershipError when the caller does not own the buffer, or it is another port's.
   */
  addBufferToRing(buffer: PacketBuffer): boolean;

  /**
   * Gives a buffer back unused.
   * @throws OwnershipError when the caller does not own it, or it is another port's.
   */
  release(buffer: PacketBuffer): void;

  /**
   * The MAC address that packets to an IPv4 address are sent to: its own, or the gateway's. From ARP or the configuration.
   * @param ip the address as a number, as {@link parseIpv4} gives it
   * @returns six bytes; null while nobody has answered ARP, and where no way leads to it
   */
  nextHopMac(ip: number): Uint8Array | null;

  /** Sends what {@link addBufferToRing} has collected, without waiting for a full burst. */
  flush(): void;

  /**
   * Sleeps until packets wait, the link comes or goes, {@link wake} is called, `signal` aborts or `timeoutMs` have passed;
   * meanwhile Node's event loop runs, and ARP is answered. One waiter at a time. Where packets wait already it does not
   * sleep, but once a millisecond it gives the event loop a turn all the same.
   *
   * @returns what {@link getRxCount} would return. An aborted signal does not reject, so that this loop needs no `try`:
   * ```ts
   * while (!signal.aborted) {
   *   const count = await core.waitForPackets({ signal });
   *   // …
   * }
   * ```
   * @throws StateError (rejects) when somebody waits already, or the port was stopped; ArgumentError when the options are
   * no object.
   */
  waitForPackets(options?: WaitForPacketsOptions): Promise<number>;

  /** Ends {@link waitForPackets}. */
  wake(): void;

  /**
   * The core to which the packets of a flow come, as the indirection table is now: see {@link FlowTuple}. A stack that opens
   * a connection chooses a source port with which the answers come to its own core (as mTCP does).
   * @throws ArgumentError when the tuple is no flow.
   */
  rssCoreFor(flow: FlowTuple): number;

  /** Counters by name. Of a core that is a thread of its own, what it has counted itself. */
  counters(): PortCounters;
}
