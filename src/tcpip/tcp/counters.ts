/** What TCP counts, and what each counter means. */
import { CounterBlock, counterIndexes } from '../../../rings/counters.js';

const MEANING = {
  tcp_segments_in: 'segments received, intact or not; those of a GSO packet count one by one',
  tcp_segments_out: 'segments sent, RST included; those of a GSO packet count one by one',
  tcp_gso_in: 'GSO packets received: each stands for several segments',
  tcp_gso_out: 'GSO packets sent: the device, or the layer below, cuts each into segments',
  tcp_bytes_in: 'bytes of data received in order',
  tcp_bad_length: 'shorter than its header',
  tcp_bad_checksum: 'wrong checksum',
  tcp_bad_destination: 'to a broadcast or group address',
  tcp_bad_port: 'port 0',
  tcp_bad_options: 'options malformed; read up to that place',
  tcp_no_flow: 'for no connection and no listener: answered by a RST, unless it was one',
  tcp_resets_sent: 'RST sent',
  tcp_resets_received: 'connections reset by the peer',
  tcp_reset_limited: 'RST not sent: too many per second',
  tcp_challenge_acks: 'challenge ACKs sent (RFC 5961)',
  tcp_challenge_limited: 'challenge ACKs not sent: too many',
  tcp_paws_drops: 'older than the last timestamp (RFC 7323, PAWS)',
  tcp_out_of_window: 'outside of the receive window: answered by an ACK',
  tcp_bad_ack: 'acknowledges what was not sent, or is too old (RFC 5961, 5)',
  tcp_no_ack: 'without ACK where one is needed',
  tcp_no_timestamp: 'without the timestamp that was negotiated: processed',
  tcp_out_of_order: 'segments with data beyond a gap: kept',
  tcp_duplicate_data: 'segments with nothing but data that was received before',
  tcp_intervals_full: 'data beyond a gap dropped: too many gaps',
  tcp_no_memory: 'data or writes refused: the memory limit of the stack is reached',
  tcp_opened_active: 'connections opened by connect',
  tcp_opened_passive: 'connections opened by a peer',
  tcp_closed: 'connections that ended in any way',
  tcp_connect_failed: 'connects that failed',
  tcp_syn_received: 'SYN for a listener',
  tcp_rows_full: 'SYN or connects refused: the table of connections is full',
  tcp_cookies_sent: 'SYN cookies sent: the backlog was full',
  tcp_cookies_accepted: 'connections opened by a SYN cookie',
  tcp_cookies_bad: 'ACK with a wrong SYN cookie',
  tcp_syn_timeouts: 'handshakes that were given up',
  tcp_syn_retransmitted: 'SYN and SYN-ACK sent again',
  tcp_time_wait_added: 'connections that went to TIME_WAIT',
  tcp_time_wait_reused: 'TIME_WAIT entries that a new SYN has replaced (RFC 6191)',
  tcp_delayed_acks: 'ACKs sent by the delayed ACK timer',
  tcp_keep_alive_probes: 'keep-alive probes sent',
  tcp_window_closed: 'times that a connection had to wait for the window of the peer',
  tcp_window_probes: 'zero window probes sent',
  tcp_timeouts: 'connections that ended because the peer did not answer',
  tcp_send_no_buffer: 'polls in which not all could be sent: no packet buffer, or the ring was full',
  tcp_icmp_ignored: 'ICMP errors that fit no connection, or no sequence number in flight (RFC 5927)',
  tcp_icmp_soft: 'ICMP errors noted, not obeyed',
  tcp_icmp_hard: 'ICMP errors that ended a connection attempt',
  tcp_mtu_reduced: 'times that the path MTU of a connection fell',
  tcp_black_holes: 'times that a smaller segment was tried because large ones got lost',
  tcp_ports_exhausted: 'connects without a free port',

  tcp_rto_timeouts: 'times that the retransmission timer expired',
  tcp_spurious_timeouts: 'timeouts that proved to be unnecessary, and were undone',
  tcp_fast_recoveries: 'times that losses were found without a timeout',
  tcp_undone_recoveries: 'of these, those that proved to be unnecessary, and were undone',
  tcp_tlp_probes: 'tail loss probes sent',
  tcp_tlp_repairs: 'losses that a tail loss probe has repaired',
  tcp_lost_segments: 'segments taken for lost; one whose retransmission is lost, too, counts again',
  tcp_lost_retransmissions: 'of these, those that had been retransmitted',
  tcp_retransmitted_segments: 'segments sent again, for whatever reason',
  tcp_dsacks_received: 'D-SACK blocks received: the peer had the segment twice',
  tcp_sack_blocks_ignored: 'SACK blocks outside of what is in flight',
  tcp_sack_reneging: 'times that a receiver had dropped data that it had SACKed',
  tcp_reordering_seen: 'connections on whose path segments overtake each other',
  tcp_ecn_reductions: 'reductions of cwnd because of ECE',
  tcp_sent_ring_no_memory: 'segments not sent because there was no memory to remember them',
} as const;

/** What each counter counts, in a few words, by name. */
export const TCP_MEANING: Readonly<Record<string, string>> = MEANING;

export type TcpCounterName = keyof typeof MEANING;
export const TCP_COUNTERS = Object.keys(MEANING) as readonly TcpCounterName[];
/** Name -> place in `values`. */
export const TCP = Object.freeze(counterIndexes(TCP_COUNTERS));
export type TcpCounters = CounterBlock<TcpCounterName>;

export function createTcpCounters(): TcpCounters {
  return CounterBlock.create(TCP_COUNTERS);
}
