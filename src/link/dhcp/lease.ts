/** What a DHCP server has lent us, as programs see it. */
import type { HostAddress } from '../host.js';

/** A lease of a DHCP server (RFC 2131): our address, and what belongs to it. */
export interface Lease {
  /** Our address: `10.0.0.57`. */
  readonly address: string;
  readonly prefixLength: number;
  /** The server, by its identifier: `10.0.0.9`. */
  readonly server: string;
  /** The router for addresses that are not on the link; null when the server names none on our link. */
  readonly router: string | null;
  /** DNS servers, the preferred one first. */
  readonly dns: readonly string[];
  /** Domain of the names in DNS; null when the server names none. */
  readonly domain: string | null;
  /** Longest IP packet in bytes; null when the server names none. The port obeys that of its first lease. */
  readonly mtu: number | null;
  /** How long the lease is valid after it was given or renewed, in seconds. Infinity: for ever. */
  readonly seconds: number;
}

/** A change of our address, as the thread that receives reports it. Structured-cloneable. */
export interface AddressChange {
  readonly host: HostAddress;
  /** Null when the address is not from a DHCP server, or there is none now. */
  readonly lease: Lease | null;
  /** One line: what has happened. */
  readonly reason: string;
}

/** Takes a change of our address. */
export type AddressSink = (change: AddressChange) => void;
