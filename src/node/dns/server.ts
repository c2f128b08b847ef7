/** The address of a DNS server, as people write it. */
import { ArgumentError } from '../../errors.js';
import { isRoutable } from '../../link/host.js';
import { formatIpv4, parseIpv4 } from '../../wire/address.js';

export interface DnsServer {
  readonly address: string;
  readonly port: number;
}

const DNS_PORT = 53;
const MAX_PORT = 0xffff;

/**
 * Parses `10.0.0.53` or `10.0.0.53:5353`.
 * @throws ArgumentError when the text is wrong, or the address is one that the stack cannot reach, such as 127.0.0.53
 */
export function parseDnsServer(text: string): DnsServer {
  const [host, digits] = text.split(':', 2) as [string, string?];
  const address = parseIpv4(host) | 0;
  const port = digits === undefined ? DNS_PORT : Number(digits);
  if (!(Number.isInteger(port) && port >= 1 && port <= MAX_PORT) || text.split(':').length > 2) {
    throw new ArgumentError(`DNS server '${text}': want an address, or an address and a port such as 10.0.0.53:53`);
  }
  if (!isRoutable(address)) {
    throw new ArgumentError(`DNS server '${text}': the stack reaches no server there; name one on the network`);
  }
  return { address: formatIpv4(address), port };
}
