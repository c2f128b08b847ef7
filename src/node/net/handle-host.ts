/** What the handles need of the host that they belong to. */
import type { TcpIp } from '../../tcpip/index.js';
import type { Refs } from '../refs.js';

/** A handle that has something in the stack: a connection, a listener. */
export interface OpenHandle {
  /** Whether the stack has something of it that was never sent. */
  readonly isUnsent: boolean;
  /** Bytes that the peer has not acknowledged. */
  readonly unacknowledgedBytes: number;
  /** Whether the program has given it up, but the peer has not acknowledged everything. */
  readonly isUnacknowledged: boolean;
  /** Gives it up, as the end of a process does: the program hears no more of it. */
  close(): void;
  /** Sends no more of it: a connection is reset. */
  abort(): void;
}

export interface HandleHost {
  readonly stack: TcpIp;
  /** What keeps the process alive. */
  readonly refs: Refs;
  /** Our address, as a text. */
  readonly address: string;
  /** Whether a socket may be bound to `address`: it is ours, or means all of ours. */
  isOwnAddress(address: string): boolean;
  /** Returns the address that the stack sends to: loopback addresses and 0.0.0.0 mean the stack itself. */
  stackAddress(address: string): string;
  /** Returns how the program sees the address of a peer. */
  shownAddress(address: string): string;
  /** Calls `act` after this turn of the loop, as libuv completes requests. */
  afterTurn(act: () => void): void;
  /** What the program has thrown in a callback is an uncaught exception of the program, and no fault of the stack. */
  uncaught(error: unknown): void;
  /** A program has closed a connection: the peer gets some time to end it, too. */
  remember(orphan: OpenHandle): void;
  /** A connection is over. */
  forget(orphan: OpenHandle): void;
  /** All handles that have something in the stack. */
  readonly open: Set<OpenHandle>;
  /** The ports of the listeners that take connections to any address of ours. */
  readonly wildcardPorts: Set<number>;
}

const MAPPED = /^(?:::ffff:)?(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})$/i;

/**
 * Returns the IPv4 address that an address means (RFC 4291, 2.5.5.2; the IPv6 addresses for loopback and for none mean
 * those of IPv4); null for any other IPv6 address.
 */
export function ipv4In(address: string): string | null {
  if (address === '::1') return '127.0.0.1';
  if (address === '::') return '0.0.0.0';
  return MAPPED.exec(address)?.[1] ?? null;
}
