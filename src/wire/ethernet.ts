/**
 * Ethernet II (IEEE 802.3, clause 3): the 14 bytes in front of a packet. A stack needs them only with layer `ethernet`.
 *
 * A MAC address is moved as three 16-bit memory words. The byte order of the host does not matter, because addresses
 * are only copied and compared. A frame begins at an even offset.
 */
import { ETHERNET_HEADER_BYTES } from '../../rings/buffer-pool.js';
import { readU16 } from './bytes.js';

/** Offset of the destination's MAC address, from the first byte of the frame. */
export const ETH_DESTINATION = 0;
/** Offset of the source's MAC address, from the first byte of the frame. */
export const ETH_SOURCE = 6;
/** Offset of the EtherType, 16 bits, from the first byte of the frame. */
export const ETH_TYPE = 12;
/** Length of the header in bytes. */
export const ETH_HEADER_BYTES = ETHERNET_HEADER_BYTES;
/** The smallest EtherType. A smaller value in this field is the length of an IEEE 802.3 LLC frame. */
export const ETHERTYPE_MIN = 0x0600;

/** EtherType of IPv4. */
export const ETHERTYPE_IPV4 = 0x0800;
/** EtherType of ARP. */
export const ETHERTYPE_ARP = 0x0806;
/** EtherType of a VLAN tag (IEEE 802.1Q). */
export const ETHERTYPE_VLAN = 0x8100;
/** EtherType of a service VLAN tag (IEEE 802.1ad). */
export const ETHERTYPE_QINQ = 0x88a8;
/** EtherType of IPv6. */
export const ETHERTYPE_IPV6 = 0x86dd;

/** EtherType of IPv4 as a memory word, for {@link writeEthHeader}. */
export const ETHERTYPE_IPV4_WORD = ethTypeWord(ETHERTYPE_IPV4);
/** EtherType of ARP as a memory word, for {@link writeEthHeader}. */
export const ETHERTYPE_ARP_WORD = ethTypeWord(ETHERTYPE_ARP);

/**
 * Converts an EtherType to the memory word that a `u16` view shows in the field. It allocates: call it once, not per
 * packet.
 */
export function ethTypeWord(type: number): number {
  return new Uint16Array(Uint8Array.of(type >>> 8, type & 0xff).buffer)[0];
}

/** Converts the six bytes of a MAC address to three memory words, which the functions below take. It allocates. */
export function macWords(mac: Uint8Array): Uint16Array {
  return new Uint16Array(Uint8Array.from(mac).buffer);
}

/** The broadcast address ff:ff:ff:ff:ff:ff as memory words. Do not write to it. */
export const BROADCAST_MAC = macWords(new Uint8Array(6).fill(0xff));
/** 00:00:00:00:00:00 as memory words: the target's MAC address in an ARP request. Do not write to it. */
export const NO_MAC = new Uint16Array(3);

/** Copies a MAC address. `toPlace` and `fromPlace` are offsets in words: half the offset in bytes. */
export function copyMac(to: Uint16Array, toPlace: number, from: Uint16Array, fromPlace: number): void {
  to[toPlace] = from[fromPlace];
  to[toPlace + 1] = from[fromPlace + 1];
  to[toPlace + 2] = from[fromPlace + 2];
}

/** Whether two MAC addresses are equal. `aPlace` and `bPlace` are offsets in words: half the offset in bytes. */
export function sameMac(a: Uint16Array, aPlace: number, b: Uint16Array, bPlace: number): boolean {
  return a[aPlace] === b[bPlace] && a[aPlace + 1] === b[bPlace + 1] && a[aPlace + 2] === b[bPlace + 2];
}

/** Reads the EtherType of the frame at `frame`: 0 to 65535. */
export function ethType(u8: Uint8Array, frame: number): number {
  return readU16(u8, frame + ETH_TYPE);
}

/**
 * Writes the header of a frame.
 * @param frame offset of the frame's first byte; must be even
 * @param destination three memory words, see {@link macWords}
 * @param source three memory words
 * @param typeWord a memory word, such as {@link ETHERTYPE_IPV4_WORD}
 */
export function writeEthHeader(
  u16: Uint16Array,
  frame: number,
  destination: Uint16Array,
  source: Uint16Array,
  typeWord: number,
): void {
  copyMac(u16, (frame + ETH_DESTINATION) >>> 1, destination, 0);
  writeEthSourceAndType(u16, frame, source, typeWord);
}

/** Writes the source and the EtherType of a frame, and leaves the destination alone. See {@link writeEthHeader}. */
export function writeEthSourceAndType(u16: Uint16Array, frame: number, source: Uint16Array, typeWord: number): void {
  copyMac(u16, (frame + ETH_SOURCE) >>> 1, source, 0);
  u16[(frame + ETH_TYPE) >>> 1] = typeWord;
}

/** Swaps the source and the destination address of the frame at `frame`, which must be even. */
export function swapEthMacs(u16: Uint16Array, frame: number): void {
  const w = frame >>> 1;
  for (let i = 0; i < 3; i++) {
    const word = u16[w + i];
    u16[w + i] = u16[w + 3 + i];
    u16[w + 3 + i] = word;
  }
}
