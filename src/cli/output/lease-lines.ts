/** Lines about the lease of a port whose address comes from DHCP. */
import type { EventSink, LogEvent } from '../../../drivers/log/events.js';
import type { Lease, Port, PortBase } from '../../index.js';

/** Returns `10.0.0.57/24 from 10.0.0.9 for 3600 s, gateway …, dns …, domain …, mtu …`. */
export function leaseText(lease: Lease): string {
  const { address, prefixLength, server, seconds, router, dns, domain, mtu } = lease;
  const parts = [`${address}/${prefixLength} from ${server} for ${Number.isFinite(seconds) ? `${seconds} s` : 'ever'}`];
  if (router !== null) parts.push(`gateway ${router}`);
  if (dns.length > 0) parts.push(`dns ${dns.join(' ')}`);
  if (domain !== null) parts.push(`domain ${domain}`);
  if (mtu !== null) parts.push(`mtu ${mtu}`);
  return parts.join(', ');
}

/**
 * Prints the lease of a port, if it has one, and each change of it. A lease that was renewed as it was is no change.
 * @param tell takes a line, with its event
 */
export function showLease(port: Port, tell: EventSink): void {
  let shown = '';
  const show = (lease: Lease | null, reason: string): void => {
    const text = lease === null ? `none: ${reason}` : leaseText(lease);
    if (text !== shown) tell(`lease: ${text}`, lease === null ? noLease(reason) : leaseEvent(lease));
    shown = text;
  };
  if (port.lease !== null) show(port.lease, '');
  port.on('lease', show);
}

const noLease = (reason: string): LogEvent => ({ event: 'lease', level: 'warning', address: null, reason });

/** `seconds` is null for a lease that never ends. */
function leaseEvent({ address, prefixLength, seconds, router, server, dns, domain, mtu }: Lease): LogEvent {
  const lasts = Number.isFinite(seconds) ? seconds : null;
  return {
    ...{ event: 'lease', address: `${address}/${prefixLength}`, server, seconds: lasts, gateway: router },
    ...{ dns, domain, mtu },
  };
}

/** Returns the address of a port, with the length of its prefix. */
export function addressText({ address: { address, prefixLength } }: PortBase): string {
  return `${address}/${prefixLength}`;
}
