/**
 * When to ask for a neighbour, how often, and when to stop believing an answer. Who has which MAC is in the shared
 * {@link NeighbourTable}; this is the policy over it, and its one writer.
 *
 *     (unknown) -- first packet --> INCOMPLETE: broadcast request, again after 1 s, 2 s; 4 s later it is given up
 *     INCOMPLETE -- answer --> REACHABLE -- 30 s --> STALE: still used
 *     STALE -- packet --> asked again: twice by unicast, once by broadcast, a second apart (RFC 1122, 2.3.2.1)
 *     STALE -- 10 min without packet or word from it --> (unknown)
 *
 * One request at a time is under way for a neighbour, and never two within a second (RFC 1122, 2.3.2.1).
 */

import {
  type NeighbourReader,
  NeighbourState,
  type NeighbourTable,
  NO_EVICTION,
  TABLE_FULL,
} from '../rings/neighbour-table.js';
import { L2, type L2Counters } from './counters.js';
import { BROADCAST_MAC, sameMac } from './wire/ethernet.js';

/** How long an answer is believed without asking again. */
const REACHABLE_MS = 30_000;
/** How long an entry that nobody uses is kept. */
const FORGET_MS = 600_000;
/** Requests before a neighbour is given up. */
const MAX_REQUESTS = 3;
/** How long the first request waits for its answer, and each one that reconfirms. */
const ANSWER_MS = 1000;
/** How often ages are looked at. */
const AGEING_MS = 1000;

/** Sends an ARP request for `ip` to one MAC address (three memory words), or to all. */
export interface NeighbourAsker {
  request(ip: number, to: Uint16Array): void;
}

/** Who has packets waiting for neighbours. */
export interface NeighbourEvents {
  /** The table has a MAC for `ip` now. */
  resolved(ip: number): void;
  /** There will be none. */
  failed(ip: number): void;
}

/** What a sender of packets needs: the table, and somebody who asks for what is not in it. */
export interface NeighbourResolver {
  readonly table: NeighbourReader;
  /** Told about resolutions; set it before the first packet. */
  events: NeighbourEvents | null;
  /**
   * Begins to ask for `ip`, unless that is under way.
   * @returns false when there is no room for it.
   */
  resolve(ip: number): boolean;
  /** A packet goes to `ip`, whose entry is STALE: ask whether it is still there, unless that is under way. */
  reconfirm(ip: number): void;
}

/** What became of something heard: see {@link Neighbours.hear}. */
export type Heard = 'unknown' | 'static' | 'mismatch' | 'learned' | 'confirmed' | 'changed' | 'full';

/** A request under way. Made once a resolution, not once a packet. */
interface Resolution {
  /** The table has a MAC, which is being confirmed. */
  readonly hasMac: boolean;
  requests: number;
  /** When to ask again or give up. */
  deadline: number;
}

export class Neighbours implements NeighbourResolver {
  private readonly resolutions = new Map<number, Resolution>();
  private readonly values: Float64Array;
  private readonly scratch = new Uint16Array(3);
  private nextAgeing = 0;
  private ageingNow = 0;

  /**
   * @param clock milliseconds, monotonic
   * @param events told about resolutions; set it before the first packet
   */
  constructor(
    readonly table: NeighbourTable,
    private readonly asker: NeighbourAsker,
    counters: L2Counters,
    private readonly clock: () => number,
    public events: NeighbourEvents | null = null,
  ) {
    this.values = counters.values;
  }

  /** Enters a neighbour from the configuration: never asked for, never changed. */
  addStatic(ip: number, mac: Uint16Array): void {
    this.table.setStatic(ip, mac, 0, this.clock());
  }

  resolve(ip: number): boolean {
    if (this.resolutions.has(ip)) return true;
    const evicted = this.table.markIncomplete(ip, this.clock());
    if (evicted === TABLE_FULL) return false;
    if (evicted !== NO_EVICTION) this.abandon(evicted | 0);
    this.begin(ip, false);
    return true;
  }

  reconfirm(ip: number): void {
    if (!this.resolutions.has(ip)) this.begin(ip, true);
  }

  /**
   * `ip` said that its MAC address is the one at `mac[at]` to `mac[at + 2]`. A known neighbour's entry follows (RFC 826's
   * merge); an unknown one's is made only with `mayLearn`, and only while there is room: strangers evict nobody.
   */
  hear(ip: number, mac: Uint16Array, at: number, mayLearn: boolean): Heard {
    const state = this.table.lookup(ip, this.scratch);
    if (state === NeighbourState.FREE) {
      if (!mayLearn) return 'unknown';
      if (this.table.count >= this.table.capacity) return 'full';
    }
    const moved = !sameMac(this.scratch, 0, mac, at);
    if (state === NeighbourState.STATIC) return moved ? 'mismatch' : 'static';
    const evicted = this.table.confirm(ip, mac, at, this.clock());
    if (evicted === TABLE_FULL) return 'full';
    if (evicted !== NO_EVICTION) this.abandon(evicted | 0);
    if (this.resolutions.delete(ip)) this.events?.resolved(ip);
    if (state === NeighbourState.FREE || state === NeighbourState.INCOMPLETE) return 'learned';
    return moved ? 'changed' : 'confirmed';
  }

  /** Asks again, gives up, ages: whatever is due at `now`. */
  tick(now: number): void {
    if (this.resolutions.size > 0) {
      for (const [ip, resolution] of this.resolutions) {
        if (now >= resolution.deadline) this.overdue(ip, resolution);
      }
    }
    if (now >= this.nextAgeing) {
      this.nextAgeing = now + AGEING_MS;
      this.ageingNow = now;
      this.table.forEach(this.age);
    }
  }

  /** When {@link tick} has something to ask next; Infinity when it has not. Ageing can wait until somebody is awake. */
  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const resolution of this.resolutions.values()) next = Math.min(next, resolution.deadline);
    return next;
  }

  private begin(ip: number, hasMac: boolean): void {
    const resolution: Resolution = { hasMac, requests: 0, deadline: 0 };
    this.resolutions.set(ip, resolution);
    this.ask(ip, resolution);
  }

  private ask(ip: number, resolution: Resolution): void {
    const asked = resolution.requests++;
    resolution.deadline = this.clock() + (resolution.hasMac ? ANSWER_MS : ANSWER_MS << asked);
    this.table.recordAttempt(ip);
    const byUnicast = resolution.hasMac && resolution.requests < MAX_REQUESTS;
    if (byUnicast) this.table.lookup(ip, this.scratch);
    this.asker.request(ip, byUnicast ? this.scratch : BROADCAST_MAC);
  }

  private overdue(ip: number, resolution: Resolution): void {
    if (resolution.requests < MAX_REQUESTS) {
      this.ask(ip, resolution);
      return;
    }
    this.values[L2.arp_gave_up]!++;
    this.table.remove(ip);
    this.abandon(ip);
  }

  /** The table has no entry for `ip` any more: nothing to wait for. */
  private abandon(ip: number): void {
    if (this.resolutions.delete(ip)) this.events?.failed(ip);
  }

  private readonly age = (ip: number, state: number, _mac: Uint16Array, confirmedAt: number): void => {
    // The table's times are 32 bits wide and wrap.
    const age = (this.ageingNow - confirmedAt) >>> 0;
    if (state === NeighbourState.REACHABLE && age >= REACHABLE_MS) this.table.markStale(ip);
    else if (state === NeighbourState.STALE && age >= FORGET_MS && !this.resolutions.has(ip | 0)) this.table.remove(ip);
  };
}
