/** The counters of UDP, and what each one means. */
import { CounterBlock, counterIndexes } from '../../../rings/counters.js';

const MEANING = {
  udp_rx: 'datagrams handed to sockets',
  udp_drop_malformed: 'a wrong length or checksum',
  udp_drop_no_port: 'to a port without a socket',
  udp_drop_no_handler: 'to a socket without a handler for messages',
  udp_tx: 'datagrams sent',
  udp_tx_failed: 'datagrams not sent: no buffer was free, or the ring was full',
  udp_icmp_errors: 'ICMP errors about a datagram of a connected socket, handed to it',
  udp_icmp_unconnected: 'ICMP errors about a datagram of a socket that is not connected',
  udp_icmp_stray: 'ICMP errors about a datagram of no socket',
  udp_icmp_mtu: 'ICMP messages that tell the MTU of a path',
} as const;

/** What each counter counts, in a few words, by name. */
export const UDP_MEANING: Readonly<Record<string, string>> = MEANING;

export type UdpCounterName = keyof typeof MEANING;

export const UDP_COUNTERS = Object.keys(MEANING) as readonly UdpCounterName[];

/** Name -> place in the values. */
export const UDP = Object.freeze(counterIndexes(UDP_COUNTERS));

export type UdpCounters = CounterBlock<UdpCounterName>;

export function createUdpCounters(): UdpCounters {
  return CounterBlock.create(UDP_COUNTERS);
}
