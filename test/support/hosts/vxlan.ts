/** What is in a UDP datagram to port 4789 (RFC 7348), in hexadecimal. */

const hex = (value: number, bytes: number): string => value.toString(16).padStart(2 * bytes, '0');

/** An Ethernet frame of a type that no stack knows, from VM to VM. */
export const frameBetween = (from: number, to: number): string =>
  `52540000${hex(to, 2)}52540000${hex(from, 2)}88b5${'00'.repeat(46)}`;

/** The VXLAN header, and the frame. */
export const vxlan = (vni: number, frame: string, flags = 0x08): string =>
  `${hex(flags, 1)}000000${hex(vni, 3)}00${frame}`;

/** An Ethernet frame with a UDP datagram to port 4789, whose checksum is left out. */
export function udpFrame(to: number, datagram: string): string {
  const bytes = datagram.length / 2;
  const ip = `4500${hex(28 + bytes, 2)}00004000401100000a0000030a000001`;
  return `${frameBetween(3, to).slice(0, 24)}0800${withChecksum(ip)}c00012b5${hex(8 + bytes, 2)}0000${datagram}`;
}

function withChecksum(header: string): string {
  let sum = 0;
  for (let at = 0; at < header.length; at += 4) sum += Number.parseInt(header.slice(at, at + 4), 16);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return `${header.slice(0, 20)}${hex(~sum & 0xffff, 2)}${header.slice(24)}`;
}
