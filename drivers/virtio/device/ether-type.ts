/** The EtherType of a packet in a burst, whatever segments it lies in. */
import { TYPE_QINQ, TYPE_VLAN, VLAN_BYTES } from '../header-fields.js';
import type { PacketBurst } from './packet-burst.js';

const ETHERNET_TYPE = 12;
const MAX_TAGS = 2;

/** Where the EtherType of a packet lies, in bytes from its beginning: behind up to two VLAN tags. */
export function ethernetTypeAt(burst: PacketBurst, packet: number): number {
  let at = ETHERNET_TYPE;
  for (let tags = 0; tags < MAX_TAGS && at + VLAN_BYTES + 2 <= burst.length[packet]; tags++) {
    const type = typeAt(burst, packet, at);
    if (type !== TYPE_VLAN && type !== TYPE_QINQ) break;
    at += VLAN_BYTES;
  }
  return at;
}

/** The EtherType of a packet, behind up to two VLAN tags. */
export function ethernetType(burst: PacketBurst, packet: number): number {
  return typeAt(burst, packet, ethernetTypeAt(burst, packet));
}

function typeAt(burst: PacketBurst, packet: number, at: number): number {
  return (burst.byteAt(packet, at) << 8) | burst.byteAt(packet, at + 1);
}
