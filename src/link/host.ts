/**
 * Our addresses, and what follows from them: which addresses are on the link, which are broadcasts. Addresses are
 * signed.
 */
import { IPV4_BROADCAST, isIpv4Multicast, prefixMask } from '../wire/address.js';

export interface HostOptions {
  /** Three memory words. They may lie in shared memory, where another thread changes them. */
  readonly mac: Uint16Array;
  readonly address: number;
  readonly prefixLength: number;
  readonly gateway?: number | undefined;
}

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

export class Host {
  /** Three memory words. */
  readonly mac: Uint16Array;
  readonly address: number;
  readonly gateway: number;
  private readonly mask: number;
  /**
   * The broadcast address of the prefix; for a /31 or /32, which has none (RFC 3021), the limited broadcast address.
   */
  readonly subnetBroadcast: number;
  private readonly hasGateway: boolean;

  constructor(options: HostOptions) {
    this.mac = options.mac;
    this.address = options.address | 0;
    this.mask = prefixMask(options.prefixLength);
    this.subnetBroadcast = options.prefixLength < 31 ? this.address | ~this.mask : IPV4_BROADCAST;
    this.hasGateway = options.gateway !== undefined;
    this.gateway = (options.gateway ?? 0) | 0;
  }

  /** Whether `ip` is within our prefix. */
  isOnLink(ip: number): boolean {
    return ((ip ^ this.address) & this.mask) === 0;
  }

  isBroadcast(ip: number): boolean {
    return ip === IPV4_BROADCAST || ip === this.subnetBroadcast;
  }

  /** Whether a packet may come from `ip`: the address of one station, and not ours (RFC 1122, 3.2.1.3). */
  isSource(ip: number): boolean {
    return isRoutable(ip) && ip !== this.address && ip !== this.subnetBroadcast;
  }

  /** Where a packet to `ip` goes: one of the HOP_ constants. */
  nextHop(ip: number): number {
    if (ip === this.address) return HOP_SELF;
    if (this.isBroadcast(ip)) return HOP_BROADCAST;
    if (isIpv4Multicast(ip)) return HOP_MULTICAST;
    if (!isRoutable(ip)) return HOP_NONE;
    if (this.isOnLink(ip)) return HOP_NEIGHBOUR;
    return this.hasGateway ? HOP_GATEWAY : HOP_NONE;
  }
}

/** Whether one station on a wire can have `ip`: not in 0/8, 127/8, 224/4 or 240/4 (RFC 1122, 3.2.1.3). */
export function isRoutable(ip: number): boolean {
  const first = ip >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}
