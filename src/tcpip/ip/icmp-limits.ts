/**
 * How many ICMP errors may be sent (RFC 1812, 4.3.2.8; the figures are Linux's): 1000 per second to all, with bursts of
 * 50, and to each destination one per second, with bursts of 6.
 *
 * The limit for all loses up to two tokens more at random, so that nobody can count with it what others were sent
 * (CVE-2020-25705). The limits per destination are a table that does not grow: destinations may share a place there,
 * which makes the limit stricter.
 */
import { FastRandom, type RandomSource } from './random.js';

const PER_SECOND = 1000;
const BURST = 50;
/** Time for which a destination pays with each message, and how much of it can be saved up. */
const DESTINATION_MS = 1000;
const DESTINATION_CREDIT_MS = 6 * DESTINATION_MS;
/** log2 of the number of places. */
const PLACES_SHIFT = 10;

export class IcmpLimits {
  /** Credit per place in ms, as it was at `at`. */
  private readonly credit = new Int32Array(1 << PLACES_SHIFT).fill(DESTINATION_CREDIT_MS);
  private readonly at: Int32Array;
  private readonly random: FastRandom;
  private readonly multiplier: number;
  private tokens = BURST;
  private filledMs: number;

  /** @param ms the time */
  constructor(random: RandomSource, ms: number) {
    this.at = new Int32Array(1 << PLACES_SHIFT).fill(ms);
    this.filledMs = ms;
    this.random = new FastRandom(random);
    this.multiplier = random() | 1;
  }

  /**
   * Asks whether a message may go to `destination` (signed), and takes it from the limits if it may.
   * @param ms the time
   */
  allow(destination: number, ms: number): boolean {
    const place = Math.imul(destination, this.multiplier) >>> (32 - PLACES_SHIFT);
    const waited = (ms - this.at[place]) | 0;
    // After 24 days the difference is negative; by then all credit is back.
    const saved = waited < 0 ? DESTINATION_CREDIT_MS : Math.min(DESTINATION_CREDIT_MS, this.credit[place] + waited);
    this.at[place] = ms;
    this.credit[place] = saved;
    if (saved < DESTINATION_MS || !this.allowAny(ms)) return false;
    this.credit[place] = saved - DESTINATION_MS;
    return true;
  }

  private allowAny(ms: number): boolean {
    const waited = (ms - this.filledMs) | 0;
    if (waited !== 0) {
      const filled = waited < 0 || waited >= BURST ? BURST : Math.floor((waited * PER_SECOND) / 1000);
      this.tokens = Math.min(BURST, this.tokens + filled);
      this.filledMs = ms;
    }
    if (this.tokens <= 0) return false;
    this.tokens -= 1 + ((this.random.next() >>> 8) % 3);
    return true;
  }
}
