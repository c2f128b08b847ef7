/**
 * Limits the ARP requests for unknown neighbours: a bucket with one token per request.
 *
 * An attacker who sends packets with invented source addresses makes us ask for these addresses. The limit bounds what
 * that costs the link, and how fast such questions replace others: a neighbour that we ask has time to answer.
 */

/** ARP requests for unknown neighbours per second. */
export const ASKS_PER_SECOND = 1000;
/** Most requests at the same time, after a pause. */
export const ASKS_AT_ONCE = 64;

export class AskLimit {
  private tokens = ASKS_AT_ONCE;
  private filledAt: number;

  /** @param clock milliseconds, monotonic */
  constructor(private readonly clock: () => number) {
    this.filledAt = clock();
  }

  /** Takes a token. Returns whether there was one: the request may be sent. */
  take(): boolean {
    const now = this.clock();
    this.tokens = Math.min(ASKS_AT_ONCE, this.tokens + ((now - this.filledAt) * ASKS_PER_SECOND) / 1000);
    this.filledAt = now;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}
