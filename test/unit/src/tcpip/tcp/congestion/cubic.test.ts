import { describe, expect, it } from 'vitest';
import { cubicWindow, growCubic } from '../../../../../../src/tcpip/tcp/congestion/cubic.js';
import {
  CUBIC_K,
  CUBIC_MAX,
  CUBIC_RENO,
  CWND,
  LAST_SENT_MS,
  PRIOR_CWND,
  SRTT,
  SSTHRESH,
} from '../../../../../../src/tcpip/tcp/state/rows.js';
import { senderRow } from '../../../../../support/tcpip/sender-row.js';

const MSS = 1000;

/** Grows cwnd for `ms` as on a path with the round trip `rtt`, which the sender keeps full. */
function avoid(row: ReturnType<typeof senderRow>, ms: number, rtt: number): void {
  for (let t = 0; t < ms; t += rtt) {
    const cwnd = row.i32[row.r + CWND]!;
    const acks = Math.floor(cwnd / (2 * MSS));
    for (let i = 0; i < acks; i++) {
      growCubic(row.i32, row.f64, row.r, 2 * MSS, rtt * 1000, row.clock.ms);
      row.tick(rtt / acks);
    }
  }
}

function afterLoss(segments: number) {
  const row = senderRow(MSS);
  row.i32[row.r + CWND] = segments * MSS;
  row.congestion.reduce(row.r, segments * MSS, false);
  row.i32[row.r + CWND] = row.i32[row.r + SSTHRESH]!;
  return row;
}

describe('CUBIC', () => {
  it('multiplies by 0.7 on a loss, and never goes below two segments (RFC 9438, 4.6)', () => {
    const row = afterLoss(1000);
    expect(row.i32[row.r + SSTHRESH]).toBe(700 * MSS);
    expect(row.i32[row.r + CUBIC_MAX]).toBe(1000 * MSS);
    const small = afterLoss(2);
    expect(small.i32[small.r + SSTHRESH]).toBe(2 * MSS);
  });

  it('K is the time to W_max: cbrt((W_max - cwnd) / C) (4.2, equation 2)', () => {
    const row = afterLoss(1000);
    growCubic(row.i32, row.f64, row.r, MSS, 100_000, row.clock.ms);
    // cbrt(300 / 0.4) = 9.0856 s
    expect(row.i32[row.r + CUBIC_K]).toBe(9086);
    expect(cubicWindow(row.i32, row.r, 0)).toBeCloseTo(700 * MSS, -3);
    expect(cubicWindow(row.i32, row.r, 9086)).toBe(1000 * MSS);
    // W(K + 2 s) = C * 8 + W_max
    expect(cubicWindow(row.i32, row.r, 11_086)).toBeCloseTo(1003.2 * MSS, 5);
  });

  it('follows W(t) on a long path: concave to W_max, convex beyond it (4.4, 4.5)', () => {
    const row = afterLoss(1000);
    avoid(row, 4000, 100);
    // 1000 - 0.4 * (9.0856 - 4)^3 = 947.4; the target is one round trip ahead.
    expect(row.i32[row.r + CWND]! / MSS).toBeGreaterThan(945);
    expect(row.i32[row.r + CWND]! / MSS).toBeLessThan(952);
    avoid(row, 5000, 100);
    expect(row.i32[row.r + CWND]! / MSS).toBeGreaterThan(998);
    expect(row.i32[row.r + CWND]! / MSS).toBeLessThan(1002);
    avoid(row, 9000, 100);
    // 1000 + 0.4 * 8.9^3 = 1282
    expect(row.i32[row.r + CWND]! / MSS).toBeGreaterThan(1250);
    expect(row.i32[row.r + CWND]! / MSS).toBeLessThan(1310);
  });

  it('is as fast as Reno on a short path (4.3)', () => {
    const row = afterLoss(20);
    // W_est grows by 0.53 segments per round trip until it has made up for the reduction: 6 / 0.529 = 11.3 round trips.
    avoid(row, 11, 1);
    expect(row.f64[(row.r >> 1) + CUBIC_RENO]! / MSS).toBeCloseTo(14 + 11 * 0.529, 0);
    expect(Math.abs(row.i32[row.r + CWND]! - row.f64[(row.r >> 1) + CUBIC_RENO]!)).toBeLessThanOrEqual(1);
    avoid(row, 40, 1);
    // Then by one segment per round trip.
    expect(row.i32[row.r + CWND]! / MSS).toBeGreaterThan(50);
  });

  it('leaves room for others if the window shrinks from loss to loss (4.7)', () => {
    const row = afterLoss(1000);
    row.congestion.reduce(row.r, 700 * MSS, false);
    expect(row.i32[row.r + CUBIC_MAX]).toBe(Math.floor(700 * MSS * 0.85));
  });

  it('begins a new curve after a timeout: K is 0 (4.8)', () => {
    const row = senderRow(MSS);
    row.i32[row.r + CWND] = 1000 * MSS;
    row.congestion.reduce(row.r, 1000 * MSS, true);
    row.i32[row.r + CWND] = row.i32[row.r + SSTHRESH]!;
    growCubic(row.i32, row.f64, row.r, MSS, 100_000, row.clock.ms);
    expect(row.i32[row.r + CUBIC_K]).toBe(0);
    expect(row.i32[row.r + CUBIC_MAX]).toBe(700 * MSS);
  });

  it('goes at most to one and a half of cwnd per round trip', () => {
    const row = afterLoss(10);
    growCubic(row.i32, row.f64, row.r, MSS, 1000, row.clock.ms);
    row.tick(100_000);
    const before = row.i32[row.r + CWND]!;
    row.f64[(row.r >> 1) + CUBIC_RENO] = 0;
    growCubic(row.i32, row.f64, row.r, before, 1000, row.clock.ms);
    expect(Math.abs(row.i32[row.r + CWND]! - before * 1.5)).toBeLessThanOrEqual(1);
  });

  it('is as before when the reduction is undone (4.9.2)', () => {
    const row = afterLoss(1000);
    avoid(row, 2000, 100);
    const words = row.i32.slice();
    const reno = row.f64[(row.r >> 1) + CUBIC_RENO]!;
    row.congestion.reduce(row.r, 1, false);
    row.i32[row.r + CWND] = MSS;
    row.congestion.undo(row.r, row.i32[row.r + PRIOR_CWND]!);
    for (const word of [CUBIC_MAX, CUBIC_K, CWND, SSTHRESH]) expect(row.i32[row.r + word]).toBe(words[row.r + word]);
    expect(row.f64[(row.r >> 1) + CUBIC_RENO]).toBe(Math.floor(reno));
  });

  it('does not count the time in which nothing is sent (5.8)', () => {
    const row = afterLoss(1000);
    row.f64[(row.r >> 1) + SRTT] = 100_000;
    avoid(row, 4000, 100);
    const before = row.i32[row.r + CWND]!;
    row.i32[row.r + LAST_SENT_MS] = row.clock.ms;
    // Not limited by cwnd: the stage pauses.
    row.congestion.grow(row.r, MSS, false);
    row.tick(60_000);
    growCubic(row.i32, row.f64, row.r, 2 * MSS, 100_000, row.clock.ms);
    expect(row.i32[row.r + CWND]! - before).toBeLessThan(MSS);
  });
});
