/** What an application sees of TCP: its handlers, and a connection. */

/**
 * What {@link Connection.info} returns: measures of a connection, as Linux's `tcp_info` has them. Times are in ms, with
 * a fraction; windows and amounts in bytes. It is a snapshot that belongs to the caller.
 */
export interface ConnectionInfo {
  /** The state by its name in RFC 9293, such as `ESTABLISHED`. */
  readonly state: string;
  /** Smoothed round trip; 0 before the first measurement. */
  readonly rtt: number;
  /** Variation of the round trip. */
  readonly rttVariance: number;
  /** Least round trip of the last minutes; 0 before the first measurement. */
  readonly minRtt: number;
  /** Retransmission timeout, with backoff. */
  readonly rto: number;
  /** Bytes that may be in the network (RFC 5681: cwnd). */
  readonly congestionWindow: number;
  /** Slow start ends here (RFC 5681: ssthresh); Infinity before the first reduction. */
  readonly slowStartThreshold: number;
  /** Bytes that are believed to be in the network. */
  readonly pipe: number;
  /** Bytes that are lost and wait to be sent again. */
  readonly lost: number;
  /** Bytes that the peer has received out of order. */
  readonly sacked: number;
  /** Whether segments overtake each other on the path. */
  readonly reordering: boolean;
  /** The state of the sender, as Linux names it. */
  readonly recovery: 'open' | 'disorder' | 'recovery' | 'loss';
  /** Bytes of data in a segment. */
  readonly mss: number;
  /** Bytes that were sent and not acknowledged yet. */
  readonly inFlight: number;
  /** Bytes that wait to be sent for the first time. */
  readonly unsent: number;
  /** The window that the peer offers. */
  readonly sendWindow: number;
  /** The window that we offer. */
  readonly receiveWindow: number;
  /** Bytes that were acknowledged by the peer until now. */
  readonly bytesAcknowledged: number;
  /** Bytes that were received in order until now. */
  readonly bytesReceived: number;
  /** Segments that were sent again until now. */
  readonly retransmitted: number;
  /** Whether both sides use timestamps (RFC 7323). */
  readonly timestamps: boolean;
  /** Whether the peer takes SACK blocks (RFC 2018). */
  readonly sack: boolean;
  /** Whether both sides use ECN (RFC 3168). */
  readonly ecn: boolean;
  /** Shift of the peer's window (RFC 7323). */
  readonly sendScale: number;
  /** Shift of our window. */
  readonly receiveScale: number;
  /** `cubic` or `reno`. */
  readonly congestion: string;
}

/**
 * A TCP connection. The object belongs to the stack, which uses it again for another connection: do not keep it beyond
 * {@link TcpHandlers.close}. No call waits. All may be called from handlers, and what follows from them goes out
 * together at the end of the poll. All may be called from outside, too, such as from a timer: they may call handlers
 * before they return then, and the loop of the core is woken to send. With `TcpIp.defer` the next poll does it all.
 *
 * @example Sends an array of any size, and ends:
 * const send = (c: Connection): void => {
 *   const rest = c.context as Uint8Array;
 *   c.context = rest.subarray(c.write(rest));
 *   if ((c.context as Uint8Array).length === 0) c.end();
 * };
 * net.tcp.listen({ port: 80 }, { open(c) { c.context = page; send(c); }, drain: send });
 */
export interface Connection {
  /** For the application. `undefined` when the connection is new; dropped after {@link TcpHandlers.close}. */
  context: unknown;
  /** The peer's address, such as `10.0.0.2`. Each read makes the text anew. */
  readonly remoteAddress: string;
  /** The peer's port. */
  readonly remotePort: number;
  /** Our address. */
  readonly localAddress: string;
  /** Our port. */
  readonly localPort: number;
  /** The state by its name in RFC 9293, such as `ESTABLISHED`; `CLOSED` after the close. */
  readonly state: string;
  /** How many bytes {@link write} would take now. */
  readonly writable: number;
  /** How many bytes were written and not acknowledged yet. */
  readonly buffered: number;
  /** How many bytes have come in order and wait, because the application has paused. */
  readonly unread: number;
  /** Bytes that were received in order until now. */
  readonly bytesRead: number;
  /** Bytes that {@link write} has taken until now. */
  readonly bytesWritten: number;

  /**
   * Sends bytes. It copies them into the send buffer, so the array stays the caller's. Before the handshake is over,
   * they wait for its end.
   * @param bytes that hold what is sent; those of a `data` handler will do
   * @param offset of the first byte. Default 0
   * @param length in bytes. Default: to the end of `bytes`
   * @returns how many bytes were taken: fewer than `length` when the send buffer is full, or the memory of the stack.
   * `drain` follows then. 0 after {@link end}
   * @throws ArgumentError when the range is not within `bytes`
   */
  write(bytes: Uint8Array, offset?: number, length?: number): number;
  /**
   * Ends our side (RFC 9293, 3.10.4: CLOSE): a FIN follows the last byte. The peer may go on sending, and `close` follows
   * when it has ended its side, too. Before the SYN is answered, it gives the connection up: `close` is called with null
   * before this returns. The second call does nothing.
   */
  end(): void;
  /**
   * Ends the connection at once with a RST (RFC 9293, 3.10.5: ABORT). What was not sent is lost. `close` is called with
   * null before this returns.
   */
  abort(): void;
  /**
   * Stops `data` and `end` until {@link resume}. What comes meanwhile is kept, until the receive window is full and the
   * peer has to stop.
   */
  pause(): void;
  /**
   * Ends a {@link pause}: what waits comes to `data` and `end`. When a handler has called it, that is at the end of the
   * poll, otherwise before this returns.
   */
  resume(): void;
  /** Sends small segments at once (true), or by Nagle's algorithm (false; RFC 9293, 3.7.4). As TCP_NODELAY. */
  setNoDelay(noDelay: boolean): void;
  /**
   * Sets the idle time until the first keep-alive probe (RFC 9293, 3.8.4). After 9 probes in turn without an answer, one
   * per 75 s, the connection ends with ETIMEDOUT.
   * @param idleMs in ms; 0: no probes
   * @throws ArgumentError when it is not a whole number from 0 to 2^31 - 1
   */
  setKeepAlive(idleMs: number): void;
  /** Returns measures of the connection, as Linux's `tcp_info`. It makes an object: not for each segment. */
  info(): ConnectionInfo;
}

/**
 * What an application does with the connections of a listener, or with one that it has opened. One set of handlers
 * serves all connections of a listener. The stack calls them from its poll, and from calls of the application. They may
 * call anything, also on other connections. What a handler throws ends the stack.
 *
 * @example Counts bytes per connection:
 * const handlers: TcpHandlers = {
 *   open: (c) => { c.context = 0; },
 *   data: (c, bytes, offset, length) => { c.context = (c.context as number) + length; },
 *   end: (c) => c.end(),
 *   close: (c, error) => console.log(c.remoteAddress, c.context, error?.message ?? 'ended'),
 * };
 */
export interface TcpHandlers {
  /** The connection is established. For a listener it is the first that is heard of the connection. */
  open?(connection: Connection): void;
  /**
   * Bytes came, in order. Without this handler they are dropped.
   * @param bytes memory that holds them, and much else: valid during the call only, and not to be written. Copy what you
   * keep
   * @param offset of the first byte in `bytes`
   * @param length bytes, at least 1
   */
  data?(connection: Connection, bytes: Uint8Array, offset: number, length: number): void;
  /** A third of the send buffer is free again, after a `write` that did not take all. */
  drain?(connection: Connection): void;
  /** The peer has ended its side; no more `data` follows. The application may go on sending until it ends its own. */
  end?(connection: Connection): void;
  /**
   * The connection is over, or a `connect` has failed. The last call: the object is not the application's any more. A
   * connection that waits in TIME-WAIT is over for the application.
   * @param error null after an orderly close or {@link Connection.abort}; otherwise a {@link NetError} whose `code` is
   * ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH or ENETUNREACH
   */
  close?(connection: Connection, error: Error | null): void;
}
