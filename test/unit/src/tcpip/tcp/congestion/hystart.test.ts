import { describe, expect, it } from 'vitest';
import { HYSTART_CSS } from '../../../../../../src/tcpip/tcp/congestion/bits.js';
import { slowStartGrowth } from '../../../../../../src/tcpip/tcp/congestion/hystart.js';
import { CONGESTION_BITS, CWND, SND_NXT, SSTHRESH } from '../../../../../../src/tcpip/tcp/state/rows.js';
import { senderRow } from '../../../../../support/tcpip/sender-row.js';

const MSS = 1000;
const MS = 1000;

function slowStart() {
  const row = senderRow(MSS);
  const { i32, r, congestion } = row;
  let ack = 0;
  return {
    ...row,
    /** A round with these samples in ms. */
    round(...samples: number[]): void {
      i32[r + SND_NXT] = (i32[r + SND_NXT]! + 100 * MSS) | 0;
      congestion.observe(r, ack, 100 * MSS, samples[0]! * MS);
      for (const sample of samples.slice(1)) congestion.observe(r, (ack + 1) | 0, 100 * MSS, sample * MS);
      ack = i32[r + SND_NXT]!;
    },
    inCss: () => (i32[r + CONGESTION_BITS]! & HYSTART_CSS) !== 0,
  };
}

const eight = (ms: number) => Array.from({ length: 8 }, () => ms);

describe('HyStart++', () => {
  it('stays in slow start while the round trip does not rise', () => {
    const row = slowStart();
    for (let i = 0; i < 20; i++) row.round(...eight(40));
    expect(row.inCss()).toBe(false);
  });

  it('goes to CSS when eight samples are an eighth above the last round (4.2)', () => {
    const row = slowStart();
    row.round(...eight(80));
    row.round(...eight(80).slice(0, 7).fill(90));
    expect(row.inCss()).toBe(false);
    row.round(...eight(80));
    row.round(...eight(90));
    expect(row.inCss()).toBe(true);
  });

  it('the threshold is at least 4 ms and at most 16 ms', () => {
    const short = slowStart();
    short.round(...eight(1));
    short.round(...eight(4.9));
    expect(short.inCss()).toBe(false);
    short.round(...eight(9));
    expect(short.inCss()).toBe(true);
    const long = slowStart();
    long.round(...eight(400));
    long.round(...eight(416));
    expect(long.inCss()).toBe(true);
  });

  it('grows by a quarter in CSS, and ends slow start after five rounds', () => {
    const row = slowStart();
    row.round(...eight(40));
    row.round(...eight(50));
    expect(slowStartGrowth(row.i32, row.r, 4 * MSS)).toBe(MSS);
    for (let i = 0; i < 4; i++) row.round(...eight(60));
    expect(row.i32[row.r + SSTHRESH]).toBe(1 << 30);
    row.round(...eight(60));
    expect(row.i32[row.r + SSTHRESH]).toBe(row.i32[row.r + CWND]);
  });

  it('goes back to slow start if the round trip falls below the baseline', () => {
    const row = slowStart();
    row.round(...eight(40));
    row.round(...eight(50));
    expect(row.inCss()).toBe(true);
    row.round(...eight(45));
    expect(row.inCss()).toBe(false);
  });

  it('an ACK adds at most eight segments', () => {
    const row = slowStart();
    expect(slowStartGrowth(row.i32, row.r, 3 * MSS)).toBe(3 * MSS);
    expect(slowStartGrowth(row.i32, row.r, 40 * MSS)).toBe(8 * MSS);
  });
});
