/**
 * From the answer of a DHCP server to the terms of a lease: checks that the address can be ours, and leaves out what is
 * no use. A server may be wrong or hostile: without a check it could give us the address of the network or of itself.
 */
import { formatIpv4, prefixMask } from '../../wire/address.js';
import { type HostAddress, hostFault, isRoutable } from '../host.js';
import type { Lease } from './lease.js';
import type { ServerMessage } from './message.js';

/** What was agreed with a server. Addresses are signed. */
export interface Terms {
  readonly host: HostAddress;
  readonly server: number;
  readonly lease: Lease;
  /** When to renew, to rebind, and when the lease ends: ms after the request was sent. */
  readonly t1: number;
  readonly t2: number;
  readonly expiry: number;
}

/** RFC 791: every host takes packets of 576 bytes. A server that names less would only make us slow. */
const LEAST_MTU = 576;
/** A lease that is shorter is over before it can be renewed. */
const LEAST_SECONDS = 2;
const MAX_DOMAIN = 253;

/** Why an offered or acknowledged address cannot be ours; an empty text when it can. */
export function addressFault({ address, server, prefixLength }: ServerMessage): string {
  const fault = hostFault(address, prefixLengthOf(address, prefixLength));
  if (fault !== '') return `${formatIpv4(address)} is ${fault}`;
  if (!isRoutable(server)) return `the server names ${formatIpv4(server)} as its address`;
  return address === server ? `${formatIpv4(address)} is the address of the server` : '';
}

/** The terms of an ACK. @returns why there are none, in a few words, when they cannot be used */
export function termsOf(message: ServerMessage): Terms | string {
  const fault = addressFault(message);
  if (fault !== '') return fault;
  const { address, server, lease: seconds, dns, domain, mtu } = message;
  if (seconds < LEAST_SECONDS) return `its lease is ${seconds} s long`;
  const prefixLength = prefixLengthOf(address, message.prefixLength);
  const isOnLink = (ip: number): boolean => ((ip ^ address) & prefixMask(prefixLength)) === 0;
  const router = message.routers.find((ip) => isRoutable(ip) && isOnLink(ip) && ip !== address) ?? 0;
  const lease: Lease = {
    ...{ address: formatIpv4(address), prefixLength, server: formatIpv4(server) },
    router: router === 0 ? null : formatIpv4(router),
    dns: dns.filter(isRoutable).map(formatIpv4),
    domain: domain === '' || domain.length > MAX_DOMAIN || /[^\w.-]/.test(domain) ? null : domain,
    mtu: mtu < LEAST_MTU ? null : mtu,
    seconds,
  };
  // RFC 2131, 4.4.5: 0.5 and 0.875 of the lease, unless the server names times that make sense. One that never ends is
  // not renewed.
  const isLimited = Number.isFinite(seconds);
  const named = isLimited && message.t1 > 0 && message.t1 < message.t2 && message.t2 < seconds;
  const [t1, t2] = named ? [message.t1, message.t2] : [seconds * 0.5, seconds * 0.875];
  const host: HostAddress = { address, prefixLength, gateway: router };
  return { host, server, lease, t1: t1 * 1000, t2: t2 * 1000, expiry: seconds * 1000 };
}

/** Without a mask, the prefix follows from the class of the address (RFC 950, 2.1). */
function prefixLengthOf(address: number, named: number): number {
  if (named >= 0) return named;
  const first = address >>> 24;
  return first < 128 ? 8 : first < 192 ? 16 : 24;
}
