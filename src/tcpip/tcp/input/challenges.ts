/**
 * Challenge ACKs (RFC 5961, 3 to 5): what an attacker may have sent is answered by an ACK, which a true peer corrects.
 * They are limited in number for all connections together (7), and a segment without data for each connection.
 */

import type { FastRandom } from '../../ip/random.js';
import { TCP } from '../counters.js';
import type { Acks } from '../output/acks.js';
import { RateLimit } from '../state/rate-limit.js';
import { CHALLENGE_MS } from '../state/rows.js';
import type { Table } from '../state/table.js';

/** Challenge ACKs per second (Linux: 1000 in tcp_challenge_ack_limit). */
const PER_SECOND = 1000;
/** Least time between two answers to segments without data on one connection (Linux: tcp_invalid_ratelimit). */
const LEAST_MS = 500;

export class Challenges {
  private readonly limit: RateLimit;

  constructor(
    private readonly table: Table,
    private readonly acks: Acks,
    random: FastRandom,
  ) {
    this.limit = new RateLimit(PER_SECOND, random);
  }

  /** Answers a segment that an attacker may have sent. */
  challenge(r: number): void {
    const { clock, count } = this.table;
    if (!this.limit.take(clock.ms)) {
      count[TCP.tcp_challenge_limited]++;
      return;
    }
    count[TCP.tcp_challenge_acks]++;
    this.acks.now(r);
  }

  /** Answers a segment without data that lies outside of the window, unless the last one was answered just now. */
  answer(r: number): void {
    const { i32, clock, count } = this.table;
    const last = i32[r + CHALLENGE_MS];
    const age = (clock.ms - last) | 0;
    if (last !== 0 && age >= 0 && age < LEAST_MS) {
      count[TCP.tcp_challenge_limited]++;
      return;
    }
    // 0 means never.
    i32[r + CHALLENGE_MS] = clock.ms === 0 ? 1 : clock.ms;
    this.acks.now(r);
  }
}
