/**
 * The layer's counters: one place a name, so that a count is one store, and what each one means.
 *
 * Every received frame ends in exactly one of `rx_delivered`, `rx_arp` and the `rx_drop_…`; `rx_frames` is their sum.
 * Every packet that {@link Core.addBufferToRing} takes ends in exactly one of `tx_queued` and the `tx_drop_…`, at once or
 * after it was parked.
 */

import type { DeviceCounters } from '../drivers/net-device.js';
import { CounterBlock, counterIndexes } from '../rings/counters.js';

const MEANING = {
  rx_frames: 'frames that the device handed over',
  rx_delivered: 'packets for the stack (frames, with layer ethernet)',
  rx_arp: 'ARP frames; the arp_ counters tell more',
  rx_drop_runt: 'shorter than an Ethernet header',
  rx_drop_too_long: 'longer than a buffer: the device is wrong',
  rx_drop_other_mac: "for another station's MAC address",
  rx_drop_source_mac: 'from a group MAC address',
  rx_drop_own_source: 'from our own MAC address: a reflected broadcast, or another station that uses it',
  rx_drop_vlan: 'with a VLAN tag',
  rx_drop_ipv6: 'IPv6',
  rx_drop_llc: 'IEEE 802.3 LLC instead of Ethernet II (spanning tree, for one)',
  rx_drop_ethertype: 'of another EtherType',
  rx_drop_ip_short: 'shorter than an IPv4 header',
  rx_drop_ip_version: 'IP version is not 4',
  rx_drop_ip_header_length: 'IPv4 header length below 20 or beyond the packet',
  rx_drop_ip_total_length: 'IPv4 total length beyond the frame',
  rx_drop_bad_source: 'IPv4 source is ours, a broadcast, a group or reserved',
  rx_drop_link_broadcast: 'packet for our address in a frame to a group',
  rx_drop_broadcast: 'IPv4 broadcast, not wanted',
  rx_drop_multicast: 'IPv4 multicast, not wanted',
  rx_drop_other_ip: "for another host's IPv4 address",
  rx_drop_queue_full: "the core's rx_queue was full: it is slower than its packets come",
  rx_drop_core_share: 'the core has its share of the receive buffers already: queued, not released, or being sent',
  rx_drop_core_gone: 'for a core whose stack has failed',
  rx_lost_core_gone: 'packets delivered into the rx_queue of a core whose stack failed before it took them',
  tx_queued: 'packets of the stack (frames, with layer ethernet) that were queued for the device',
  tx_handed: 'frames of the cores that the device was given, where another thread than theirs does that',
  tx_parked: 'packets that waited for ARP (they are counted again when they leave)',
  tx_no_buffer: 'times that no buffer was free for the stack',
  tx_ring_full: 'times that the ring was full and the stack kept its packet',
  tx_drop_length: 'shorter than its header or longer than the MTU',
  tx_drop_version: 'IP version is not 4',
  tx_drop_to_self: 'to our own address',
  tx_drop_no_route: 'not on the link, and there is no gateway',
  tx_drop_neighbours_full: 'to a neighbour that is not known, and as many as may be are asked for already',
  tx_drop_park_full: 'too many packets wait for ARP: the one that waited longest, or one that may take no place',
  tx_drop_unresolved: 'the neighbour did not answer ARP, or was given up for another one',
  tx_drop_ring_full: 'the ring was full when ARP was answered',
  tx_lost_core_gone: 'packets in the tx_queue of a core whose stack failed',
  tx_lost_link_down: 'frames, ARP included, that were queued when the link was down, or the port stopped',
  held_by_stack: 'buffers that the stack has now: taken, and neither released nor sent; it grows where a stack leaks',
  loop_polls: 'times that the stack has polled (getRxCount), counted some at a time',
  loop_busy_ms: 'time in which the thread found something to do',
  loop_idle_ms: 'time in which it slept, or polled in vain',
  arp_malformed: 'not ARP for IPv4 over Ethernet, or with impossible addresses',
  arp_not_for_us: 'for others, and nothing in it that we use',
  arp_answered: 'requests for our address, answered',
  arp_learned: 'neighbours learned from their requests to us',
  arp_confirmed: 'known neighbours that confirmed their address',
  arp_changed: 'known neighbours that moved to another MAC address',
  arp_unsolicited: 'replies and announcements that nobody asked for',
  arp_reflected: 'our own ARP, come back',
  arp_conflict_ip: 'another station uses our IP address',
  arp_conflict_mac: 'another station uses our MAC address',
  arp_static_mismatch: 'a neighbour with a static entry uses another MAC address',
  arp_table_full: 'neighbours not learned: no room',
  arp_requests: 'requests sent',
  arp_announcements: 'announcements of our own address sent',
  arp_gave_up: 'neighbours that did not answer',
  arp_limited: 'requests for unknown neighbours not sent: 1000 were, in a second',
  arp_replaced: 'unknown neighbours given up before their time: others were asked for',
  arp_evicted: 'known neighbours given up: the table was full when another one answered',
  arp_no_buffer: 'ARP not sent: no buffer',
  arp_ring_full: 'ARP not sent: the ring was full',
} as const;

export type L2CounterName = keyof typeof MEANING;

/** All names, in the order of their places. */
export const L2_COUNTERS = Object.keys(MEANING) as readonly L2CounterName[];

/** Name -> place in a {@link L2Counters}'s values. */
export const L2 = Object.freeze(counterIndexes(L2_COUNTERS));

export type L2Counters = CounterBlock<L2CounterName>;

/** What the layer counts, by name. All of it grows, but for `held_by_stack`, which is how much it is now. */
export type LayerCounters = Readonly<Record<L2CounterName, number>>;

/** What a port counts, by name: the layer, and the device as far as it counts that. */
export type PortCounters = LayerCounters & DeviceCounters;

export function createL2Counters(): L2Counters {
  return CounterBlock.create(L2_COUNTERS);
}

/** A block for each of so many cores, in one buffer. */
export function createCoreCounters(cores: number): L2Counters[] {
  return CounterBlock.createSeveral(L2_COUNTERS, cores);
}

/** What a counter of the layer counts, in a few words; undefined for another's. */
export function meaningOf(name: string): string | undefined {
  return Object.hasOwn(MEANING, name) ? MEANING[name as L2CounterName] : undefined;
}
