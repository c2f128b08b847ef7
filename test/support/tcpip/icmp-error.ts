/** ICMP errors, built byte by byte and with their own checksum: not with the code under test. */
import { ipv4, naiveChecksum } from '../link/frames.js';

export interface IcmpErrorFields {
  type?: number;
  code?: number;
  mtu?: number;
  /** Who sends it: a router by default. */
  source?: string;
  destination?: string;
}

/**
 * The IP packet with an ICMP error about `packet`.
 * @param packet as much of it as the error quotes
 */
export function icmpError(packet: ArrayLike<number>, fields: IcmpErrorFields = {}): number[] {
  const { type = 3, code = 3, mtu = 0, source = '10.0.0.254', destination = '10.0.0.1' } = fields;
  const message = [type, code, 0, 0, 0, 0, mtu >>> 8, mtu & 0xff, ...Array.from(packet)];
  const sum = naiveChecksum(message);
  message[2] = sum >>> 8;
  message[3] = sum & 0xff;
  return ipv4(message, { protocol: 1, source, destination });
}
