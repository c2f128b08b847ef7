/** The counters of TCP, and what each one means. Several may count one segment. */

import { CounterBlock, counterIndexes } from '../../../rings/counters.js';

const MEANING = {
  rto_timeouts: 'times that the retransmission timer expired',
  spurious_timeouts: 'timeouts that proved to be unnecessary, and were undone',
  fast_recoveries: 'times that losses were found without a timeout',
  undone_recoveries: 'of these, those that proved to be unnecessary, and were undone',
  tlp_probes: 'tail loss probes sent',
  tlp_repairs: 'losses that a tail loss probe has repaired',
  lost_segments: 'segments taken for lost, again and again if need be',
  lost_retransmissions: 'of these, those that had been retransmitted',
  retransmitted_segments: 'segments sent again, for whatever reason',
  dsacks_received: 'D-SACK blocks received: the peer had the segment twice',
  sack_blocks_ignored: 'SACK blocks outside of what is in flight',
  sack_reneging: 'times that a receiver had dropped data that it had SACKed',
  reordering_seen: 'connections on whose path segments overtake each other',
  ecn_reductions: 'reductions of cwnd because of ECE',
  sent_ring_no_memory: 'segments not sent because there was no memory to remember them',
} as const;

export type TcpCounterName = keyof typeof MEANING;

/** All names, in the order of their places. */
export const TCP_COUNTERS = Object.keys(MEANING) as readonly TcpCounterName[];

/** Name -> place in `values` of {@link TcpCounters}. */
export const TCP = Object.freeze(counterIndexes(TCP_COUNTERS));

export type TcpCounters = CounterBlock<TcpCounterName>;

export function createTcpCounters(): TcpCounters {
  return CounterBlock.create(TCP_COUNTERS);
}
