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
/** TS.Recent (RFC 7323, 4.3): the peer's timestamp that goes back to it. */
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
/** IRS: the peer's initial sequence number. */
export const IRS = 23;
/** Number of window probes (persist) that were sent since the window closed. */
export const PROBES = 24;
/** When the peer was last heard, in ms. */
export const HEARD_MS = 25;
/** Options: user timeout in ms; 0 for none. */
export const USER_TIMEOUT = 26;
/** Options: idle time until the first keep-alive probe in ms; 0 for none. */
export const KEEP_ALIVE = 27;
/** End of the urgent data that the application was not told of, relative: RCV.UP. */
export const RCV_UP = 28;
/** The next row of the list that the row is in: to be acknowledged, or free. */
export const NEXT_ROW = 29;
/** The next row of the list of rows that wait for send memory. */
export const NEXT_WAITING = 30;
/** Counts the uses of the row, so that an old reference to it is recognised. */
export const GENERATION = 31;

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
/** How often a SYN or a SYN-ACK was sent again. */
export const SYN_RETRIES = 56;
/** When the SYN or the SYN-ACK was sent for the first time, in µs. */
export const SYN_US = 57;
/** Keep-alive probes that were sent without an answer. */
export const KEEP_PROBES = 59;
/** When SND.UNA moved last, or data was sent with nothing in flight, in ms: what the user timeout is counted from. */
export const PROGRESS_MS = 60;

/** Words 64 to 127 belong to `recovery/` and `congestion/`. */
export const RECOVERY_WORDS = 64;

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
/** The row waits for send memory. */
export const FLAG_WAITS_FOR_MEMORY = 1 << 17;
/** The connection uses Reno instead of CUBIC. */
export const FLAG_RENO = 1 << 18;
/** `end` of the application was called with the peer's FIN. */
export const FLAG_END_TOLD = 1 << 19;
/** A window update is due, because the application has taken bytes. */
export const FLAG_WINDOW_UPDATE = 1 << 20;
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
