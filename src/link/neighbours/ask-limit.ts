/**
 * How often strangers can make us ask: a bucket of tokens, one for each ARP request for a neighbour that is not known.
 *
 * Whoever sends packets with invented source addresses chooses whom we ask for. The limit bounds what that costs the link,
 * and how fast strangers' questions can take the place of others: somebody who is asked has time to answer.
 */

/** ARP requests for unknown neighbours in a second. */
export const ASKS_PER_SECOND = 1000;
/** As many can be made at once, after a time without any. */
export const ASKS_AT_ONCE = 64;

export class AskLimit {
  private tokens = ASKS_AT_ONCE;
  private filledAt: number;

  /** @param clock milliseconds, monotonic */
  constructor(private readonly clock: () => number) {
    this.filledAt = clock();
  }

  /** Whether one more may be made now; if so, it is counted. */
  take(): boolean {
    const now = this.clock();
    this.tokens = Math.min(ASKS_AT_ONCE, this.tokens + ((now - this.filledAt) * ASKS_PER_SECOND) / 1000);
    this.filledAt = now;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}
