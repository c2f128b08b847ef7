/**
 * When to ask for a neighbour, how often, when to stop believing an answer, and who is given up for whom. Who has which MAC
 * is in the shared {@link NeighbourTable}; this is the policy over it, and its one writer.
 *
 *     (unknown) -- first packet --> INCOMPLETE: broadcast request, again after 1 s, 2 s; 4 s later it is given up
 *     INCOMPLETE -- answer --> REACHABLE -- 30 s --> STALE: still used
 *     STALE -- packet --> asked again: twice by unicast, once by broadcast, a second apart (RFC 1122, 2.3.2.1)
 *     STALE -- 10 min without packet or word from it --> (unknown); 1 min when the table is more than half full
 *
 * One request at a time is under way for a neighbour, and never two within a second (RFC 1122, 2.3.2.1).
 *
 * What strangers cannot do. Anybody can send packets from addresses that he invents, and make us ask for them:
 * - INCOMPLETE neighbours are in a list of their own, not in the table. Asking for whoever never answers costs no neighbour
 *   its entry. When the list is full, the one that has waited longest is given up; {@link AskLimit} says how soon at the
 *   earliest: (MAX_INCOMPLETE - ASKS_AT_ONCE) / ASKS_PER_SECOND, 192 ms.
 * - Who only asks us is learned while there is room in the table, and takes nobody's place.
 * - Who answers our request takes another's place when the table is full: that of one of the latest newcomers, as long as there
 *   is any neighbour that was not confirmed again 30 s after it became known. So those in use for longer outlast any number
 *   of newcomers, and so do, but for bad luck, those that were known before many of them came.
 * Linux has such limits, too (neigh/default/gc_thresh2, gc_thresh3 and gc_stale_time), but counts INCOMPLETE ones among them.
 */

import { type NeighbourReader, NeighbourState } from '../../../rings/neighbour-reader.js';
import { type NeighbourTable, NO_VICTIM } from '../../../rings/neighbour-table.js';
import { L2, type L2Counters } from '../../counters.js';
import { BROADCAST_MAC, sameMac } from '../../wire/ethernet.js';
import { AskLimit } from './ask-limit.js';

/** How long an answer is believed without asking again; and who was confirmed so long after it became known, is proven. */
const REACHABLE_MS = 30_000;
/** How long an entry that nobody uses is kept, after it was confirmed last. */
const FORGET_MS = 600_000;
/** The same while the table is more than half full (Linux: gc_stale_time above gc_thresh2). */
const FORGET_SOON_MS = 60_000;
/** Neighbours that are asked for at the same time, and have no MAC yet. */
export const MAX_INCOMPLETE = 256;
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

/** What {@link NeighbourResolver.resolve} did: nothing, since too much is asked already; nothing more than before; it asked. */
export const RESOLVE_REFUSED = 0;
export const RESOLVE_UNDER_WAY = 1;
export const RESOLVE_BEGUN = 2;

/** What a sender of packets needs: the table, and somebody who asks for what is not in it. */
export interface NeighbourResolver {
  readonly table: NeighbourReader;
  /** Told about resolutions; set it before the first packet. */
  events: NeighbourEvents | null;
  /**
   * Begins to ask for `ip`, unless that is under way. {@link events} is told what became of it, unless it was refused.
   * @returns one of the RESOLVE_ constants
   */
  resolve(ip: number): number;
  /** A packet goes to `ip`, whose entry is STALE: ask whether it is still there, unless that is under way. */
  reconfirm(ip: number): void;
}

/** What became of something heard: see {@link Neighbours.hear}. */
export type Heard = 'unknown' | 'static' | 'mismatch' | 'learned' | 'confirmed' | 'changed' | 'full';

/** A request under way. Made once a resolution, not once a packet. */
interface Resolution {
  requests: number;
  /** When to ask again or give up. */
  deadline: number;
}

export class Neighbours implements NeighbourResolver {
  /** Those without a MAC, in the order in which they were first asked for; and those in the table that are asked again. */
  private readonly incomplete = new Map<number, Resolution>();
  private readonly confirming = new Map<number, Resolution>();
  private readonly limit: AskLimit;
  private readonly values: Float64Array;
  private readonly scratch = new Uint16Array(3);
  /** No resolution is due before. */
  private nextDue = Number.POSITIVE_INFINITY;
  private nextAgeing = 0;
  private ageingNow = 0;
  private forgetMs = FORGET_MS;

  /**
   * @param clock milliseconds, monotonic
   * @param events told about resolutions; set it before the first packet
   * @param gateway for which the limit of requests does not hold, signed bits; 0 where there is none
   */
  constructor(
    readonly table: NeighbourTable,
    private readonly asker: NeighbourAsker,
    counters: L2Counters,
    private readonly clock: () => number,
    public events: NeighbourEvents | null = null,
    private readonly gateway = 0,
  ) {
    this.values = counters.values;
    this.limit = new AskLimit(clock);
  }

  /** Enters a neighbour from the configuration: never asked for, never changed. */
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
   * `ip` said that its MAC address is the one at `mac[at]` to `mac[at + 2]`. A known neighbour's entry follows (RFC 826's
   * merge); an unknown one's is made when we have asked for it, or with `mayLearn` while there is room.
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

  /** Asks again, gives up, ages: whatever is due at `now`. */
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
   * When {@link tick} has something to ask next, or somewhat earlier; Infinity when it has not. Ageing can wait until somebody
   * is awake.
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
    if (ip === this.gateway || this.limit.take()) return true;
    this.values[L2.arp_limited]++;
    return false;
  }

  /** The entry that a full table gives up for a new neighbour; NO_VICTIM when all are STATIC. */
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

  /** Asks, unless it is for a stranger the second or third time, and more than enough are asked for the first time. */
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

  /** Asks again, or gives up: then it returns false. */
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
    // The table's times are 32 bits wide and wrap.
    const age = (this.ageingNow - confirmedAt) >>> 0;
    if (state === NeighbourState.REACHABLE && age >= REACHABLE_MS) this.table.markStale(ip);
    else if (state === NeighbourState.STALE && age >= this.forgetMs && !this.confirming.has(ip | 0)) {
      this.table.remove(ip);
    }
  };
}
