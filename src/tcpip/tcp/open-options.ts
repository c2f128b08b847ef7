/** What an application says to listen and to connect. */
import type { TcpOptions } from './settings.js';

/** Options of `net.tcp.listen`; those of {@link TcpOptions} are for each of its connections. */
export interface ListenOptions extends TcpOptions {
  /**
   * The local port, 0 to 65535. 0 chooses the next port from 49152 on that has no listener. Cores that run the same
   * program get the same port.
   */
  readonly port: number;
  /** Most half-open connections; more are answered by SYN cookies (RFC 4987, 3.6). Default 511, as in Node. */
  readonly backlog?: number;
}

/** Options of `net.tcp.connect`. */
export interface ConnectOptions extends TcpOptions {
  /** The peer's IPv4 address, such as `10.0.0.2`. With our own address the connection stays within this stack. */
  readonly address: string;
  /** The peer's port, 1 to 65535. */
  readonly port: number;
  /** Our port, 1 to 65535. Default: one from 32768 to 60999 whose answers come to this core (RFC 6056). */
  readonly localPort?: number;
}

/** A port that takes connections, from `net.tcp.listen`. */
export interface Listener {
  /** The local port. */
  readonly port: number;
  /** Takes no more connections: a SYN is answered by a RST. The connections that there are go on. */
  close(): void;
}
