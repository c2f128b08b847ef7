import { describe, expect, it } from 'vitest';
import { isWindowUsed, noteSent } from '../../../../../../src/tcpip/tcp/congestion/idle.js';
import { initialWindow } from '../../../../../../src/tcpip/tcp/congestion/initial.js';
import {
  CWND,
  FLAG_CWR,
  FLAG_RENO,
  FLAGS,
  LAST_SENT_MS,
  ROUND_PIPE,
  SND_NXT,
  SND_UNA,
  SSTHRESH,
} from '../../../../../../src/tcpip/tcp/state/rows.js';
import { senderRow } from '../../../../../support/tcpip/sender-row.js';

describe('Initial window', () => {
  for (const [mss, bytes] of [
    [536, 5360],
    [1460, 14_600],
    [2000, 14_600],
    [8960, 17_920],
  ] as const) {
    it(`is ${bytes} bytes for an MSS of ${mss} (RFC 6928, 2)`, () => {
      const { i32, r } = senderRow(mss);
      expect(initialWindow(i32, r)).toBe(bytes);
      expect(i32[r + CWND]).toBe(bytes);
    });
  }
});

describe('Reno', () => {
  function reno(segments: number, ssthresh: number) {
    const row = senderRow(1000, FLAG_RENO);
    row.i32[row.r + CWND] = segments * 1000;
    row.i32[row.r + SSTHRESH] = ssthresh * 1000;
    noteSent(row.i32, row.r, segments * 1000);
    return row;
  }

  it('grows by what is acknowledged in slow start', () => {
    const row = reno(10, 100);
    row.congestion.grow(row.r, 2000, false);
    expect(row.i32[row.r + CWND]).toBe(12_000);
  });

  // Clauses: MUST-19
  it('grows by one segment per round trip in congestion avoidance (RFC 5681, 3.1)', () => {
    const row = reno(10, 5);
    for (let i = 0; i < 10; i++) row.congestion.grow(row.r, 1000, false);
    expect(row.i32[row.r + CWND]).toBeGreaterThanOrEqual(10_950);
    expect(row.i32[row.r + CWND]).toBeLessThanOrEqual(11_000);
  });

  it('goes from one to the other within one ACK', () => {
    const row = reno(10, 11);
    row.congestion.grow(row.r, 5000, false);
    expect(row.i32[row.r + CWND]).toBe(11_000 + Math.floor((4000 * 1000) / 11_000));
  });

  it('counts one segment per ACK in slow start after a timeout (RFC 3465, 2.3)', () => {
    const row = reno(2, 100);
    row.congestion.grow(row.r, 50_000, true);
    expect(row.i32[row.r + CWND]).toBe(3000);
  });

  it('halves on a loss', () => {
    const row = reno(30, 100);
    row.congestion.reduce(row.r, 30_000, false);
    expect(row.i32[row.r + SSTHRESH]).toBe(15_000);
  });

  it('reduces from what was used, not from a cwnd that was not (RFC 7661, 4.4.1)', () => {
    const row = reno(10, 100);
    row.i32[row.r + CWND] = 80_000;
    row.congestion.reduce(row.r, 8000, false);
    expect(row.i32[row.r + SSTHRESH]).toBe(5000);
  });

  it('cwnd stays below 2^30', () => {
    const row = reno(1_073_741, 5);
    for (let i = 0; i < 10_000; i++) row.congestion.grow(row.r, 1 << 29, false);
    expect(row.i32[row.r + CWND]).toBe(1 << 30);
  });
});

describe('Congestion window validation', () => {
  it('cwnd is used if it was full in this round or the last one', () => {
    const { i32, r, congestion } = senderRow(1000);
    i32[r + SSTHRESH] = 5000;
    noteSent(i32, r, 8000);
    expect(isWindowUsed(i32, r)).toBe(false);
    noteSent(i32, r, 9500);
    expect(isWindowUsed(i32, r)).toBe(true);
    congestion.observe(r, 0, 5000, -1);
    expect(isWindowUsed(i32, r)).toBe(true);
    congestion.observe(r, 0, 5000, -1);
    expect(isWindowUsed(i32, r)).toBe(false);
    expect(i32[r + ROUND_PIPE]).toBe(5000);
  });

  it('in slow start one half is enough', () => {
    const { i32, r } = senderRow(1000);
    noteSent(i32, r, 5001);
    expect(isWindowUsed(i32, r)).toBe(true);
  });

  it('halves per RTO without data, down to the initial window (RFC 2861, 3.2)', () => {
    const row = senderRow(1000);
    row.i32[row.r + CWND] = 100_000;
    row.i32[row.r + SSTHRESH] = 20_000;
    row.i32[row.r + LAST_SENT_MS] = row.clock.ms;
    row.tick(300);
    row.congestion.checkIdle(row.r, 300_000);
    expect(row.i32[row.r + CWND]).toBe(100_000);
    row.tick(350);
    row.congestion.checkIdle(row.r, 300_000);
    expect(row.i32[row.r + CWND]).toBe(25_000);
    expect(row.i32[row.r + SSTHRESH]).toBe(75_000);
    row.tick(10_000_000);
    row.congestion.checkIdle(row.r, 300_000);
    expect(row.i32[row.r + CWND]).toBe(10_000);
  });
});

describe('ECN', () => {
  it('reduces once per window, and asks for CWR (RFC 3168, 6.1.2)', () => {
    const { i32, r, congestion } = senderRow(1000, FLAG_RENO);
    i32[r + SND_NXT] = 10_000;
    expect(congestion.ecnEcho(r, 10_000)).toBe(true);
    expect(i32[r + CWND]).toBe(5000);
    expect(i32[r + FLAGS]! & FLAG_CWR).not.toBe(0);
    i32[r + SND_UNA] = 10_000;
    expect(congestion.ecnEcho(r, 10_000)).toBe(false);
    i32[r + SND_UNA] = 10_001;
    expect(congestion.ecnEcho(r, 5000)).toBe(true);
  });
});
