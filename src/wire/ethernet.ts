/**
 * Ethernet II (IEEE 802.3, clause 3): the 14 bytes in front of a packet. A stack needs them with layer `ethernet` alone.
 *
 * A MAC address is moved as three 16-bit words in the host's byte order, as they lie in memory: a frame begins at an even
 * offset, and addresses are only copied and compared, never computed with.
 */
import { readU16 } from './bytes.js';

/** Offset of the destination's MAC address, from the first byte of the frame. */
export const ETH_DESTINATION = 0;
/** Offset of the source's MAC address. */
export const ETH_SOURCE = 6;
/** Offset of the EtherType. */
export const ETH_TYPE = 12;
export const ETH_HEADER_BYTES = 14;
/** A type field below this is the length of an IEEE 802.3 LLC frame. */
export const ETHERTYPE_MIN = 0x0600;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_QINQ = 0x88a8;
export const ETHERTYPE_IPV6 = 0x86dd;

/** The EtherType field as the word that lies in memory, ready for {@link writeEthHeader}. */
export const ETHERTYPE_IPV4_WORD = ethTypeWord(ETHERTYPE_IPV4);
export const ETHERTYPE_ARP_WORD = ethTypeWord(ETHERTYPE_ARP);

/** The value that a u16 view shows where the EtherType `type` lies in network order. For set-up, not for each packet. */
export function ethTypeWord(type: number): number {
  return new Uint16Array(Uint8Array.of(type >>> 8, type & 0xff).buffer)[0];
}

/** Six bytes as three memory words: the shape in which MAC addresses are kept beside the packet path. */
export function macWords(mac: Uint8Array): Uint16Array {
  return new Uint16Array(Uint8Array.from(mac).buffer);
}

/** ff:ff:ff:ff:ff:ff as words. Do not write to it. */
export const BROADCAST_MAC = macWords(new Uint8Array(6).fill(0xff));
/** All zeros as words: the target's MAC address in an ARP request. Do not write to it. */
export const NO_MAC = new Uint16Array(3);

/** Copies a MAC address. `toPlace` and `fromPlace` are in words: half the offset in bytes. */
export function copyMac(to: Uint16Array, toPlace: number, from: Uint16Array, fromPlace: number): void {
  to[toPlace] = from[fromPlace];
  to[toPlace + 1] = from[fromPlace + 1];
  to[toPlace + 2] = from[fromPlace + 2];
}

/** Whether two MAC addresses are the same. `aPlace` and `bPlace` are in words: half the offset in bytes. */
export function sameMac(a: Uint16Array, aPlace: number, b: Uint16Array, bPlace: number): boolean {
  return a[aPlace] === b[bPlace] && a[aPlace + 1] === b[bPlace + 1] && a[aPlace + 2] === b[bPlace + 2];
}

/** The EtherType of the frame at `frame`, 0 to 65535. */
export function ethType(u8: Uint8Array, frame: number): number {
  return readU16(u8, frame + ETH_TYPE);
}

/**
 * Writes the header of the frame at `frame`, which must be even.
 * @param destination three words, see {@link macWords}
 * @param source three words
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

/** Writes the header of the frame at `frame` without the destination. `typeWord` is a memory word. */
export function writeEthSourceAndType(u16: Uint16Array, frame: number, source: Uint16Array, typeWord: number): void {
  copyMac(u16, (frame + ETH_SOURCE) >>> 1, source, 0);
  u16[(frame + ETH_TYPE) >>> 1] = typeWord;
}

/** Exchanges source and destination address of the frame at `frame`, which must be even. */
export function swapEthMacs(u16: Uint16Array, frame: number): void {
  const w = frame >>> 1;
  for (let i = 0; i < 3; i++) {
    const word = u16[w + i];
    u16[w + i] = u16[w + 3 + i];
    u16[w + 3 + i] = word;
  }
}
