/**
 * Ethernet II (IEEE 802.3, clause 3): the 14 bytes in front of a packet.
 *
 * A MAC address is moved as three 16-bit words in the host's byte order, as they lie in memory: a frame begins at an even
 * offset (FRAME_OFFSET), and addresses are only copied and compared, never computed with.
 */
import type { MemoryViews } from '../../drivers/memory/index.js';
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

/** A MAC address as three memory words. Fields are plain small integers, so that writing a header is three stores. */
export class MacWords {
  w0 = 0;
  w1 = 0;
  w2 = 0;

  /** @param mac six bytes; all zeros where none is given. */
  constructor(mac?: Uint8Array) {
    if (mac !== undefined) {
      const words = new Uint16Array(Uint8Array.from(mac).buffer);
      this.set(words[0]!, words[1]!, words[2]!);
    }
  }

  set(w0: number, w1: number, w2: number): void {
    this.w0 = w0;
    this.w1 = w1;
    this.w2 = w2;
  }

  /** Takes the address at `offset` (even) of the memory. */
  read(u16: Uint16Array, offset: number): void {
    const w = offset >>> 1;
    this.w0 = u16[w]!;
    this.w1 = u16[w + 1]!;
    this.w2 = u16[w + 2]!;
  }

  /** Puts the address at `offset` (even) of the memory. */
  write(u16: Uint16Array, offset: number): void {
    const w = offset >>> 1;
    u16[w] = this.w0;
    u16[w + 1] = this.w1;
    u16[w + 2] = this.w2;
  }

  /** Whether the address at `offset` (even) of the memory is this one. */
  isAt(u16: Uint16Array, offset: number): boolean {
    const w = offset >>> 1;
    return u16[w] === this.w0 && u16[w + 1] === this.w1 && u16[w + 2] === this.w2;
  }
}

export const BROADCAST_MAC: Readonly<Uint8Array> = new Uint8Array(6).fill(0xff);

/** The EtherType of the frame at `frame`. */
export function etherType(u8: Uint8Array, frame: number): number {
  return readU16(u8, frame + ETH_TYPE);
}

/** Writes the header of a frame. `typeWord` is an EtherType as a memory word. */
export function writeEthernet(
  u16: Uint16Array,
  frame: number,
  destination: MacWords,
  source: MacWords,
  typeWord: number,
): void {
  destination.write(u16, frame + ETH_DESTINATION);
  source.write(u16, frame + ETH_SOURCE);
  u16[(frame + ETH_TYPE) >>> 1] = typeWord;
}

/** Exchanges source and destination address of the frame at `frame`. */
export function swapMacs(memory: MemoryViews, frame: number): void {
  const u16 = memory.u16;
  const w = frame >>> 1;
  for (let i = 0; i < 3; i++) {
    const word = u16[w + i]!;
    u16[w + i] = u16[w + 3 + i]!;
    u16[w + 3 + i] = word;
  }
}
