/** What an application sees of TCP: its handlers, and a connection. */

/** What the stack tells about one connection, as Linux's `tcp_info` does. Times are in ms, with a fraction; amounts in bytes. */
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
  readonly congestionWindow: number;
  /** Slow start ends here; Infinity before the first loss. */
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
  /** Options that both sides use. */
  readonly timestamps: boolean;
  readonly sack: boolean;
  readonly ecn: boolean;
  /** Shifts of the windows: of the peer's, and of ours. */
  readonly sendScale: number;
  readonly receiveScale: number;
  /** `cubic` or `reno`. */
  readonly congestion: string;
}

/**
 * A TCP connection. The stack makes one object per row of its table and uses it again for another connection, so an
 * application must not keep it beyond {@link TcpHandlers.close}.
 */
export interface Connection {
  /** For the application. `undefined` when the connection is new. */
  context: unknown;
  /** The peer's address, such as `10.0.0.2`. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** The state by its name in RFC 9293, such as `ESTABLISHED`; `CLOSED` after the close. */
  readonly state: string;
  /** How many bytes {@link write} would take now. */
  readonly writable: number;
  /** How many bytes were written and not acknowledged yet. */
  readonly buffered: number;
  /** Bytes that were received in order until now. */
  readonly bytesRead: number;
  /** Bytes that {@link write} has taken until now. */
  readonly bytesWritten: number;

  /**
   * Sends bytes: copies them into the send buffer.
   * @param offset of the first byte. Default 0
   * @param length default: to the end
   * @returns how many bytes were taken: fewer than `length` when the send buffer is full. `drain` follows then. 0 after
   * {@link end}
   */
  write(bytes: Uint8Array, offset?: number, length?: number): number;
  /** Ends our side: a FIN follows the last byte. The peer may go on sending. The second call does nothing. */
  end(): void;
  /** Ends the connection at once with a RST. `close` is called with no error before this returns. */
  abort(): void;
  /** No more `data` and `end` until {@link resume}. What comes meanwhile is kept, up to the receive window. */
  pause(): void;
  resume(): void;
  /** Sends every segment at once (no Nagle's algorithm), or not. */
  setNoDelay(noDelay: boolean): void;
  /** Sets the idle time in ms until the first keep-alive probe; 0: no probes. */
  setKeepAlive(idleMs: number): void;
  /** Measures, as Linux's `tcp_info`. */
  info(): ConnectionInfo;
}

/**
 * What an application does with the connections of a listener, or with one that it has opened. One set of handlers
 * serves all connections of a listener.
 */
export interface TcpHandlers {
  /** The connection is established. */
  open?(connection: Connection): void;
  /**
   * Bytes came, in order.
   * @param bytes valid during the call only; the application copies what it keeps
   * @param offset of the first byte in `bytes`
   * @param length bytes, at least 1
   */
  data?(connection: Connection, bytes: Uint8Array, offset: number, length: number): void;
  /** There is room in the send buffer again, after a `write` that did not take all. */
  drain?(connection: Connection): void;
  /** The peer has ended its side; no more `data` follows. The application may go on sending until it ends its own. */
  end?(connection: Connection): void;
  /**
   * The connection is over. The last call: the object is not the application's any more.
   * @param error null after an orderly close or {@link Connection.abort}; otherwise an Error whose `code` is
   * ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL or ENOBUFS
   */
  close?(connection: Connection, error: Error | null): void;
}
