/**
 * The network as the stack of one core sees it: the same in all thread layouts. Two classes implement it, see
 * {@link BaseCore}.
 */

import type { MemoryViews } from '../../drivers/memory/index.js';
import type { IdlePolicy } from '../../drivers/poll-loop.js';
import type { StopSignal } from '../../drivers/stop-signal.js';
import type { Layer } from '../config.js';
import type { PortCounters } from '../counters.js';
import type { FlowTuple } from '../rss/rss.js';
import type { Lease } from './dhcp/lease.js';
import type { PacketBuffer } from './packet-buffer.js';

/** What ends {@link Core.waitForPackets}, other than packets. */
export interface WaitForPacketsOptions {
  /** Ends the wait when it aborts. The wait then resolves as usual; it does not reject. */
  readonly signal?: StopSignal | undefined;
  /** Milliseconds until the wait ends. Default: Infinity. */
  readonly timeoutMs?: number | undefined;
}

/**
 * The calls that a stack makes. Every buffer has one owner at any moment. The stack owns a buffer from
 * {@link getBufferRx} or {@link getBufferTx} until {@link release}, or until an {@link addBufferToRing} that returned
 * true. The buffers of one packet are owned as one, by the first of them.
 */
export interface Core {
  /** The memory that the buffers lie in. `offset` of a {@link PacketBuffer} counts from its first byte. */
  readonly memory: MemoryViews;
  /** Longest IP packet that can be sent, in bytes. */
  readonly mtu: number;
  readonly layer: Layer;
  /**
   * What the device does for packets to send, as of now: OFFLOAD_ bits (`OFFLOAD_CSUM`, `OFFLOAD_TSO4`, …); 0 for a
   * device that was opened without offloads. A stack may ask for anything on any port (`packet.requestChecksum`,
   * `requestSegmentation`, `append`): what the device lacks, the layer does inside {@link addBufferToRing}, on the
   * stack's thread. It changes when the backend comes back as another one.
   */
  readonly offloads: number;
  /** What {@link runStack} does when no packets come. */
  readonly idle: IdlePolicy;
  /** Our IPv4 address, unsigned: as it is now. 0 while we have none. A stack that remembers it looks at each poll. */
  readonly address: number;
  /** What our address comes from, when it comes from a DHCP server (`ip: 'dhcp'`); otherwise null. */
  readonly lease: Lease | null;
  /** Our MAC address: six bytes, a copy. */
  readonly mac: Uint8Array;
  /** Number of the core, from 0. */
  readonly index: number;
  /** How many cores the port has. */
  readonly count: number;
  /** Whether {@link waitForPackets} is waiting. */
  readonly isAsleep: boolean;
  /**
   * Whether the device has a link, and its backend is there. A change ends {@link waitForPackets}. Packets that are sent
   * meanwhile are dropped and counted.
   */
  readonly isLinkUp: boolean;

  /**
   * Polls, and tells how many received packets wait: call {@link getBufferRx} as many times. It polls the vNIC, or the
   * `rx_queue` of this core with `1kb` and `2kb`, unless a burst waits already; before that it sends what is still to
   * be sent. The seed's `get_rx_count()`.
   */
  getRxCount(): number;

  /**
   * Takes the next received packet.
   * @returns null when none waits. The caller owns the buffer until {@link release} or {@link addBufferToRing}. With
   * offloads the packet may lie in several buffers (`packet.next`), which are owned as one. The seed's
   * `get_buffer_rx()`.
   */
  getBufferRx(): PacketBuffer | null;

  /**
   * Takes an empty buffer, for the caller to write an IP packet into (with layer `ethernet` a frame).
   * @returns null when none is free; some buffers are always left for receiving and for ARP. What the core has collected
   * is sent then, and buffers come back as it leaves: go on at the next poll. Nothing wakes a sleeping core for that, so
   * a stack that needs a buffer returns at most 1 from {@link Stack.maxSleepMs}. The caller owns the buffer until
   * {@link addBufferToRing} or {@link release}. The seed's `get_buffer_tx()`.
   */
  getBufferTx(): PacketBuffer | null;

  /**
   * Sends `buffer.length` bytes: writes the Ethernet header in front of the packet and appends it to the burst for the
   * vNIC (for the `tx_queue` of this core with `1kb` and `2kb`). The burst goes out when it is full, at the next
   * {@link getRxCount}, or at {@link flush}. With layer `ethernet` the frame goes as it is. The seed's
   * `addBufferToRing()`.
   *
   * A packet in several buffers is passed by its first buffer. What was asked for (`requestChecksum`,
   * `requestSegmentation`) the device does, or this call. A packet with a request for segments may be longer than the
   * MTU; each of its segments may not.
   *
   * @returns true when the buffer no longer belongs to the caller: it is queued, parked until ARP is answered, or
   * dropped and counted (wrong length, no route). False when the ring is full: the caller still owns the buffer, to try
   * again later or to release it. What it asked for may have been done by then: then it asks for it no longer, and a
   * packet of several buffers may have become one.
   * @throws OwnershipError when the caller does not own the buffer, or it belongs to another port.
   */
  addBufferToRing(buffer: PacketBuffer): boolean;

  /**
   * Gives a buffer back, with all buffers that follow it in its packet.
   * @throws OwnershipError when the caller does not own the buffer, or it belongs to another port.
   */
  release(buffer: PacketBuffer): void;

  /**
   * Looks up the MAC address that packets to an IPv4 address are sent to: that of the neighbour, or of the gateway.
   * @param ip the address as a number, as {@link parseIpv4} returns it
   * @returns six bytes; null when the MAC address is not known (ARP was not answered), and when there is no route
   */
  nextHopMac(ip: number): Uint8Array | null;

  /** Sends what {@link addBufferToRing} has collected, without waiting for a full burst. */
  flush(): void;

  /**
   * Sleeps until packets wait, the link comes or goes, {@link wake} is called, `signal` aborts or `timeoutMs` have
   * passed. Meanwhile Node's event loop runs, and ARP is answered. When packets wait already, it does not sleep, but
   * once per millisecond it gives the event loop a turn. One call at a time.
   *
   * @returns what {@link getRxCount} would return. An aborted signal does not reject, so this loop needs no `try`:
   * ```ts
   * while (!signal.aborted) {
   *   const count = await core.waitForPackets({ signal });
   *   // …
   * }
   * ```
   * @throws StateError (rejects) when another call waits, or the port was stopped; ArgumentError when the options are
   * not an object.
   */
  waitForPackets(options?: WaitForPacketsOptions): Promise<number>;

  /** Ends {@link waitForPackets}. */
  wake(): void;

  /**
   * Lets the program end although the port is open: {@link waitForPackets} and what the layer below waits for keep Node's
   * event loop alive no longer, in a thread of a core as in the main thread. When nothing else does, `beforeExit` fires.
   * Stop the port then. A loop that polls without {@link waitForPackets} still is work that goes on.
   */
  unref(): void;

  /** Takes {@link unref} back: waiting keeps the event loop alive again, as it does at first. */
  ref(): void;

  /**
   * Returns the time on the clock of the port: milliseconds since some moment in the past, monotonic, with a fraction.
   * ARP and {@link waitForPackets} use the same clock. A stack whose timers use it can be tested with a fake clock.
   */
  now(): number;

  /**
   * Tells whether an IPv4 address means every station on our link: 255.255.255.255, or the highest address of our
   * prefix, which a /31 and a /32 do not have (RFC 3021). No ICMP error may be sent about a packet to such an address
   * (RFC 1122, 3.2.2), and no TCP connection is opened by one (RFC 9293, 3.9.2.3).
   * @param address as a number, signed or unsigned
   */
  isBroadcast(address: number): boolean;

  /**
   * Tells whether packets to an IPv4 address can leave: it is on our link, ours, or there is a gateway. False while we
   * have no address.
   * @param address as a number, signed or unsigned
   */
  hasRoute(address: number): boolean;

  /**
   * Tells which core the packets of a flow come to, by the indirection table as it is now. A stack that opens a
   * connection chooses a source port with which the answers come to its own core (as mTCP does).
   * @throws ArgumentError when the tuple is not a flow.
   */
  rssCoreFor(flow: FlowTuple): number;

  /**
   * As {@link rssCoreFor}, for a TCP or UDP flow over IPv4 whose tuple is known to be right. It allocates nothing, so a
   * stack can try many ports.
   * @param source the remote address, as a number, signed or unsigned
   * @param destination our address
   * @param sourcePort the remote port, 0 to 65535
   * @param destinationPort our port, 0 to 65535
   */
  rssCoreForPorts(source: number, destination: number, sourcePort: number, destinationPort: number): number;

  /** The counters, by name. With `1kb` and `2kb`, what this core has counted itself. */
  counters(): PortCounters;
}
