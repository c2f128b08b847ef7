/**
 * The counters of the layer, and what each one means. To count is one store, because a counter is a place in an array.
 *
 * Every received frame is counted in exactly one of `rx_delivered`, `rx_arp`, `rx_dhcp` and the `rx_drop_…`; `rx_frames` is their
 * sum. Every packet that {@link Core.addBufferToRing} takes is counted in exactly one of `tx_queued` and the
 * `tx_drop_…`, at once or after it was parked. A packet that the layer cuts into segments counts as these.
 */

import type { DeviceCounters } from '../drivers/net-device.js';
import { CounterBlock, counterIndexes } from '../rings/counters.js';

const MEANING = {
  rx_frames: 'frames that the device returned',
  rx_delivered: 'packets for the stack (with layer ethernet: frames)',
  rx_arp: 'ARP frames; the arp_ counters tell more',
  rx_dhcp: 'packets for our DHCP client; the dhcp_ counters tell more',
  rx_drop_runt: 'shorter than an Ethernet header',
  rx_drop_too_long: 'longer than a buffer, which is an error of the device',
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
  rx_drop_chain: 'in several buffers, and ARP, or of another length than the IP header says',
  rx_drop_no_address: 'IPv4 packets that came while we had no address yet',
  rx_drop_bad_source: 'IPv4 source is ours, a broadcast, a group or reserved',
  rx_drop_link_broadcast: 'packet for our address in a frame to a group',
  rx_drop_broadcast: 'IPv4 broadcast, not wanted',
  rx_drop_multicast: 'IPv4 multicast, not wanted',
  rx_drop_other_ip: "for another host's IPv4 address",
  rx_drop_queue_full: 'the rx_queue of the core was full: the core is too slow',
  rx_drop_core_share: 'the core has its share of the receive buffers: queued, not released, or being sent',
  rx_drop_core_gone: 'for a core whose stack has failed',
  rx_lost_core_gone: 'packets delivered into the rx_queue of a core whose stack failed before it took them',
  tx_queued: 'packets of the stack (with layer ethernet: frames) that were queued for the device',
  tx_handed: 'frames of the cores that the device took, with 1kb and 2kb',
  tx_parked: 'packets that waited for ARP (counted again when they are sent or dropped)',
  tx_no_buffer: 'times that no buffer was free for the stack',
  tx_ring_full: 'times that the ring was full and the stack kept its packet',
  tx_drop_length: 'shorter than its header or longer than the MTU',
  tx_drop_version: 'IP version is not 4',
  tx_drop_request: 'the stack asked for a checksum or for segments that the headers of the packet do not allow',
  tx_drop_segments: 'segments that the layer had no buffer for, or the ring no room, when it cut a packet',
  tx_drop_to_self: 'to our own address',
  tx_drop_no_route: 'not on the link, and there is no gateway',
  tx_drop_neighbours_full: 'to an unknown neighbour, while as many as possible are asked for already',
  tx_drop_park_full: 'too many packets wait for ARP: the one that waited longest, or the new one',
  tx_drop_unresolved: 'the neighbour did not answer ARP, or was replaced by another',
  tx_drop_ring_full: 'the ring was full when ARP was answered',
  tx_lost_core_gone: 'packets in the tx_queue of a core whose stack failed',
  tx_lost_link_down: 'frames, ARP included, that were queued when the link went down or the port stopped',
  held_by_stack: 'buffers that the stack has now, neither released nor sent; grows when a stack leaks',
  loop_polls: 'times that the stack has polled (getRxCount), counted 64 at a time',
  loop_busy_ms: 'time in which the thread found something to do',
  loop_idle_ms: 'time in which the thread slept, or polled in vain',
  arp_malformed: 'not ARP for IPv4 over Ethernet, or with impossible addresses',
  arp_not_for_us: 'for other stations, with nothing that we use',
  arp_answered: 'requests for our address, answered',
  arp_learned: 'neighbours learned from their requests to us',
  arp_confirmed: 'known neighbours that confirmed their address',
  arp_changed: 'known neighbours that moved to another MAC address',
  arp_unsolicited: 'replies and announcements that we did not ask for',
  arp_reflected: 'our own ARP frames, reflected',
  arp_conflict_ip: 'another station uses our IP address',
  arp_conflict_mac: 'another station uses our MAC address',
  arp_static_mismatch: 'a neighbour with a static entry uses another MAC address',
  arp_table_full: 'neighbours not learned: no room',
  arp_requests: 'requests sent',
  arp_probes: 'questions whether an address that we have leased is free',
  arp_announcements: 'announcements of our own address sent',
  arp_gave_up: 'neighbours that did not answer',
  arp_limited: 'requests for unknown neighbours that were not sent: the limit is 1000 per second',
  arp_replaced: 'unknown neighbours that were given up early, for others',
  arp_evicted: 'known neighbours that were replaced: the table was full when another one answered',
  arp_no_buffer: 'ARP not sent: no buffer',
  arp_ring_full: 'ARP not sent: the ring was full',
  dhcp_sent: 'messages of our DHCP client sent',
  dhcp_received: 'answers of DHCP servers that the client has used',
  dhcp_ignored: 'packets to the DHCP client that are no answer to it, or cannot be used',
  dhcp_not_sent: 'messages of our DHCP client not sent: no buffer, or the ring was full',
} as const;

export type L2CounterName = keyof typeof MEANING;

/** All names, in the order of their places. */
export const L2_COUNTERS = Object.keys(MEANING) as readonly L2CounterName[];

/** Name -> place in `values` of {@link L2Counters}. */
export const L2 = Object.freeze(counterIndexes(L2_COUNTERS));

export type L2Counters = CounterBlock<L2CounterName>;

/**
 * The counters of the layer, by name. All of them only grow, except `held_by_stack`, which is the number of buffers
 * now.
 */
export type LayerCounters = Readonly<Record<L2CounterName, number>>;

/** The counters of a port, by name: those of the layer, and those that the device has. */
export type PortCounters = LayerCounters & DeviceCounters;

export function createL2Counters(): L2Counters {
  return CounterBlock.create(L2_COUNTERS);
}

/** One block per core, all in one buffer. */
export function createCoreCounters(cores: number): L2Counters[] {
  return CounterBlock.createSeveral(L2_COUNTERS, cores);
}

/** What a counter of the layer counts, in a few words; undefined for other counters. */
export function meaningOf(name: string): string | undefined {
  return Object.hasOwn(MEANING, name) ? MEANING[name as L2CounterName] : undefined;
}

/** The sums of the counters of several threads, by name. */
export function sumOf([first, ...others]: readonly L2Counters[]): Record<L2CounterName, number> {
  const sum = first.snapshot();
  for (const { names, values } of others) {
    for (const [index, name] of names.entries()) sum[name] += values[index];
  }
  return sum;
}
