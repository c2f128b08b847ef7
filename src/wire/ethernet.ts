/**
 * Ethernet II (IEEE 802.3, clause 3): the 14 bytes in front of a packet.
 *
 * A MAC address is moved as three 16-bit words in the host's byte order, as they lie in memory: a frame begins at an even
 * offset (FRAME_OFFSET), and addresses are only copied and compared, never computed with.
 */
import { readU16 } from './bytes.js';

export const ETH_DESTINATION = 0;
export const ETH_SOURCE = 6;
export const ETH_TYPE = 12;
export const ETH_HEADER_BYTES = 14;
/** A type field below this is the length of an IEEE 802.3 LLC frame. */
export const ETHERTYPE_MIN = 0x0600;

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_QINQ = 0x88a8;
export const ETHERTYPE_IPV6 = 0x86dd;

/** The EtherType field as the word that lies in memory, ready for a u16 store. */
export const ETHERTYPE_IPV4_WORD = memoryWord(ETHERTYPE_IPV4);
export const ETHERTYPE_ARP_WORD = memoryWord(ETHERTYPE_ARP);

/** The value that a u16 view shows where `value` lies in network order. */
function memoryWord(value: number): number {
  return new Uint16Array(Uint8Array.of(value >>> 8, value & 0xff).buffer)[0]!;
}

/** Six bytes as three memory words: the shape in which MAC addresses are kept beside the packet path. */
export function macWords(mac: Uint8Array): Uint16Array {
  return new Uint16Array(Uint8Array.from(mac).buffer);
}

export const BROADCAST_MAC = macWords(new Uint8Array(6).fill(0xff));
export const NO_MAC = new Uint16Array(3);

/** Copies a MAC address; places are in words. */
export function copyMac(to: Uint16Array, toPlace: number, from: Uint16Array, fromPlace: number): void {
  to[toPlace] = from[fromPlace]!;
  to[toPlace + 1] = from[fromPlace + 1]!;
  to[toPlace + 2] = from[fromPlace + 2]!;
}

/** Whether two MAC addresses are the same; places are in words. */
export function sameMac(a: Uint16Array, aPlace: number, b: Uint16Array, bPlace: number): boolean {
  return a[aPlace] === b[bPlace] && a[aPlace + 1] === b[bPlace + 1] && a[aPlace + 2] === b[bPlace + 2];
}

/** The EtherType of the frame at `frame`. */
export function ethType(u8: Uint8Array, frame: number): number {
  return readU16(u8, frame + ETH_TYPE);
}

/** Writes source and type of the frame at `frame`: all of the header but where it goes. `typeWord` is a memory word. */
export function writeEthSourceAndType(u16: Uint16Array, frame: number, source: Uint16Array, typeWord: number): void {
  copyMac(u16, (frame + ETH_SOURCE) >>> 1, source, 0);
  u16[(frame + ETH_TYPE) >>> 1] = typeWord;
}

/** Exchanges source and destination address of the frame at `frame`. */
export function swapEthMacs(u16: Uint16Array, frame: number): void {
  const w = frame >>> 1;
  for (let i = 0; i < 3; i++) {
    const word = u16[w + i]!;
    u16[w + i] = u16[w + 3 + i]!;
    u16[w + 3 + i] = word;
  }
}
