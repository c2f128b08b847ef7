/**
 * The state of all connections of one core: a table of words. A connection is a row of {@link ROW_WORDS} words, and `r`
 * is always the offset of its first word: `i32[r + SND_UNA]`.
 *
 * All words of a connection lie next to each other, so that a segment touches a handful of cache lines. With an array
 * per field it would touch one line per field. The table is made for all rows at once: pages that no connection has
 * used cost nothing, and the garbage collector never looks into it.
 *
 * Names are those of RFC 9293, 3.3.1, where it has one. Sequence numbers and clocks are signed words.
 */

/** log2 of the words of a row. */
export const ROW_SHIFT = 7;
/** Words of a row: 512 bytes. */
export const ROW_WORDS = 1 << ROW_SHIFT;

// Words 0 to 15: which connection it is, and what each received segment needs.

/** One of the STATE_ numbers. */
export const STATE = 0;
/** FLAG_ bits. */
export const FLAGS = 1;
/** The peer's IPv4 address, signed. */
export const REMOTE = 2;
/** Local port in the high half, remote port in the low half. */
export const PORTS = 3;
/** RCV.NXT: the next sequence number that is expected. */
export const RCV_NXT = 4;
/** RCV.NXT + RCV.WND as last announced: the right edge never moves back (RFC 9293, 3.8.6, SHLD-14). */
export const RCV_ADV = 5;
/** SND.UNA: the oldest sequence number that is not acknowledged. */
export const SND_UNA = 6;
/** SND.NXT: the next sequence number to be sent for the first time. It never moves back. */
export const SND_NXT = 7;
/** SND.WND in bytes, scaled. */
export const SND_WND = 8;
/** SND.WL1: sequence number of the segment that updated the window last. */
export const SND_WL1 = 9;
/** SND.WL2: acknowledgement number of that segment. */
export const SND_WL2 = 10;
/** TS.Recent (RFC 7323, 4.3): the peer's timestamp, which our segments echo. */
export const TS_RECENT = 11;
/** When {@link TS_RECENT} was stored, in ms. It is not compared when it is older than 24 days (RFC 7323, 5.5). */
export const TS_RECENT_MS = 12;
/** Last.ACK.sent (RFC 7323, 4.3). */
export const LAST_ACK_SENT = 13;
/** Shifts of the windows (RFC 7323, 2): of the peer's in bits 0 to 7, of ours in bits 8 to 15. */
export const SCALES = 14;
/** Added to our clock in ms for our timestamps: every connection has another (RFC 7323, 7.1). */
export const TS_OFFSET = 15;

// Words 16 to 31: sending.

/** Most bytes of data in a segment: the peer's MSS and the path MTU, less our options. */
export const MSS = 16;
/** The MSS option of the peer, or 536 (RFC 9293, 3.7.1, MUST-15). */
export const PEER_MSS = 17;
/** After the last byte that the application wrote. With FLAG_FIN_QUEUED the FIN has this sequence number. */
export const SND_END = 18;
/** The largest window that the peer has offered (RFC 9293, 3.8.6.2.1: Max(SND.WND)). */
export const MAX_SND_WND = 19;
/** Most bytes that may wait in the send buffer. Grows by auto-tuning unless FLAG_SEND_FIXED is set. */
export const SEND_LIMIT = 20;
/** End of the last small segment that was sent, for Nagle's algorithm with Minshall's rule. */
export const SMALL_END = 21;
/** ISS: our initial sequence number. */
export const ISS = 22;
/**
 * When SND.UNA moved last, or data was sent or began to wait for a window with nothing in flight, in ms: what the user
 * timeout is counted from.
 */
export const PROGRESS_MS = 23;
/** Number of window probes (persist) that were sent since the window closed. */
export const PROBES = 24;
/** When the peer was last heard, in ms. */
export const HEARD_MS = 25;
/** Options: user timeout in ms; 0 for none. */
export const USER_TIMEOUT = 26;
/** Options: idle time until the first keep-alive probe in ms; 0 for none. */
export const KEEP_ALIVE = 27;
/** Sequence number of the byte at position 0 of the send region: bulk data then lies at multiples of 4. */
export const SEND_BASE = 30;
/** Segments that were sent again. */
export const RETRANSMITTED = 28;
/** The next row of the list that the row is in: to be acknowledged, or free. */
export const NEXT_ROW = 29;
/** Keep-alive probes that were sent without an answer. */
export const KEEP_PROBES = 31;

// Words 32 to 63: receiving.

/** Bytes of received data since the last ACK, for delayed ACKs. */
export const UNACKED_BYTES = 32;
/** How many segments are still acknowledged at once (quick ACKs at the start, and after a gap). */
export const QUICK_ACKS = 33;
/** Estimate of the peer's segment size, in bytes. */
export const RCV_MSS = 34;
/** Most bytes of the receive buffer. Grows by auto-tuning unless FLAG_RECEIVE_FIXED is set. */
export const RECEIVE_LIMIT = 35;
/** After the last byte that the application has taken: the bytes up to RCV.NXT wait in the region (paused). */
export const TAKEN = 36;
/** Sequence number of the peer's FIN, valid with FLAG_FIN_SEEN. */
export const FIN_SEQ = 37;
/** How many intervals of out-of-order bytes there are (receive/intervals.ts). */
export const INTERVALS = 38;
/** Receive auto-tuning: when the present round began (µs), and TAKEN at that moment. */
export const TUNE_US = 39;
export const TUNE_SEQ = 40;
/** The receiver's estimate of the round trip in µs; 0: unknown. */
export const RECEIVER_RTT = 41;
/** Most bytes that the application took in a round. */
export const TUNE_BYTES = 42;
/** The DS field of our packets (RFC 2474), without the bits of ECN. */
export const DS_FIELD = 43;
/** D-SACK (RFC 2883) to be sent with the next ACK; empty when both are equal. */
export const DSACK_START = 44;
export const DSACK_END = 45;
/** When the last challenge ACK was sent for this connection, in ms (RFC 5961, 7). */
export const CHALLENGE_MS = 46;
/** Error code of the last ICMP error that was not obeyed, for the message when the connection times out; 0: none. */
export const SOFT_ERROR = 47;
/**
 * Words 48 to 51: a sequence number in each of the intervals that changed last, the newest first, for the order of SACK
 * blocks (RFC 2018, 4).
 */
export const RECENT = 48;
/** Bytes that were received in order and bytes that `write` has taken, as doubles: `f64[(r >> 1) + NAME]`. */
export const BYTES_READ = 26;
export const BYTES_WRITTEN = 27;
/** Words 56 to 63: the record of the sent ring, while one segment is in flight (recovery/sent-ring.ts). */
export const ONLY_RECORD = 56;
// Before the connection is established, nothing is in flight but the SYN, and these three are there.
/** How often a SYN or a SYN-ACK was sent again. */
export const SYN_RETRIES = 56;
/** When the SYN or the SYN-ACK was sent for the first time, in µs; 0: not known, because it had a SYN cookie. */
export const SYN_US = 57;
/** IRS: the peer's initial sequence number. */
export const IRS = 58;

// Words 64 to 127: loss recovery (`recovery/`) and congestion control (`congestion/`).

/** The oldest record of the sent ring, and the number that the next one gets. Equal when nothing is in flight. */
export const RING_HEAD = 64;
export const RING_TAIL = 65;
/** List of the records whose retransmission is in flight, the oldest first: its ends, or -1. */
export const RESENT_LIST = 66;
/** List of the records that are lost and were marked in the order of sequence numbers: its ends, or -1. */
export const LOST_LIST = 68;
/** List of the records whose retransmission is lost: its ends, or -1. */
export const RELOST_LIST = 70;
/** No record before this one that was sent once needs another look by RACK. */
export const RACK_NEXT = 72;
/** The record with which the SACK block began that changed last. */
export const SACK_HINT = 73;
/** Bytes that are in the network: neither acknowledged nor SACKed nor lost (RFC 6675, 4: pipe). */
export const PIPE = 74;
/** Bytes that are lost and were not sent again yet. */
export const LOST_BYTES = 75;
/** Bytes that are SACKed. */
export const SACKED_BYTES = 76;
/** SACKed records; without SACK: duplicate ACKs. */
export const SACKED_SEGMENTS = 77;
/** RACK.fack: the highest sequence number that was acknowledged or SACKed (RFC 8985, 5.3). */
export const HIGHEST_SACKED = 78;
/** State of recovery and its marks: see recovery/bits.ts. */
export const RECOVERY_BITS = 79;
/** SND.NXT when recovery began: recovery ends when it is acknowledged (RFC 6675: RecoveryPoint). */
export const RECOVERY_POINT = 80;
/** When the first retransmission since recovery began was sent, in ms (RFC 3522, 3.2: RetransmitTS). */
export const RETRANSMIT_MS = 81;
/** SND.UNA when recovery began: D-SACKs of older data do not count for an undo. */
export const UNDO_FROM = 82;
/** Retransmissions since then that no D-SACK has reported as unnecessary. */
export const UNDO_COUNT = 83;
/** CWND and SSTHRESH before the last reduction. */
export const PRIOR_CWND = 84;
export const PRIOR_SSTHRESH = 85;
/** prr_delivered, prr_out and RecoverFS (RFC 6937, 2), in bytes. */
export const PRR_DELIVERED = 86;
export const PRR_OUT = 87;
export const PRR_FLIGHT = 88;
/** TLP.end_seq (RFC 8985, 5.3). */
export const TLP_END = 89;
/** RACK.xmit_ts in µs, the transmission number instead of RACK.end_seq, and RACK.rtt in µs (RFC 8985, 5.3). */
export const RACK_US = 90;
export const RACK_ORDER = 91;
export const RACK_RTT = 92;
/** RACK.reo_wnd_mult in bits 0 to 15, RACK.reo_wnd_persist above. */
export const RACK_WINDOW = 93;
/** RACK.dsack_round. */
export const DSACK_ROUND = 94;
/** Timeouts in a row: in bits 0 to 15 since the last progress, above them since the last RTT sample. */
export const TIMEOUTS = 95;
/** When RACK looks at the records again, in µs. */
export const RACK_DUE_US = 96;
/** RTO in µs, without backoff (RFC 6298, 2). */
export const RTO_US = 97;
/** From when the RTO and the PTO count, in µs. */
export const RTO_FROM_US = 98;
export const PTO_FROM_US = 99;
/** The least RTT in µs of the present and of the previous period, and when the present one began (ms). */
export const MIN_RTT = 100;
export const MIN_RTT_BEFORE = 101;
export const MIN_RTT_MS = 102;
/** cwnd and ssthresh in bytes (RFC 5681, 3.1). */
export const CWND = 103;
export const SSTHRESH = 104;
/** The largest pipe of the present round, and the sequence number that ends the round. */
export const ROUND_PIPE = 105;
export const ROUND_END = 106;
/** When data was sent last, in ms. */
export const LAST_SENT_MS = 107;
/** Marks of congestion control: see congestion/bits.ts. */
export const CONGESTION_BITS = 108;
/** No further reduction because of ECE until this is acknowledged (RFC 3168, 6.1.2). */
export const ECN_END = 109;
/** W_max in bytes, K in ms, and when the epoch began in ms (RFC 9438, 4.1). */
export const CUBIC_MAX = 110;
export const CUBIC_K = 111;
export const CUBIC_EPOCH_MS = 112;
/** The same and W_est before the last reduction (RFC 9438, 4.9.2). */
export const PRIOR_CUBIC_MAX = 113;
export const PRIOR_CUBIC_K = 114;
export const PRIOR_CUBIC_EPOCH_MS = 115;
export const PRIOR_CUBIC_RENO = 116;
/** lastRoundMinRTT, currentRoundMinRTT and cssBaselineMinRtt in µs (RFC 9406, 4.2). */
export const HYSTART_LAST = 117;
export const HYSTART_CURRENT = 118;
export const HYSTART_BASE = 119;
/** Doubles, for `f64[(r >> 1) + NAME]`: SRTT and RTTVAR in µs (RFC 6298, 2). */
export const SRTT = 60;
export const RTTVAR = 61;
/** W_est in bytes (RFC 9438, 4.3). */
export const CUBIC_RENO = 62;
/** The part of a byte by which CWND should be larger. */
export const CWND_PART = 63;

// States (RFC 9293, 3.3.2). TIME_WAIT is not among them: such connections have left the table (time-wait.ts).

export const STATE_CLOSED = 0;
export const STATE_SYN_SENT = 1;
export const STATE_SYN_RECEIVED = 2;
export const STATE_ESTABLISHED = 3;
export const STATE_FIN_WAIT_1 = 4;
export const STATE_FIN_WAIT_2 = 5;
export const STATE_CLOSE_WAIT = 6;
export const STATE_CLOSING = 7;
export const STATE_LAST_ACK = 8;
/** Over on the wire, but the application has paused and has not taken all data. */
export const STATE_UNREAD = 9;
/** How many states there are. */
export const STATES = 10;

// Flags.

/** The peer and we use timestamps (RFC 7323, 3). */
export const FLAG_TIMESTAMPS = 1 << 0;
/** The peer allows SACK (RFC 2018, 2). */
export const FLAG_SACK = 1 << 1;
/** The application has ended its side: a FIN follows the last byte. */
export const FLAG_FIN_QUEUED = 1 << 2;
/** Our FIN was sent. */
export const FLAG_FIN_SENT = 1 << 3;
/** The peer's FIN was received, perhaps before data that is missing. */
export const FLAG_FIN_SEEN = 1 << 4;
/** Nagle's algorithm is off. */
export const FLAG_NO_DELAY = 1 << 5;
/** The application has paused reading. */
export const FLAG_PAUSED = 1 << 6;
/** An ACK is due at the end of the burst. */
export const FLAG_ACK_NOW = 1 << 7;
/** The row is in the list of rows to look at, at the end of the burst. */
export const FLAG_LISTED = 1 << 8;
/** The application waits for `drain`. */
export const FLAG_WANTS_DRAIN = 1 << 9;
/** The timer RETRANSMIT is the persist timer (RFC 9293, 3.8.6.1). */
export const FLAG_PERSIST = 1 << 10;
/** The connection was opened by the peer. */
export const FLAG_PASSIVE = 1 << 11;
/** ECN was negotiated (RFC 3168, 6.1.1). */
export const FLAG_ECN = 1 << 12;
/** CE was received: ECE goes out with every ACK until CWR comes. */
export const FLAG_ECE = 1 << 13;
/** CWR goes out with the next new data. */
export const FLAG_CWR = 1 << 14;
/** The sizes of the buffers were set by the application: no auto-tuning. */
export const FLAG_SEND_FIXED = 1 << 15;
export const FLAG_RECEIVE_FIXED = 1 << 16;
/** A write was cut short for want of memory, not because the send buffer was full. */
export const FLAG_SHORT = 1 << 17;
/** The connection uses Reno instead of CUBIC. */
export const FLAG_RENO = 1 << 18;
/** `end` of the application was called with the peer's FIN. */
export const FLAG_END_TOLD = 1 << 19;
/** A window update is due, because the application has taken bytes. */
export const FLAG_WINDOW_UPDATE = 1 << 20;
/** The application has resumed: what waits is for it. */
export const FLAG_DELIVER = 1 << 22;
/** With STATE_UNREAD: the flow goes to TIME-WAIT when the application has taken all data. */
export const FLAG_MUST_WAIT = 1 << 23;
/** The peer used window scaling (RFC 7323, 2.2). */
export const FLAG_SCALED = 1 << 21;

/** The rows, in one buffer. Row numbers go from 0 to `count - 1`. */
export class Rows {
  readonly i32: Int32Array;
  /** The same words as doubles: `f64[(r >> 1) + NAME]`. */
  readonly f64: Float64Array;

  constructor(readonly count: number) {
    const buffer = new ArrayBuffer(count * ROW_WORDS * Int32Array.BYTES_PER_ELEMENT);
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
  }
}
