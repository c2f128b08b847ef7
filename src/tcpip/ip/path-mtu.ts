/**
 * Path MTU discovery (RFC 1191): how long a packet to a destination may be. A router that cannot forward a packet with
 * "don't fragment" tells the MTU of its next hop. TCP and UDP check that the message quotes a packet of theirs before
 * they call {@link PathMtus.reduce} (RFC 5927, 7); TCP also calls it when long packets vanish in silence (RFC 4821).
 */
import type { Clock } from '../clock.js';
import { IP, type IpCounters } from './counters.js';

/** The smallest MTU that is believed, as in Linux (min_pmtu): below it, a packet would be little more than its headers. */
export const MIN_PATH_MTU = 552;
/** RFC 1191, 6.3: after ten minutes a larger MTU is tried again. */
const LIFETIME_MS = 600_000;
const MAX_PATHS = 1024;

/** MTUs of links that exist (RFC 1191, 7.1), for routers that do not tell theirs. */
const PLATEAUS = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];

interface Path {
  mtu: number;
  /** When the MTU was lowered, in ms. */
  since: number;
}

/**
 * Returns the MTU to try after a packet of `length` bytes was too long for a router that did not tell its MTU.
 * @returns bytes: the next smaller plateau
 */
export function plateauBelow(length: number): number {
  for (let i = 0; i < PLATEAUS.length; i++) if (PLATEAUS[i] < length) return PLATEAUS[i];
  return PLATEAUS[PLATEAUS.length - 1];
}

export class PathMtus {
  /** In the order in which they were lowered. */
  private readonly paths = new Map<number, Path>();
  private readonly values: Float64Array;
  private readonly floor: number;

  /** @param linkMtu that of the interface, in bytes */
  constructor(
    readonly linkMtu: number,
    private readonly clock: Clock,
    counters: IpCounters,
    private readonly capacity = MAX_PATHS,
  ) {
    this.values = counters.values;
    this.floor = Math.min(MIN_PATH_MTU, linkMtu);
  }

  /** How many destinations have an MTU of their own. */
  get size(): number {
    return this.paths.size;
  }

  /** Returns the longest IP packet in bytes that can be sent to `destination` (signed) whole. */
  pathMtu(destination: number): number {
    if (this.paths.size === 0) return this.linkMtu;
    const path = this.paths.get(destination);
    if (path === undefined) return this.linkMtu;
    if (!this.isOver(path)) return path.mtu;
    this.paths.delete(destination);
    return this.linkMtu;
  }

  /**
   * Lowers the MTU of the path to `destination`. It never raises it.
   * @param destination signed
   * @param mtu bytes. Below {@link MIN_PATH_MTU}, this minimum is used
   * @returns whether the MTU is lower now than it was
   */
  reduce(destination: number, mtu: number): boolean {
    const { paths, values } = this;
    if (mtu < this.floor) values[IP.ip_pmtu_below_min]++;
    const lowered = Math.max(mtu, this.floor);
    if (lowered >= this.pathMtu(destination)) {
      values[IP.ip_pmtu_ignored]++;
      return false;
    }
    // Entered anew, so that the order stays that of the times.
    if (!paths.delete(destination) && paths.size >= this.capacity) this.forgetOldest();
    paths.set(destination, { mtu: lowered, since: this.clock.ms });
    values[IP.ip_pmtu_reduced]++;
    return true;
  }

  private isOver({ since }: Path): boolean {
    const age = (this.clock.ms - since) | 0;
    // It is negative after more than 24 days.
    return age < 0 || age >= LIFETIME_MS;
  }

  /** Forgets the paths whose time is over. */
  private expire(): void {
    for (const [destination, path] of this.paths) {
      if (!this.isOver(path)) return;
      this.paths.delete(destination);
    }
  }

  private forgetOldest(): void {
    this.expire();
    if (this.paths.size < this.capacity) return;
    for (const destination of this.paths.keys()) {
      this.paths.delete(destination);
      this.values[IP.ip_pmtu_replaced]++;
      return;
    }
  }
}
