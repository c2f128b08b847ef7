/**
 * Our addresses, and what follows from them: which addresses are on the link, which are broadcasts. Addresses are
 * signed.
 *
 * They lie in words of memory, because they change while the port runs (DHCP, `port.setAddress`). The thread that
 * receives is the only writer; with `1kb` and `2kb` the cores read the same words. Readers take no lock: while the words
 * change, the address is 0 and nothing is sent. A core that reads the words at this very moment may send one packet to
 * the wrong next hop, as a packet that left before the change does.
 */
import { IPV4_BROADCAST, isIpv4Multicast, prefixMask } from '../wire/address.js';

/** An address of ours, with what belongs to it. Numbers, signed or unsigned. */
export interface HostAddress {
  /** 0: we have none yet. */
  readonly address: number;
  readonly prefixLength: number;
  readonly gateway?: number | undefined;
}

/** Where our addresses lie. It may be shared memory. */
export interface HostMemory {
  /** Our MAC address: three memory words. */
  readonly mac: Uint16Array;
  /** {@link HOST_WORDS} words. */
  readonly words: Int32Array;
}

/** How many words a host has. */
export const HOST_WORDS = 8;

// Places in the words: as numbers, and the two that the filter compares as they lie in a packet.
const ADDRESS = 0;
const MASK = 1;
const SUBNET_BROADCAST = 2;
const GATEWAY = 3;
const PREFIX_LENGTH = 4;
/** Our address as it lies in a packet. */
export const ADDRESS_AS_SENT = 5;
/** The broadcast address of the prefix as it lies in a packet. */
export const BROADCAST_AS_SENT = 6;
/** Counts the changes of what a sender remembers: {@link Host.version}. */
const VERSION = 7;

/** The results of {@link Host.nextHop}. */
export const HOP_BROADCAST = -1;
export const HOP_MULTICAST = -2;
export const HOP_SELF = -3;
export const HOP_NONE = -4;
export const HOP_NEIGHBOUR = 0;
export const HOP_GATEWAY = 1;

/** The six bytes, a copy, of a MAC address in three memory words, which may lie anywhere in shared memory. */
export function macBytes({ buffer, byteOffset }: Uint16Array): Uint8Array {
  return Uint8Array.from(new Uint8Array(buffer, byteOffset, 6));
}

/** New memory for a host in one thread. Over a buffer: docs/v8.md, "Typed arrays". */
export function hostMemory(): HostMemory {
  return { mac: new Uint16Array(3), words: new Int32Array(new ArrayBuffer(4 * HOST_WORDS)) };
}

/** The signed memory word of an IPv4 address as it lies in a packet. */
function asSent(value: number): number {
  return new Int32Array(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value).buffer)[0];
}

export class Host {
  /** Three memory words. */
  readonly mac: Uint16Array;
  /** {@link ADDRESS_AS_SENT} and {@link BROADCAST_AS_SENT} are for the filter. */
  readonly words: Int32Array;

  constructor({ mac, words }: HostMemory) {
    this.mac = mac;
    this.words = words;
  }

  /**
   * Changes our address. To be called by the one writer of the words.
   * @returns false when nothing changes
   */
  set({ address, prefixLength, gateway = 0 }: HostAddress): boolean {
    const { words } = this;
    const isSame = words[ADDRESS] === (address | 0) && words[PREFIX_LENGTH] === prefixLength;
    if (isSame && words[GATEWAY] === (gateway | 0)) return false;
    const mask = address === 0 ? -1 : prefixMask(prefixLength);
    const broadcast = address !== 0 && prefixLength < 31 ? address | ~mask : IPV4_BROADCAST;
    // The order matters: without an address nothing is sent or received. Each store is seen before the next one.
    Atomics.store(words, ADDRESS, 0);
    Atomics.store(words, ADDRESS_AS_SENT, 0);
    Atomics.store(words, MASK, mask);
    Atomics.store(words, SUBNET_BROADCAST, broadcast);
    Atomics.store(words, GATEWAY, gateway);
    Atomics.store(words, PREFIX_LENGTH, prefixLength);
    Atomics.store(words, BROADCAST_AS_SENT, asSent(broadcast));
    Atomics.store(words, ADDRESS_AS_SENT, asSent(address));
    Atomics.store(words, ADDRESS, address);
    Atomics.add(words, VERSION, 1);
    return true;
  }

  /** Changes our MAC address: three memory words. To be called by the one writer of the words. */
  setMac(mac: Uint16Array): void {
    this.mac.set(mac);
    Atomics.add(this.words, VERSION, 1);
  }

  /**
   * Grows with each change of our addresses. Who remembers something that follows from them loads the version first,
   * by this getter, and later compares it with {@link isVersion}.
   */
  get version(): number {
    // Atomic, so that the loads of the other words come after it.
    return Atomics.load(this.words, VERSION);
  }

  /** Whether our addresses are those of {@link version}. */
  isVersion(version: number): boolean {
    return this.words[VERSION] === version;
  }

  /** Our address; 0 while we have none. */
  get address(): number {
    return this.words[ADDRESS];
  }

  get prefixLength(): number {
    return this.words[PREFIX_LENGTH];
  }

  /** The router for addresses that are not on the link; 0 when there is none. */
  get gateway(): number {
    return this.words[GATEWAY];
  }

  /** Whether `ip` is within our prefix. */
  isOnLink(ip: number): boolean {
    const { words } = this;
    return ((ip ^ words[ADDRESS]) & words[MASK]) === 0;
  }

  /** The broadcast address of a /31 or /32, which has none (RFC 3021), is the limited broadcast address. */
  isBroadcast(ip: number): boolean {
    return ip === IPV4_BROADCAST || ip === this.words[SUBNET_BROADCAST];
  }

  /** Whether a packet may come from `ip`: the address of one station, and not ours (RFC 1122, 3.2.1.3). */
  isSource(ip: number): boolean {
    return isRoutable(ip) && ip !== this.words[ADDRESS] && ip !== this.words[SUBNET_BROADCAST];
  }

  /** Where a packet to `ip` goes: one of the HOP_ constants. Nowhere while we have no address. */
  nextHop(ip: number): number {
    const { words } = this;
    const address = words[ADDRESS];
    if (address === 0) return HOP_NONE;
    if (ip === address) return HOP_SELF;
    if (this.isBroadcast(ip)) return HOP_BROADCAST;
    if (isIpv4Multicast(ip)) return HOP_MULTICAST;
    if (!isRoutable(ip)) return HOP_NONE;
    if (((ip ^ address) & words[MASK]) === 0) return HOP_NEIGHBOUR;
    return words[GATEWAY] !== 0 ? HOP_GATEWAY : HOP_NONE;
  }
}

/**
 * Why an interface cannot have an address: it is that of a network, a broadcast, a multicast group or reserved.
 * @returns an empty text when it can
 */
export function hostFault(address: number, prefixLength: number): string {
  const host = address & ~prefixMask(prefixLength);
  const first = address >>> 24;
  if (isIpv4Multicast(address)) return 'a multicast group';
  if (first === 0 || first === 127 || first >= 240) return 'a reserved address';
  // RFC 3021: a /31 has two hosts, and neither a network nor a broadcast address.
  if (prefixLength < 31 && host === 0) return `the network's own address`;
  return prefixLength < 31 && (host | prefixMask(prefixLength)) === -1 ? 'a broadcast address' : '';
}

/** Whether one station on a wire can have `ip`: not in 0/8, 127/8, 224/4 or 240/4 (RFC 1122, 3.2.1.3). */
export function isRoutable(ip: number): boolean {
  const first = ip >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}
