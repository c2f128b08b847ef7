/** What decides whether the kernel can send a packet as it is. */
import { ETHERNET_HEADER_BYTES } from '../../../rings/buffer-pool.js';
import { ethernetType, ethernetTypeAt } from '../../virtio/device/ether-type.js';
import type { PacketBurst } from '../../virtio/device/packet-burst.js';
import { MAX_FRAME_BYTES } from '../../virtio/device/tx-queue.js';
import { IPV4_BYTES, IPV6_BYTES, TYPE_IPV4, TYPE_IPV6, VLAN_BYTES } from '../../virtio/header-fields.js';

/**
 * Whether an interface with this MTU carries packet i, and a frame of the ring has room for it. The kernel does not check it where a virtio-net header goes before
 * the packet. A VLAN tag comes on top (802.1Q), but no second one.
 */
export function fitsMtu(burst: PacketBurst, i: number, flags: number, mtu: number): boolean {
  if (burst.length[i] > MAX_FRAME_BYTES) return false;
  const over = burst.segmentBytes(i, flags) - mtu - ETHERNET_HEADER_BYTES;
  return over <= 0 || (over <= VLAN_BYTES && ethernetTypeAt(burst, i) + 2 > ETHERNET_HEADER_BYTES);
}

/**
 * Whether the partial checksum of packet i is that of its outermost transport header. An inner one, of a packet in a tunnel,
 * must not be left to the kernel: it could not tell a network card that this is a tunnel, and the card would sum the outer
 * packet instead.
 */
export function isSumOfOuter(burst: PacketBurst, i: number): boolean {
  const ip = ethernetTypeAt(burst, i) + 2;
  const start = burst.csumStart[i];
  // The packet goes on behind `start`, so this byte is there.
  if (start < ip + IPV4_BYTES) return false;
  const type = ethernetType(burst, i);
  if (type === TYPE_IPV4) return start === ip + (burst.byteAt(i, ip) & 15) * 4;
  return type === TYPE_IPV6 && start === ip + IPV6_BYTES;
}
