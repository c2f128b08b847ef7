/** The counters of IP and ICMP, and what each one means. To count is one store. Every drop has one. */
import { CounterBlock, counterIndexes } from '../../../rings/counters.js';

const MEANING = {
  ip_rx: 'packets that the layer delivered, or that the stack has sent to its own address',
  ip_drop_header: 'a wrong checksum, version or length in the header',
  ip_drop_options: 'options that do not fit into the header',
  ip_drop_source_route: 'packets with a source route, which are refused',
  ip_drop_protocol: 'of a protocol that the stack does not speak',
  ip_rx_copied: 'packets in several buffers, other than those of TCP: copied into one',
  ip_frag_rx: 'fragments received',
  ip_frag_reassembled: 'datagrams put together',
  ip_frag_duplicate: 'fragments that had come before',
  ip_drop_frag_malformed: 'fragments without data, of a length that is no multiple of 8, or beyond 65,535 bytes',
  ip_drop_frag_partial: 'fragments whose checksum is still to be completed, which only a whole datagram can have',
  ip_drop_frag_tiny: 'fragments that split the header of TCP',
  ip_drop_frag_overlap: 'datagrams refused because fragments overlap or contradict each other',
  ip_drop_frag_refused: 'fragments of datagrams that were refused before',
  ip_drop_frag_ecn: 'datagrams refused because only some fragments are ECN-capable and another met congestion',
  ip_drop_frag_timeout: 'datagrams given up because fragments did not come in time',
  ip_drop_frag_replaced: 'datagrams given up for newer ones: no room',
  ip_drop_frag_core: 'datagrams of TCP put together on a core that does not have the connection',
  ip_tx: 'packets sent to others',
  ip_tx_fragmented: 'datagrams sent in fragments',
  ip_tx_fragments: 'fragments sent',
  ip_tx_no_buffer: 'times that no buffer was free to send',
  ip_tx_ring_full: 'packets dropped: the ring was full',
  ip_drop_tx_length: 'datagrams not sent: longer than 65,535 bytes',
  ip_loop: 'packets that the stack has sent to its own address: they come back to it',
  ip_loop_full: 'packets to the own address dropped: 128 wait already',
  ip_pmtu_reduced: 'times that the MTU of a path was lowered',
  ip_pmtu_below_min: 'times that an MTU below 552 was reported: 552 was used instead',
  ip_pmtu_ignored: 'reports of an MTU that is not below the one in use',
  ip_pmtu_replaced: 'paths forgotten early: no room',
  icmp_rx: 'ICMP messages received',
  icmp_drop_malformed: 'too short, or with a wrong checksum',
  icmp_drop_broadcast: 'messages to a broadcast or multicast address',
  icmp_drop_type: 'of a type that is not used here: redirects and source quench, among others',
  icmp_drop_quote: 'errors about a packet that is not ours, or that quote too little of it',
  icmp_drop_protocol: 'errors about a protocol that the stack does not speak',
  icmp_rx_errors: 'errors handed to TCP and UDP',
  icmp_echo_replies: 'echo requests answered',
  icmp_tx_errors: 'errors sent',
  icmp_tx_forbidden: 'errors that must not be sent (RFC 1122, 3.2.2)',
  icmp_tx_limited: 'errors not sent: the limits are 1000 per second, and 1 per second and destination',
} as const;

/** What each counter counts, in a few words, by name. */
export const IP_MEANING: Readonly<Record<string, string>> = MEANING;

export type IpCounterName = keyof typeof MEANING;

export const IP_COUNTERS = Object.keys(MEANING) as readonly IpCounterName[];

/** Name -> place in the values. */
export const IP = Object.freeze(counterIndexes(IP_COUNTERS));

export type IpCounters = CounterBlock<IpCounterName>;

export function createIpCounters(): IpCounters {
  return CounterBlock.create(IP_COUNTERS);
}
