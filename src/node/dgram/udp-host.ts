/** What a UDP socket needs of the host that it belongs to. */
import type { TcpIp } from '../../tcpip/index.js';

export interface UdpHost {
  readonly stack: Pick<TcpIp, 'udp'>;
  /** What keeps the process alive. */
  readonly refs: { ref(): void; unref(): void };
  /** Our address, as a text. */
  readonly address: string;
  /** Whether a socket may be bound to `address`: it is ours, or means all of ours. */
  isOwnAddress(address: string): boolean;
  /** Returns the address that the stack sends to: loopback addresses and 0.0.0.0 mean the stack itself. */
  stackAddress(address: string): string;
  /** Sends what the stack has put into the core, at the latest at the end of this turn of the event loop. */
  flush(): void;
  /** What the program has thrown in a callback is an uncaught exception of the program, and no fault of the stack. */
  uncaught(error: unknown): void;
}
