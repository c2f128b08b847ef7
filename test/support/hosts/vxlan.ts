/** What is in a UDP datagram to port 4789 (RFC 7348), in hexadecimal. */

const hex = (value: number, bytes: number): string => value.toString(16).padStart(2 * bytes, '0');

/** An Ethernet frame of a type that no stack knows, from VM to VM. */
export const frameBetween = (from: number, to: number): string =>
  `52540000${hex(to, 2)}52540000${hex(from, 2)}88b5${'00'.repeat(46)}`;

/** The VXLAN header, and the frame. */
export const vxlan = (vni: number, frame: string, flags = 0x08): string =>
  `${hex(flags, 1)}000000${hex(vni, 3)}00${frame}`;

/** A UDP datagram to port 4789 in an Ethernet frame, without a UDP checksum. `ips` and `macs` are two addresses each. */
export function udpFrame(macs: string, ips: string, datagram: string): string {
  const bytes = datagram.length / 2;
  const ip = withChecksum(`4500${hex(28 + bytes, 2)}0000400040110000${ips}`);
  return `${macs}0800${ip}c00012b5${hex(8 + bytes, 2)}0000${datagram}`;
}

/** The same from VM 3 to a VM, which has an address in 10.0.0.0/24. */
export const udpBetweenVms = (to: number, datagram: string): string =>
  udpFrame(frameBetween(3, to).slice(0, 24), `0a000003${hex(0x0a000000 + to, 4)}`, datagram);

function withChecksum(header: string): string {
  let sum = 0;
  for (let at = 0; at < header.length; at += 4) sum += Number.parseInt(header.slice(at, at + 4), 16);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return `${header.slice(0, 20)}${hex(~sum & 0xffff, 2)}${header.slice(24)}`;
}
