/**
 * The policy for neighbours: when to ask for one and how often, how long to believe an answer, and which neighbour is
 * given up for another. Their MAC addresses are in the shared {@link NeighbourTable}; this class is its only writer.
 *
 *     (unknown) -- first packet --> INCOMPLETE: broadcast request, again after 1 s, 2 s; 4 s later it is given up
 *     INCOMPLETE -- answer --> REACHABLE -- 30 s --> STALE: still used
 *     STALE -- packet --> asked again: twice by unicast, once by broadcast, a second apart (RFC 1122, 2.3.2.1)
 *     STALE -- 10 min without being confirmed --> (unknown); 1 min when the table is more than half full
 *
 * One request at a time is under way for a neighbour, and never two within a second (RFC 1122, 2.3.2.1).
 *
 * Attackers. Any station can send packets from invented addresses and so make us ask for them. What that cannot do:
 * - INCOMPLETE neighbours are in a list of their own, not in the table, so a request that is never answered costs no
 *   neighbour its entry. When the list is full, the neighbour that has waited longest is given up. {@link AskLimit}
 *   gives each one at least (MAX_INCOMPLETE - ASKS_AT_ONCE) / ASKS_PER_SECOND = 192 ms to answer.
 * - A station that only asks us is learned while the table has room. It replaces no other.
 * - A station that answers our request replaces another when the table is full: one of the latest newcomers, as long as
 *   there is a neighbour that was not confirmed again 30 s after it became known. So neighbours that are in use for
 *   longer outlast any number of newcomers. Neighbours that were known before the newcomers came nearly always do so,
 *   too.
 * Linux has such limits, too (neigh/default/gc_thresh2, gc_thresh3 and gc_stale_time), but it counts INCOMPLETE entries
 * as well.
 */

import { type NeighbourReader, NeighbourState } from '../../../rings/neighbour-reader.js';
import { type NeighbourTable, NO_VICTIM } from '../../../rings/neighbour-table.js';
import { L2, type L2Counters } from '../../counters.js';
import { BROADCAST_MAC, sameMac } from '../../wire/ethernet.js';
import { AskLimit } from './ask-limit.js';

/** How long an answer is believed without asking again. A neighbour that is confirmed later than that is proven. */
const REACHABLE_MS = 30_000;
/** How long an entry is kept after it was confirmed last. */
const FORGET_MS = 600_000;
/** The same while the table is more than half full (Linux: gc_stale_time above gc_thresh2). */
const FORGET_SOON_MS = 60_000;
/** Most neighbours without a MAC address that are asked for at the same time. */
export const MAX_INCOMPLETE = 256;
/** Requests before a neighbour is given up. */
const MAX_REQUESTS = 3;
/** How long to wait for an answer to the first request, and to each request that reconfirms. */
const ANSWER_MS = 1000;
/** Time between two looks at the ages of all entries. */
const AGEING_MS = 1000;

/** Sends an ARP request for `ip` to one MAC address (three memory words), which may be the broadcast address. */
export interface NeighbourAsker {
  request(ip: number, to: Uint16Array): void;
}

/** Hears what became of a request: it has packets that wait for the neighbour. */
export interface NeighbourEvents {
  /** The table has a MAC address for `ip` now. */
  resolved(ip: number): void;
  /** The request for `ip` was given up. */
  failed(ip: number): void;
}

/**
 * The results of {@link NeighbourResolver.resolve}: too many requests are open; a request for it is open already; it
 * was sent.
 */
export const RESOLVE_REFUSED = 0;
export const RESOLVE_UNDER_WAY = 1;
export const RESOLVE_BEGUN = 2;

/** What a sender of packets needs: the table, and a way to ask for addresses that are not in it. */
export interface NeighbourResolver {
  readonly table: NeighbourReader;
  /** Hears what became of each request. To be set before the first packet. */
  events: NeighbourEvents | null;
  /**
   * Begins to ask for `ip`, unless a request is open. Unless it is refused, {@link events} hears what became of it.
   * @returns one of the RESOLVE_ constants
   */
  resolve(ip: number): number;
  /**
   * A packet goes to `ip`, whose entry is STALE: asks whether the neighbour is still there, unless a request is open.
   */
  reconfirm(ip: number): void;
}

/** What {@link Neighbours.hear} did with what a neighbour said. */
export type Heard = 'unknown' | 'static' | 'mismatch' | 'learned' | 'confirmed' | 'changed' | 'full';

/** A neighbour that is being asked for. Made per neighbour, not per packet. */
interface Resolution {
  requests: number;
  /** When to ask again or give up. */
  deadline: number;
}

export class Neighbours implements NeighbourResolver {
  /**
   * Neighbours without a MAC address, in the order of their first request; and neighbours in the table that are asked
   * again.
   */
  private readonly incomplete = new Map<number, Resolution>();
  private readonly confirming = new Map<number, Resolution>();
  private readonly limit: AskLimit;
  private readonly values: Float64Array;
  private readonly scratch = new Uint16Array(3);
  /** Nothing is to be asked or given up before this time. */
  private nextDue = Number.POSITIVE_INFINITY;
  private nextAgeing = 0;
  private ageingNow = 0;
  private forgetMs = FORGET_MS;

  /**
   * @param clock milliseconds, monotonic
   * @param events hears what became of each request; to be set before the first packet
   * @param host has the gateway, to which the limit of requests does not apply
   */
  constructor(
    readonly table: NeighbourTable,
    private readonly asker: NeighbourAsker,
    counters: L2Counters,
    private readonly clock: () => number,
    public events: NeighbourEvents | null = null,
    private readonly host: { readonly gateway: number } = { gateway: 0 },
  ) {
    this.values = counters.values;
    this.limit = new AskLimit(clock);
  }

  /** Enters a neighbour from the configuration, which is never asked for and never changed. */
  addStatic(ip: number, mac: Uint16Array): void {
    this.table.setStatic(ip, mac, 0, this.clock());
  }

  resolve(ip: number): number {
    if (this.incomplete.has(ip)) return RESOLVE_UNDER_WAY;
    if (!this.mayAsk(ip)) return RESOLVE_REFUSED;
    if (this.table.isFull && this.victim() === NO_VICTIM) return RESOLVE_REFUSED;
    if (this.incomplete.size === MAX_INCOMPLETE) this.replaceOldest();
    this.begin(ip, this.incomplete);
    return RESOLVE_BEGUN;
  }

  reconfirm(ip: number): void {
    if (!this.confirming.has(ip)) this.begin(ip, this.confirming);
  }

  /**
   * `ip` said that its MAC address is the one at `mac[at]` to `mac[at + 2]`. Updates the entry of a known neighbour
   * (RFC 826: merge). Makes an entry for an unknown one if we have asked for it, or if `mayLearn` is set and there is
   * room.
   */
  hear(ip: number, mac: Uint16Array, at: number, mayLearn: boolean): Heard {
    const { table } = this;
    const state = table.lookup(ip, this.scratch);
    if (state === NeighbourState.FREE) return this.hearNew(ip, mac, at, mayLearn);
    const moved = !sameMac(this.scratch, 0, mac, at);
    if (state === NeighbourState.STATIC) return moved ? 'mismatch' : 'static';
    table.confirm(ip, mac, at, this.clock());
    this.end(ip, this.confirming);
    return moved ? 'changed' : 'confirmed';
  }

  /** Does what is due at `now`: asks again, gives up, ages entries. */
  tick(now: number): void {
    if (now >= this.nextDue) {
      this.nextDue = Number.POSITIVE_INFINITY;
      this.askAgain(this.incomplete, now);
      this.askAgain(this.confirming, now);
    }
    if (now >= this.nextAgeing) {
      this.nextAgeing = now + AGEING_MS;
      this.ageingNow = now;
      this.forgetMs = 2 * this.table.count > this.table.capacity ? FORGET_SOON_MS : FORGET_MS;
      this.table.forEach(this.age);
    }
  }

  /**
   * When {@link tick} has something to ask next, or somewhat earlier; Infinity when it has not. Ageing can wait until
   * the thread is awake.
   */
  nextDeadline(): number {
    return this.nextDue;
  }

  private hearNew(ip: number, mac: Uint16Array, at: number, mayLearn: boolean): Heard {
    const isAsked = this.incomplete.has(ip);
    if (!isAsked && !mayLearn) return 'unknown';
    if (this.table.isFull && !(isAsked && this.makeRoom())) return 'full';
    this.table.confirm(ip, mac, at, this.clock());
    if (isAsked) {
      this.end(ip, this.incomplete);
      this.events?.resolved(ip);
    }
    return 'learned';
  }

  private mayAsk(ip: number): boolean {
    if (ip === this.host.gateway || this.limit.take()) return true;
    this.values[L2.arp_limited]++;
    return false;
  }

  /** The neighbour that a newcomer would replace in the full table; NO_VICTIM when all entries are static. */
  private victim(): number {
    return this.table.victim(this.clock(), REACHABLE_MS);
  }

  private makeRoom(): boolean {
    const victim = this.victim();
    if (victim === NO_VICTIM) return false;
    this.values[L2.arp_evicted]++;
    this.table.remove(victim);
    this.end(victim | 0, this.confirming);
    return true;
  }

  private replaceOldest(): void {
    for (const ip of this.incomplete.keys()) {
      this.values[L2.arp_replaced]++;
      this.giveUp(ip);
      return;
    }
  }

  private begin(ip: number, list: Map<number, Resolution>): void {
    const resolution: Resolution = { requests: 0, deadline: 0 };
    list.set(ip, resolution);
    this.ask(ip, resolution, list === this.confirming);
    this.nextDue = Math.min(this.nextDue, resolution.deadline);
  }

  private end(ip: number, list: Map<number, Resolution>): void {
    if (list.delete(ip) && this.incomplete.size + this.confirming.size === 0) this.nextDue = Number.POSITIVE_INFINITY;
  }

  /** Sends a request. The second and third request for an unknown neighbour are left out while the limit is reached. */
  private ask(ip: number, resolution: Resolution, hasMac: boolean): void {
    const asked = resolution.requests++;
    resolution.deadline = this.clock() + (hasMac ? ANSWER_MS : ANSWER_MS << asked);
    if (!hasMac && asked > 0 && !this.mayAsk(ip)) return;
    const byUnicast = hasMac && resolution.requests < MAX_REQUESTS;
    if (byUnicast) this.table.lookup(ip, this.scratch);
    this.asker.request(ip, byUnicast ? this.scratch : BROADCAST_MAC);
  }

  private askAgain(list: Map<number, Resolution>, now: number): void {
    for (const [ip, resolution] of list) {
      if (now >= resolution.deadline && !this.overdue(ip, resolution, list)) continue;
      this.nextDue = Math.min(this.nextDue, resolution.deadline);
    }
  }

  /** Asks again, or gives up and returns false. */
  private overdue(ip: number, resolution: Resolution, list: Map<number, Resolution>): boolean {
    const hasMac = list === this.confirming;
    if (resolution.requests < MAX_REQUESTS) {
      this.ask(ip, resolution, hasMac);
      return true;
    }
    this.values[L2.arp_gave_up]++;
    if (hasMac) {
      this.table.remove(ip);
      this.end(ip, list);
    } else this.giveUp(ip);
    return false;
  }

  private giveUp(ip: number): void {
    this.end(ip, this.incomplete);
    this.events?.failed(ip);
  }

  private readonly age = (ip: number, state: number, _mac: Uint16Array, confirmedAt: number): void => {
    // The times in the table are 32 bits wide and wrap.
    const age = (this.ageingNow - confirmedAt) >>> 0;
    if (state === NeighbourState.REACHABLE && age >= REACHABLE_MS) this.table.markStale(ip);
    else if (state === NeighbourState.STALE && age >= this.forgetMs && !this.confirming.has(ip | 0)) {
      this.table.remove(ip);
    }
  };
}
