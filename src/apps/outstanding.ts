/**
 * Requests that were sent and wait for their answer. They are numbered from 0 on, and kept in flat arrays of bounded
 * size.
 */

/** How many requests can wait at the same time by default. */
export const MAX_OUTSTANDING = 1024;
/** How many requests can wait at most: 16 bits cannot tell more of them apart. */
const MOST_OUTSTANDING = 0x8000;
/** Stands for a request that does not exist, was answered, or has timed out. */
export const NOT_WAITING = -1;

export class Outstanding {
  /** Length of the arrays minus 1. */
  private readonly mask: number;
  private readonly sentAt: Float64Array;
  private readonly isWaiting: Uint8Array;
  private oldest = 0;
  private waiting = 0;
  /** Number of the next request. */
  next = 0;

  /**
   * @param timeoutMs how long a request waits for its answer
   * @param places how many requests can wait at the same time; raised to 1024, limited to 32768
   */
  constructor(
    private readonly timeoutMs: number,
    places = MAX_OUTSTANDING,
  ) {
    const wanted = Math.min(Math.max(places, MAX_OUTSTANDING), MOST_OUTSTANDING);
    // A power of two divides 65536, so that the low 16 bits of a number give its place.
    const room = 2 ** Math.ceil(Math.log2(wanted));
    this.mask = room - 1;
    this.sentAt = new Float64Array(room);
    this.isWaiting = new Uint8Array(room);
  }

  /** How many requests wait for their answer. */
  get count(): number {
    return this.waiting;
  }

  /** Whether there is a place for one more request. */
  get hasRoom(): boolean {
    return this.next - this.oldest <= this.mask;
  }

  /** Notes that request {@link next} was sent at `now`. */
  sent(now: number): void {
    const place = this.next++ & this.mask;
    this.sentAt[place] = now;
    this.isWaiting[place] = 1;
    this.waiting++;
  }

  /** Returns the waiting request whose number ends in the 16 bits `low`, or NOT_WAITING. */
  find(low: number): number {
    const number = this.oldest + ((low - this.oldest) & 0xffff);
    return number < this.next && this.isWaiting[number & this.mask] === 1 ? number : NOT_WAITING;
  }

  /** Notes that request `number` was answered at `now`. Returns how long that took in ms, or NOT_WAITING. */
  answered(number: number, now: number): number {
    if (number < this.oldest || number >= this.next) return NOT_WAITING;
    const place = number & this.mask;
    if (this.isWaiting[place] === 0) return NOT_WAITING;
    this.isWaiting[place] = 0;
    this.waiting--;
    return now - this.sentAt[place];
  }

  /** Returns the first request that has timed out at `now`, and forgets it; NOT_WAITING when there is none. */
  expire(now: number): number {
    for (; this.oldest < this.next; this.oldest++) {
      const place = this.oldest & this.mask;
      if (this.isWaiting[place] === 0) continue;
      if (now - this.sentAt[place] < this.timeoutMs) return NOT_WAITING;
      this.isWaiting[place] = 0;
      this.waiting--;
      return this.oldest++;
    }
    return NOT_WAITING;
  }

  /** Returns when the oldest request times out; Infinity when none waits. It is exact after {@link expire}. */
  nextDeadline(): number {
    return this.waiting === 0 ? Number.POSITIVE_INFINITY : this.sentAt[this.oldest & this.mask] + this.timeoutMs;
  }
}
