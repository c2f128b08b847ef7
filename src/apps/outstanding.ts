/** Requests that were sent and wait for their answer: numbered from 0 on, a bounded window of them, in flat arrays. */

/** Most requests that can wait at once, unless more are asked for. */
export const MAX_OUTSTANDING = 1024;
/** More cannot be told apart by 16 bits: half of what these can count. */
const MOST_OUTSTANDING = 0x8000;
/** What {@link Outstanding.answered} says of an answer that nobody waits for. */
export const NOT_WAITING = -1;

export class Outstanding {
  private readonly mask: number;
  private readonly sentAt: Float64Array;
  private readonly isWaiting: Uint8Array;
  private oldest = 0;
  private waiting = 0;
  /** Number of the next request. */
  next = 0;

  /** @param places how many requests there should be room for: 1024 at least, 32768 at most */
  constructor(
    private readonly timeoutMs: number,
    places = MAX_OUTSTANDING,
  ) {
    const wanted = Math.min(Math.max(places, MAX_OUTSTANDING), MOST_OUTSTANDING);
    // A power of two: a divisor of 65536, so that 16-bit numbers find their place.
    const room = 2 ** Math.ceil(Math.log2(wanted));
    this.mask = room - 1;
    this.sentAt = new Float64Array(room);
    this.isWaiting = new Uint8Array(room);
  }

  /** Requests that wait for their answer. */
  get count(): number {
    return this.waiting;
  }

  /** Whether there is a place for one more. */
  get hasRoom(): boolean {
    return this.next - this.oldest <= this.mask;
  }

  /** Request number {@link next} was sent at `now`. */
  sent(now: number): void {
    const place = this.next++ & this.mask;
    this.sentAt[place] = now;
    this.isWaiting[place] = 1;
    this.waiting++;
  }

  /** The number of the request that ends in the 16 bits `low`, or NOT_WAITING. */
  find(low: number): number {
    const number = this.oldest + ((low - this.oldest) & 0xffff);
    return number < this.next && this.isWaiting[number & this.mask] === 1 ? number : NOT_WAITING;
  }

  /** Request `number` was answered at `now`. Returns the milliseconds that took, or NOT_WAITING. */
  answered(number: number, now: number): number {
    if (number < this.oldest || number >= this.next) return NOT_WAITING;
    const place = number & this.mask;
    if (this.isWaiting[place] === 0) return NOT_WAITING;
    this.isWaiting[place] = 0;
    this.waiting--;
    return now - this.sentAt[place];
  }

  /** The first request whose time is over at `now`, which waits no more then; NOT_WAITING when there is none. */
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

  /** When the oldest request's time is over; Infinity when none waits. Exact after {@link expire}. */
  nextDeadline(): number {
    return this.waiting === 0 ? Number.POSITIVE_INFINITY : this.sentAt[this.oldest & this.mask] + this.timeoutMs;
  }
}
