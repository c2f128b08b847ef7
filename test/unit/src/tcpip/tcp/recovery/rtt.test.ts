import { describe, expect, it } from 'vitest';
import {
  countTimeout,
  createRttHistogram,
  minRtt,
  noteProgress,
  openRtt,
  RTT_BUCKETS,
  RTT_SUM,
  raiseRtt,
  rtoUs,
  sampleMinRtt,
  sampleRtt,
  timeoutsInRow,
} from '../../../../../../src/tcpip/tcp/recovery/rtt.js';
import { RTTVAR, SRTT } from '../../../../../../src/tcpip/tcp/state/rows.js';
import { senderRow } from '../../../../../support/tcpip/sender-row.js';

const MS = 1000;

describe('RTT and RTO', () => {
  it('begins with 1 s, and with 3 s after the SYN was lost (RFC 6298, 2.1 and 5.7)', () => {
    const { i32, f64, r } = senderRow();
    expect(rtoUs(i32, r)).toBe(1000 * MS);
    openRtt(i32, f64, r, true);
    expect(rtoUs(i32, r)).toBe(3000 * MS);
  });

  it('takes the first sample as SRTT, and half of it as RTTVAR (2.2)', () => {
    const { i32, f64, r } = senderRow();
    sampleRtt(i32, f64, r, 400 * MS, 0, createRttHistogram());
    expect(f64[(r >> 1) + SRTT]).toBe(400 * MS);
    expect(f64[(r >> 1) + RTTVAR]).toBe(200 * MS);
    expect(rtoUs(i32, r)).toBe(1200 * MS);
  });

  // Clauses: 6298-2.3a, 6298-2.3b
  it('weights further samples with 1/4 and 1/8 (2.3)', () => {
    const { i32, f64, r } = senderRow();
    sampleRtt(i32, f64, r, 400 * MS, 0, createRttHistogram());
    sampleRtt(i32, f64, r, 600 * MS, 0, createRttHistogram());
    // 3/4 * 200 + 1/4 * |400 - 600|
    expect(f64[(r >> 1) + RTTVAR]).toBe(200 * MS);
    expect(f64[(r >> 1) + SRTT]).toBe(425 * MS);
    expect(rtoUs(i32, r)).toBe(425 * MS + 4 * 200 * MS);
    sampleRtt(i32, f64, r, 425 * MS, 0, createRttHistogram());
    expect(f64[(r >> 1) + RTTVAR]).toBe(150 * MS);
  });

  // Clauses: 7323-4.2a
  it('weights a sample less when a round trip has many (RFC 7323, appendix G)', () => {
    const { i32, f64, r } = senderRow(1000);
    sampleRtt(i32, f64, r, 100 * MS, 0, createRttHistogram());
    sampleRtt(i32, f64, r, 180 * MS, 20_000, createRttHistogram());
    expect(f64[(r >> 1) + SRTT]).toBeCloseTo(101 * MS, 6);
  });

  it('the RTO is at least 200 ms longer than SRTT', () => {
    const { i32, f64, r } = senderRow();
    for (let i = 0; i < 100; i++) sampleRtt(i32, f64, r, 5 * MS, 0, createRttHistogram());
    expect(rtoUs(i32, r)).toBe(205 * MS);
  });

  it('is counted by the power of two that it does not exceed, and summed', () => {
    const { i32, f64, r } = senderRow();
    const rtts = createRttHistogram();
    const samples = [0, 1, 2, 3, 4, 5, 8, 9, 1000, 1024, 1025, 120_000_000, 2 ** 31 - 1];
    for (const sample of samples) sampleRtt(i32, f64, r, sample, 0, rtts);
    const counted = [...rtts.subarray(0, RTT_BUCKETS)].flatMap((count, i) => (count === 0 ? [] : [[i, count]]));
    expect(counted).toEqual([
      ...[
        [0, 2],
        [1, 1],
        [2, 2],
        [3, 2],
        [4, 1],
      ],
      ...[
        [10, 2],
        [11, 1],
        [27, 1],
        [31, 1],
      ],
    ]);
    // A sample of 0 counts as 1.
    expect(rtts[RTT_SUM]).toBe(samples.reduce((sum, sample) => sum + sample, 1));
  });

  it('backoff doubles up to 120 s, and ends only with a sample (5.5, 3)', () => {
    const { i32, f64, r } = senderRow();
    const seen: number[] = [];
    for (let i = 0; i < 12; i++) {
      countTimeout(i32, r);
      seen.push(rtoUs(i32, r) / 1_000_000);
    }
    expect(seen).toEqual([2, 4, 8, 16, 32, 64, 120, 120, 120, 120, 120, 120]);
    expect(timeoutsInRow(i32, r)).toBe(12);
    noteProgress(i32, r);
    expect(timeoutsInRow(i32, r)).toBe(0);
    expect(rtoUs(i32, r)).toBe(120_000 * MS);
    sampleRtt(i32, f64, r, 100 * MS, 0, createRttHistogram());
    expect(rtoUs(i32, r)).toBe(300 * MS);
  });

  it('follows the longer delay after a spurious timeout (RFC 4015, 3.3)', () => {
    const { i32, f64, r } = senderRow();
    for (let i = 0; i < 100; i++) sampleRtt(i32, f64, r, 10 * MS, 0, createRttHistogram());
    raiseRtt(i32, f64, r, 800 * MS);
    expect(rtoUs(i32, r)).toBe(800 * MS + 4 * 400 * MS);
  });

  // Clauses: 8985-6.2a
  it('the least RTT forgets what is older than two periods', () => {
    const { i32, r } = senderRow();
    expect(minRtt(i32, r)).toBe(0);
    sampleMinRtt(i32, r, 30 * MS, 0);
    sampleMinRtt(i32, r, 20 * MS, 1000);
    sampleMinRtt(i32, r, 50 * MS, 2000);
    expect(minRtt(i32, r)).toBe(20 * MS);
    sampleMinRtt(i32, r, 50 * MS, 160_000);
    expect(minRtt(i32, r)).toBe(20 * MS);
    sampleMinRtt(i32, r, 60 * MS, 320_000);
    expect(minRtt(i32, r)).toBe(50 * MS);
  });

  it('the least RTT is forgotten, too, when there was no sample for 25 days', () => {
    const { i32, r } = senderRow();
    const later = 25 * 24 * 3_600_000;
    sampleMinRtt(i32, r, 20 * MS, 0);
    sampleMinRtt(i32, r, 60 * MS, later | 0);
    sampleMinRtt(i32, r, 60 * MS, (later + 160_000) | 0);
    expect(minRtt(i32, r)).toBe(60 * MS);
  });
});
