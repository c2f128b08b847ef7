import { describe, expect, it } from 'vitest';
import { InitialSequence } from '../../../../../../src/tcpip/tcp/opening/isn.js';

const KEY = Uint8Array.from({ length: 16 }, (_, i) => i * 7);

describe('initial sequence numbers', () => {
  // Clauses: MUST-8
  it('of a flow grow by 1 in 4 µs, also where both clocks wrap', () => {
    const sequence = new InitialSequence(KEY);
    const first = sequence.next(1, 2, 0);
    let us = 0;
    for (let round = 0; round < 4000; round++) {
      us += 5_000_003; // Five hours altogether; RFC 6528's clock wraps in 4.77.
      const expected = (first + Math.floor(us / 4)) | 0;
      expect(sequence.next(1, 2, us | 0)).toBe(expected);
    }
  });

  it('never go back, however long nothing was opened', () => {
    const sequence = new InitialSequence(KEY);
    let last = sequence.next(1, 2, 0);
    let us = 0;
    for (const pause of [0, 1, 3, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 33 + 17]) {
      us += pause;
      const next = sequence.next(1, 2, us | 0);
      expect((next - last) | 0).toBeGreaterThanOrEqual(0);
      last = next;
    }
  });

  // Clauses: MUST-9, SHLD-1
  it('differ for each flow and key, and from the offsets of timestamps', () => {
    const seen = new Set<number>();
    const sequence = new InitialSequence(KEY);
    for (let i = 0; i < 100; i++) {
      seen.add(sequence.next(i, 2, 0));
      seen.add(sequence.next(1, i + 1000, 0));
      seen.add(sequence.timestampOffset(i, 2));
      seen.add(sequence.timestampOffset(1, i + 1000));
    }
    seen.add(new InitialSequence(new Uint8Array(16)).next(0, 2, 0));
    expect(seen.size).toBe(401);
    expect(sequence.timestampOffset(7, 8)).toBe(sequence.timestampOffset(7, 8));
  });
});
