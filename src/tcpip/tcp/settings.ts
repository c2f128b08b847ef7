/** Options of listeners and connections, and of all TCP of a stack, with their defaults: Linux's where it has one. */
import { checkOption } from '../check-option.js';

/**
 * Options of a listener or a connection. The defaults are Linux's where it has one.
 *
 * @example net.tcp.listen({ port: 22, noDelay: true, keepAlive: 60_000, userTimeout: 30_000 }, handlers);
 */
export interface TcpOptions {
  /** Whether small segments are sent at once, without Nagle's algorithm. Default false, as TCP_NODELAY. */
  readonly noDelay?: boolean;
  /** Idle time until the first keep-alive probe, in ms; 0: no probes. Default 0, as SO_KEEPALIVE. */
  readonly keepAlive?: number;
  /** Fixed size of the send buffer, 1 KiB to 1 GiB. Default: grows with the congestion window, from 64 KiB to 4 MiB. */
  readonly sendBuffer?: number;
  /** Fixed size of the receive buffer, 1 KiB to 1 GiB. Default: grows with what is read, from 128 KiB to 6 MiB. */
  readonly receiveBuffer?: number;
  /** Congestion control: CUBIC (RFC 9438) or Reno (RFC 5681). Default `cubic`. */
  readonly congestion?: 'cubic' | 'reno';
  /**
   * Ends the connection with ETIMEDOUT when the peer has acknowledged nothing for so many ms, as TCP_USER_TIMEOUT. 0:
   * after 15 retransmissions, which takes some 15 minutes. Default 0.
   */
  readonly userTimeout?: number;
  /** Differentiated services codepoint of the packets, 0 to 63 (RFC 2474). Default 0. */
  readonly dscp?: number;
  /** Whether explicit congestion notification is used where the peer does, too (RFC 3168). Default false. */
  readonly ecn?: boolean;
}

/** The options of a connection, with the defaults filled in. */
export interface TcpSettings {
  readonly noDelay: boolean;
  readonly keepAlive: number;
  readonly sendBuffer: number;
  readonly receiveBuffer: number;
  readonly isSendFixed: boolean;
  readonly isReceiveFixed: boolean;
  readonly reno: boolean;
  readonly userTimeout: number;
  readonly dsField: number;
  readonly ecn: boolean;
}

const INITIAL_SEND = 64 * 1024;
const INITIAL_RECEIVE = 128 * 1024;
/** The window of TCP has 30 bits (RFC 7323, 2.3). */
const MAX_BUFFER = 1 << 30;
const MIN_BUFFER = 1024;
/** Longest time of an option. */
export /** Half of what the timer wheel reaches. */
const MAX_MS = 1 << 30;
const MAX_DSCP = 63;

/**
 * Checks options and fills in the defaults.
 * @param call for the message, such as `listen`
 * @throws ArgumentError that names the option
 */
export function tcpSettings(call: string, options: TcpOptions): TcpSettings {
  const { noDelay = false, keepAlive = 0, sendBuffer, receiveBuffer, congestion = 'cubic', userTimeout = 0 } = options;
  const { dscp = 0 } = options;
  checkOption(call, 'keepAlive', keepAlive, 0, MAX_MS);
  checkOption(call, 'userTimeout', userTimeout, 0, MAX_MS);
  checkOption(call, 'dscp', dscp, 0, MAX_DSCP);
  if (sendBuffer !== undefined) checkOption(call, 'sendBuffer', sendBuffer, MIN_BUFFER, MAX_BUFFER);
  if (receiveBuffer !== undefined) checkOption(call, 'receiveBuffer', receiveBuffer, MIN_BUFFER, MAX_BUFFER);
  checkOption(call, 'congestion', congestion, 'cubic', 'reno');
  return {
    noDelay,
    keepAlive,
    userTimeout,
    sendBuffer: sendBuffer ?? INITIAL_SEND,
    receiveBuffer: receiveBuffer ?? INITIAL_RECEIVE,
    isSendFixed: sendBuffer !== undefined,
    isReceiveFixed: receiveBuffer !== undefined,
    reno: congestion === 'reno',
    dsField: dscp << 2,
    ecn: options.ecn ?? false,
  };
}
